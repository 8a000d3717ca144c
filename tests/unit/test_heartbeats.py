"""A silent stream's comments: each within its period, and none where something was sent."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from api.answers.event_stream import HEARTBEAT, EventStreamResponse
from api.limits.crowd import HALF_CLOSED
from tests.support.virtual_time import run


class Client:
    """Notes when each comment comes, and the longest silence."""

    def __init__(self) -> None:
        self.beats: list[float] = []
        self.sent: list[float] = []

    async def send(self, message: Any) -> None:
        now = asyncio.get_running_loop().time()
        self.sent.append(now)
        if message.get("body") == HEARTBEAT:
            self.beats.append(now)

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def follow(self, at_s: Sequence[float], end_s: float, half_closed_s: float | None = None) -> None:
        """Be sent a stream that says something at these times, and ends."""
        ended = asyncio.Event()
        if half_closed_s is not None:
            asyncio.get_running_loop().call_later(half_closed_s, ended.set)
        stream = EventStreamResponse(
            said(at_s, end_s), headers={}, heartbeat_s=15, send_timeout_s=300, on_left=lambda sent_away: None
        )
        scope = {"type": "http", "extensions": {HALF_CLOSED: {"event": ended}}}
        await stream(scope, self.receive, self.send)


async def said(at_s: Sequence[float], end_s: float) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    for each in at_s:
        await asyncio.sleep(each - loop.time())
        yield b"data: 1\n\n"
    await asyncio.sleep(end_s - loop.time())


@pytest.mark.parametrize(
    ("at_s", "end_s", "beats"),
    [
        ([], 40, [15, 30]),
        ([1], 40, [16, 31]),
        ([14.9], 40, [29.9]),
        ([1, 2, 3], 20, [18]),
        ([0, 10, 20, 30, 40], 50, []),
        ([0.5, 15.25], 30, []),
    ],
)
def test_no_silence_is_longer_than_the_period(at_s: list[float], end_s: float, beats: list[float]) -> None:
    client = Client()
    run(client.follow(at_s, end_s))
    assert client.beats == pytest.approx(beats)
    assert max(b - a for a, b in zip(client.sent, client.sent[1:], strict=False)) <= 15.001


def test_a_client_that_has_ended_its_side_is_asked_at_once_and_ever_more_rarely() -> None:
    client = Client()
    run(client.follow([], 4, half_closed_s=2))
    assert client.beats == pytest.approx([2, 2.02, 2.06, 2.14, 2.3, 2.62, 3.26])
