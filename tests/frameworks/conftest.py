"""A gateway with simulated models for the frameworks to talk to."""

from collections.abc import Iterator

import pytest

from tests.support.gateway_stack import Simulator, Stack


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with one process of each kind."""
    folder = tmp_path_factory.mktemp("gateway")
    with (
        Simulator(tmp_path_factory.mktemp("simulator")).running() as simulator,
        Stack(simulator, folder, {}).running() as stack,
    ):
        yield stack
