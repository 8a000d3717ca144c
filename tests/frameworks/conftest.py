"""A gateway with simulated models for the frameworks to talk to."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from stack import Simulator, Stack


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with one process of each kind."""
    simulator = Simulator(tmp_path_factory.mktemp("simulator"))
    stack = Stack(simulator, tmp_path_factory.mktemp("gateway"), {})
    try:
        simulator.start()
        stack.heal()
        yield stack
    finally:
        stack.stop()
        simulator.stop()
