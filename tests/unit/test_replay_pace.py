"""A replay keeps the original pace, scaled, however long each write takes."""

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from api.sessions.replay import Begin, Replay
from common.events import Entry, Event
from common.names import SessionRef
from common.net.sse import SSEParser
from tests.support.turn_events import TURN, begin, end, say, started
from tests.support.virtual_time import run

SESSION = SessionRef("default", "a call")
EVENTS: list[tuple[int, Event]] = [
    (0, started(draft=False)),
    (40, begin("full")),
    (900, say("full", 0, "Yes.\n\ndata: no")),
    (900, end("full", at=14)),
    (2_500, say("full", 0, "late")),
]
ENTRIES = [Entry(f"{1_000 + ms}-{number}", event) for number, (ms, event) in enumerate(EVENTS)]


class Kept:
    """A session that is kept, one entry a page."""

    async def entries(self, session: SessionRef) -> AsyncGenerator[list[Entry], None]:
        for entry in ENTRIES:
            yield [entry]


def played(
    speed: float = 1.0, begin: Begin | None = None, after: tuple[int, int] | None = None, write_s: float = 0.0
) -> list[tuple[float, dict[str, Any]]]:
    """What is sent and when, in seconds from the start, to a client that takes so long over a write."""

    async def play() -> list[tuple[float, dict[str, Any]]]:
        kept: Any = Kept()
        replay = Replay(kept, SESSION, speed=speed, begin=begin or Begin(), after=after)
        assert await replay.open()
        parser, loop = SSEParser(), asyncio.get_running_loop()
        sent = []
        async for batch in replay.batches():
            sent += [(loop.time(), orjson.loads(event.data)) for event in parser.feed(batch)]
            await asyncio.sleep(write_s)
        return sent

    return run(play())


def times(sent: list[tuple[float, dict[str, Any]]]) -> list[float]:
    return [when for when, _ in sent[:-1]]


@pytest.mark.parametrize("speed", [0.1, 1.0, 2.0, 100.0])
def test_each_event_comes_at_its_time(speed: float) -> None:
    assert times(played(speed)) == pytest.approx([ms / 1000 / speed for ms, _ in EVENTS])


def test_a_slow_write_delays_nothing_but_itself() -> None:
    began_s = 0.3  # the stream's first line was a write, too
    late = times(played(write_s=0.3))
    assert late == pytest.approx([began_s + when for when in (0, 0.3, 0.9, 0.9, 2.5)])


def test_without_pauses_nothing_waits() -> None:
    assert times(played(math.inf)) == [0.0] * len(EVENTS)


def test_a_resumed_replay_waits_what_was_left_of_the_pause() -> None:
    sent = played(after=(1_040, 1))
    assert times(sent) == pytest.approx([0.86, 0.86, 2.46])
    assert [data["ms"] for _, data in sent] == [900, 900, 2_500, 2_500]


def test_offsets_count_from_where_it_begins() -> None:
    sent = played(begin=Begin(offset_ms=500))
    assert times(sent) == pytest.approx([0.4, 0.4, 2.0])
    assert [data["ms"] for _, data in sent] == [400, 400, 2_000, 2_000]
    assert [data["ms"] for _, data in played(begin=Begin(entry=(1_900, 2)))] == [0, 0, 1_600, 1_600]
    assert len(played(begin=Begin(turn=TURN))) == len(EVENTS) + 1


def test_no_text_can_end_an_events_line() -> None:
    said = [data["released"] for _, data in played(math.inf)[:-1]]
    assert {"turn": TURN, "lane": "full", "text": "Yes.\n\ndata: no"} in said[2]


def test_others_have_their_turn_while_a_page_is_folded() -> None:
    page = [Entry("1000-0", started(draft=False)), Entry("1000-1", begin("full"))]
    page += [Entry(f"1000-{n + 2}", say("full", n, "a")) for n in range(248)]

    class OnePage:
        async def entries(self, session: SessionRef) -> AsyncGenerator[list[Entry], None]:
            yield page

    async def others() -> int:
        kept: Any = OnePage()
        replay = Replay(kept, SESSION, speed=math.inf, begin=Begin(), after=None)
        turns, over = 0, asyncio.create_task(_read(replay))
        while not over.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert run(others()) >= len(page) // 20


async def _read(replay: Replay) -> None:
    assert await replay.open()
    async for _ in replay.batches():
        pass
