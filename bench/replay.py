"""Measures how true a replay is to time, and how quick it is without it.

At speed 1: how far each event comes from its original offset, over two sessions of recorded pace.
    Target: p95 at most 20 ms.
At max: a session of over 10,000 events, from the request to the last event.
    Target: under 1 s.

python -m bench.replay
"""

import argparse
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import httpx
import orjson
import redis.asyncio

from bench import report
from bench.data import Answered
from bench.pace import Pace, record
from bench.report import Result, spread_ms
from bench.stack import Stack
from common.events import Event, encode
from common.names import DEFAULT_TENANT, SessionRef
from common.net.sse import ServerEvent, SSEParser
from common.records.recording import RecordedTurn
from common.store import keys
from common.turn.policy import Policy

_LONG = 28  # turns: a little over 10,000 events
_ROUNDS = 5
_WORDS = "The museum opens at nine on Mondays and it stays closed in the winter. "
_START_MS = 1_700_000_000_000
_APART_MS = 500


async def measure(options: argparse.Namespace) -> Result:
    """Both parts, on one stack."""
    timed, long = SessionRef(DEFAULT_TENANT, "timed"), SessionRef(DEFAULT_TENANT, "long")
    with Stack() as stack:
        async with redis.asyncio.Redis.from_url(stack.redis_url) as store:
            await write_session(store, timed, [made_turn(n, 6) for n in range(3)])
            count = await write_session(
                store, long, [made_turn(n, 20) for n in range(report.scaled(options, _LONG))]
            )
        url = f"http://127.0.0.1:{stack.port}/v1/sessions"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            off_s = [off_s async for off_s in _distances_s(client, f"{url}/timed/replay?speed=1")]
            whole_s = [await _whole_s(client, f"{url}/long/replay?speed=max", count) for _ in range(_ROUNDS)]
    return {
        "off its original offset, speed 1": {"an event": spread_ms(off_s)},
        f"{count} events, speed max": {"a session": spread_ms(whole_s)},
    }


def made_turn(number: int, sentences: int) -> RecordedTurn:
    """A turn whose full says so many sentences."""
    text = _WORDS * sentences
    return record(Answered(f"replay-{number}", "When does it open?", text[:300], text), Pace(), Policy())


async def write_session(
    store: redis.asyncio.Redis, session: SessionRef, turns: list[RecordedTurn], start_ms: int = _START_MS
) -> int:
    """Put a session into log and index; how many events."""
    count = 0
    for turn in turns:
        assert turn.ended
        events: list[tuple[int, Event]] = [(0, turn.started), *turn.events]
        last_ms = events[-1][0]
        pipe = store.pipeline(transaction=False)
        for ms, event in [*events, (last_ms, turn.ended)]:
            pipe.xadd(keys.log(session), encode(event), id=f"{start_ms + ms}-{count}")  # type: ignore[arg-type]
            count += 1
        await pipe.execute()
        await store.zadd(keys.sessions(session.tenant), {session.quoted: start_ms})
        start_ms += last_ms + _APART_MS
    return count


async def _events(client: httpx.AsyncClient, url: str) -> AsyncGenerator[tuple[float, ServerEvent], None]:
    """The events of a replay, and when each came."""
    parser = SSEParser()
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        async for piece in response.aiter_raw():
            now_s = time.monotonic()
            for event in parser.feed(piece):
                yield now_s, event


async def _distances_s(client: httpx.AsyncClient, url: str) -> AsyncIterator[float]:
    """Return how far each event came from its offset, counted from the first one."""
    first_s: float | None = None
    async with aclosing(_events(client, url)) as events:
        async for now_s, event in events:
            if event.name == "end":
                return
            first_s = now_s if first_s is None else first_s
            yield abs(now_s - first_s - orjson.loads(event.data)["ms"] / 1000)


async def _whole_s(client: httpx.AsyncClient, url: str, count: int) -> float:
    """Return how long a replay took as a whole."""
    began_s = time.monotonic()
    names = [event.name async for _, event in _events(client, url)]
    assert len(names) == count + 1 and names[-1] == "end", "the replay is not whole"
    return time.monotonic() - began_s


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"replay": measure})
