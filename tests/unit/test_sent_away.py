"""What a stream does when the key behind it ends: it says so once, or breaks off, and never waits."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from api.answers.event_stream import EventStreamResponse
from tests.support.virtual_time import run


class Keeper:
    """A doorkeeper who turns everybody out after a minute."""

    @contextmanager
    def watch(self, identity: object) -> Iterator["asyncio.Future[None]"]:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.call_later(60, over.set_result, None)
        yield over


class Client:
    """A client that takes so many messages, and then no more."""

    def __init__(self, takes: int = 1_000) -> None:
        self.took: list[dict[str, Any]] = []
        self.left_at_s = 0.0
        self.over_at_s = 0.0
        self._takes = takes

    async def send(self, message: Any) -> None:
        if len(self.took) == self._takes:
            await asyncio.Event().wait()
        self.took.append(message)

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    def leave(self, sent_away: bool) -> None:
        assert sent_away
        self.left_at_s = asyncio.get_running_loop().time()

    async def follow(self, heartbeat_s: float | None) -> None:
        """Be sent a stream that never ends."""
        stream = EventStreamResponse(
            forever(), headers={}, heartbeat_s=heartbeat_s, send_timeout_s=300, on_left=self.leave
        )
        app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(authenticator=Keeper())))
        scope = {"type": "http", "app": app, "state": {"identity": "somebody"}}
        await stream(scope, self.receive, self.send)
        self.over_at_s = asyncio.get_running_loop().time()


async def forever() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"data: 1\n\n"
        await asyncio.sleep(10)


def test_events_end_with_an_error() -> None:
    client = Client()
    run(client.follow(15))
    last = client.took[-1]
    assert b'"code":"invalid_api_key"' in last["body"] and last["body"].endswith(b"}}\n\n")
    assert not last["more_body"]
    assert sum(b"error" in message.get("body", b"") for message in client.took) == 1
    assert client.left_at_s == client.over_at_s == 60


def test_lines_break_off() -> None:
    client = Client()
    run(client.follow(None))
    assert client.took[-1] == {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True}
    assert client.left_at_s == 60


def test_a_client_that_takes_nothing_is_not_waited_for() -> None:
    client = Client(takes=3)
    run(client.follow(15))
    assert client.left_at_s == 60
    assert 60 < client.over_at_s < 61


class Left(Client):
    """A client that the stream fails; it notes how often it counted as gone."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0

    def leave(self, sent_away: bool) -> None:
        assert not sent_away
        self.left += 1

    async def follow_broken(self, heartbeat_s: float | None, bug: Exception) -> None:
        stream = EventStreamResponse(
            breaking(bug), headers={}, heartbeat_s=heartbeat_s, send_timeout_s=300, on_left=self.leave
        )
        await stream({"type": "http", "state": {}}, self.receive, self.send)


async def breaking(bug: Exception) -> AsyncGenerator[bytes, None]:
    yield b"data: 1\n\n"
    raise bug


BUGS = [TypeError("words of a caller"), KeyError("x"), AssertionError(), RecursionError()]


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_ends_the_stream_with_an_error_and_lets_go_of_the_turn(bug: Exception) -> None:
    client = Left()
    run(client.follow_broken(15, bug))
    last = client.took[-1]
    assert b'"code":"internal_error"' in last["body"] and not last["more_body"]
    assert b"words of a caller" not in last["body"]
    assert client.left == 1


def test_a_bug_breaks_lines_off() -> None:
    client = Left()
    run(client.follow_broken(None, TypeError()))
    assert client.took[-1]["more_body"] and client.left == 1
