"""A gateway with simulated models for the frameworks to talk to."""

from collections.abc import Iterator

import pytest

from tests.support.gateway_stack import Simulator, Stack
from tests.support.processes import until

SOON_S = 4.0  # less than the grace of clients that come back


def assert_cut(gateway: Stack, model: str, closed_s: float) -> None:
    """Both models were stopped soon after the client's closing, at this time of the steady clock."""
    until(gateway.simulator.all_quiet, SOON_S, "the models' silence")
    for name in (model, "draft"):
        (stream,) = gateway.simulator.streams(name)
        assert stream["outcome"] == "cut"
        print(
            f"{name}: closed upstream {(stream['ended_s'] - closed_s) * 1000:.0f} ms after the client closed"
        )


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with one process of each kind."""
    folder = tmp_path_factory.mktemp("gateway")
    with (
        Simulator(tmp_path_factory.mktemp("simulator")).running() as simulator,
        Stack(simulator, folder, {}).running() as stack,
    ):
        yield stack
