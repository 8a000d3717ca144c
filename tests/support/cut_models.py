"""What becomes of models when their client goes."""

from tests.support.gateway_stack import Stack
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
