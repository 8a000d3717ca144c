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
    folder = tmp_path_factory.mktemp("gateway")
    with (
        Simulator(tmp_path_factory.mktemp("simulator")).running() as simulator,
        Stack(simulator, folder, {}).running() as stack,
    ):
        yield stack
