"""Whatever a model server sends, its lane ends: in an answer or one kind of error, in none of Python's words.

A few examples run with all tests; `make fuzz-upstreams` goes on for MINUTES.
"""

import asyncio
import logging
import os
import random
import re
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr

from api.answers.chunks import ChunkEncoder
from api.answers.completion import whole_answer
from common.events import Entry, Event, LaneFinished, LaneStarted, decode, encode
from common.names import JobRef, SessionRef, TurnRef
from common.settings import Settings
from common.tenants.profiles import Upstream
from common.turn.fold import Fold
from tests.support import virtual_time
from tests.support.generation_fakes import Free, Nowhere
from tests.support.live_turns import Quiet
from tests.support.turn_events import TURN, started
from tests.support.upstream_grammar import DIALECTS, Answer, Maker, answers
from workers.lanes import generation
from workers.lanes.generation import Generation
from workers.lanes.publisher import LaneWriter
from workers.providers.registry import Providers

NONE: Any = None
SETTINGS = Settings()
ADDRESSES = {
    "openai": "http://m/v1",
    "anthropic": "anthropic+http://m",
    "ernie": "ernie+http://m",
    "yandex": "yandex+http://m/folder",
}
TOOLS = [{"type": "custom", "custom": {"name": "find"}}, {"type": "function", "function": {"name": "ring"}}]
PYTHON = re.compile(r"\bNone\b|\bTrue\b|\bFalse\b|\bnan\b|\{'|\['|'\]|'\}|<class|object at 0x|Traceback")
MOST_PIECES_A_TURN = 3_000  # of the loop
MOST_S = 20.0
MOST_GROWTH_KB = 400_000


class CountingLoop(virtual_time.VirtualLoop):
    """A loop in virtual time that counts its turns."""

    turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()


class Server(httpx.AsyncBaseTransport):
    """Sends one answer, to whoever asks."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/oauth"):
            return httpx.Response(200, content=_token())
        return httpx.Response(self._answer.status, headers=self._answer.headers, content=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        for piece in self._answer.pieces:
            yield piece
        if self._answer.breaks:
            raise OSError("gone")


async def _token() -> AsyncIterator[bytes]:
    yield b'{"access_token": "t", "expires_in": 1000}'


class Watched:
    """The providers, of which no more is taken in a row than a worker bears."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncIterator[Any]:
        loop: Any = asyncio.get_running_loop()
        turn, in_a_row = loop.turns, 0
        async for piece in self._providers.stream(upstream, body):
            in_a_row = in_a_row + 1 if loop.turns == turn else 0
            turn = loop.turns
            assert in_a_row < MOST_PIECES_A_TURN
            yield piece


async def ask(dialect: str, answer: Answer) -> tuple[LaneWriter, generation.GenerationResult]:
    """A lane whose model's server sends this, as a worker asks it."""
    told = generation.GenerationResult()
    job = JobRef(TurnRef(SessionRef("default", "s"), TURN), "full", 1)
    publisher: Any = Nowhere()
    writer = LaneWriter(publisher, LaneStarted(TURN, "full", 1, "w"), job, 0)
    writer.state.attempt = 1
    async with httpx.AsyncClient(transport=Server(answer), trust_env=False) as client:
        watched: Any = Watched(Providers(client, client, NONE, None))
        upstream = Upstream(ADDRESSES[dialect], SecretStr("api:secret"), "full")
        free: Any = Free()
        asker = Generation(SETTINGS, watched, free, writer, told, lambda: None)
        first = started(draft=False)
        first.request["tools"] = TOOLS
        await asker.run([upstream], first, "")
    return writer, told


def check(dialect: str, answer: Answer) -> str:
    """Ask, fold what the lane says, write it for a client; how the lane ended."""
    begun_s = time.perf_counter()
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        writer, told = runner.run(ask(dialect, answer))
    error = told.error.as_event() if told.error else None
    reason: Any = "error" if error else told.reason
    assert reason in ("error", "stop", "length", "tool_calls", "content_filter")
    end = LaneFinished(TURN, "full", 1, len(writer.state.text), reason, told.usage, error, 0)
    lane = [event for event in writer.take_pending() if event != writer.started]
    written: list[Event] = [writer.started, *lane, end]
    size = sum(len(b"".join(encode(event).values())) for event in written)
    assert size <= 200_000 + 60 * answer.size  # a character may be an event
    releases = fold(written)
    said = "".join([*(release.text for release in releases if hasattr(release, "text"))])
    calls = [release.call for release in releases if hasattr(release, "call")]
    for text in (said, *(call.arguments for call in calls), *(call.name for call in calls)):
        assert not PYTHON.search(text), text
        assert not (answer.status == 200 and "\ufffe" in text)
    assert [release.index for release in releases if hasattr(release, "call")] == list(range(len(calls)))
    assert time.perf_counter() - begun_s < MOST_S
    return str(error["code"]) if error else str(reason)


def fold(events: list[Event]) -> list[Any]:
    """What is let out of these, read from the log; told to a client in both forms."""
    read = [decode(b"%d-0" % number, to_wire(event)) for number, event in enumerate(events, 1001)]
    entries = [entry for entry in read if entry]
    assert [entry.event for entry in entries] == events
    folded = Fold(started(draft=False))
    releases = [release for entry in entries for release in folded.feed(entry.event, 0)]
    assert folded.ending
    live = Quiet(NONE, TurnRef(SessionRef("default", "s"), TURN), started(draft=False), 2000)
    live.begin(Entry("1000-0", started(draft=False)))
    live.apply(entries)
    orjson.dumps(whole_answer(live))
    ChunkEncoder(live).encode(live.outputs)
    return releases


def to_wire(event: Event) -> dict[bytes, bytes]:
    return {name.encode(): body for name, body in encode(event).items()}


@pytest.fixture
def no_bug(caplog: pytest.LogCaptureFixture) -> Any:
    """A provider that stumbles is an error of its server's for its caller, and a bug for us."""
    caplog.set_level(logging.ERROR)
    yield
    assert "a provider broke" not in caplog.text


def feed(dialect: str, seed: int, examples: int, ended: Counter[str]) -> None:
    """So many answers in this dialect, of the events that this seed makes."""
    pool = Maker(seed).events(dialect)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(answers(dialect, pool))
    def one(answer: Answer) -> None:
        ended[check(dialect, answer)] += 1

    one()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_server_sends_its_lane_ends(dialect: str, no_bug: None) -> None:
    ended = Counter[str]()
    feed(dialect, 0, 60, ended)
    assert ended


@pytest.mark.fuzz_upstreams
@pytest.mark.timeout(0)
def test_whatever_servers_send_for_minutes(no_bug: None, capsys: pytest.CaptureFixture[str]) -> None:
    over_s = time.monotonic() + 60 * float(os.environ.get("MINUTES", "10"))
    ended: dict[str, Counter[str]] = {dialect: Counter() for dialect in DIALECTS}
    feed("openai", 0, 30, Counter())  # what is loaded at the first is no growth
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() < over_s:
        seed = random.randrange(2**32)
        for dialect, how in ended.items():
            feed(dialect, seed, 300, how)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    with capsys.disabled():
        for dialect, how in ended.items():
            print(f"\n{dialect}: {sum(how.values())} answers, {dict(how.most_common())}", end="")
        print(f"\nthe process grew by {grown_kb // 1024} MB")
    assert grown_kb < MOST_GROWTH_KB
