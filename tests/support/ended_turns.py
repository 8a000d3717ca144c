"""Sessions for the keeper's tests: written at a time of the test's choosing, and looked for everywhere."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from common.events import Event, TurnEnded, TurnStarted, encode
from common.names import SessionRef, TurnRef
from common.queue import job_queue
from common.records.recording import write_line
from common.sessions.archive import Archive, id_of, open_archive
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.version import FOLD_VERSION
from tests.support.waiting import until
from workers.upkeep.retention import RetentionJob

LONG_AGO_MS = 1_600_000_000_000
_numbers = itertools.count(1)


def begun(turn: str, *, tell: bool = False) -> TurnStarted:
    request = {"messages": [{"role": "user", "content": "When do you open?"}]}
    lanes: dict[str, dict[str, Any]] = {"full": {"model": "full", "prompt": ""}}
    return TurnStarted(turn, "fast-reply", request, {}, lanes, "off", 1, FOLD_VERSION, tell=tell)


def over(turn: str) -> TurnEnded:
    return TurnEnded(turn, "stop", 0, {}, "", False, None)


async def put(stores: Stores, session: SessionRef, event: Event, at_ms: int | None = None) -> str:
    """Append an event as of a time, else of now; its id."""
    entry_id = "*" if at_ms is None else f"{at_ms}-{next(_numbers)}"
    fields: Any = encode(event)
    raw: bytes = await stores.log.xadd(keys.log(session), fields, id=entry_id)
    return raw.decode()


async def add_turn(
    stores: Stores, session: SessionRef, at_ms: int | None = None, *, ended: bool = True, lease: bool = True
) -> TurnRef:
    """A turn of a session that nobody drives; unless it has ended it is live."""
    turn = TurnRef(session, f"turn{next(_numbers):04}")
    score = stores.queue_clock.now_ms() if at_ms is None else at_ms
    await stores.on_queue.run(lambda pipe: job_queue.register_turn(pipe, turn, score))
    if lease:
        far = stores.queue_clock.now_ms() + 600_000
        await stores.on_queue.run(lambda pipe: job_queue.hold_turns(pipe, [turn], far))
    await put(stores, session, begun(turn.turn), at_ms)
    if ended:
        await end_turn(stores, turn, at_ms)
    return turn


async def end_turn(stores: Stores, turn: TurnRef, at_ms: int | None = None) -> None:
    await put(stores, turn.session, over(turn.turn), at_ms)
    await stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))


async def in_log(stores: Stores, session: SessionRef) -> list[str]:
    """The ids of what is in the session's log."""
    return [entry_id.decode() for entry_id, _ in await stores.log.xrange(keys.log(session))]


async def in_archive(archive: Archive, session: SessionRef) -> list[str]:
    return [id_of(line) for line in await archive.read(session)]


async def read(stores: Stores, archive: Archive | None, session: SessionRef) -> list[str]:
    """The ids of what a reader finds of the session, wherever it is."""
    return [e.id async for page in Sessions(stores, archive).entries(session) for e in page]


async def read_lines(stores: Stores, archive: Archive | None, session: SessionRef) -> list[bytes]:
    return [write_line(e) async for page in Sessions(stores, archive).entries(session) for e in page]


@asynccontextmanager
async def open_keeper(settings: Settings, name: str = "w:1") -> AsyncIterator[RetentionJob]:
    """A keeper over connections of its own; it takes its rounds by hand."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        yield RetentionJob(settings, stores, name, open_archive(settings.archive_url))


@asynccontextmanager
async def keeping(settings: Settings) -> AsyncIterator[tuple[Stores, RetentionJob]]:
    """A keeper, and other eyes on the same stores."""
    async with open_stores(settings) as eyes, open_keeper(settings) as keeper:
        await eyes.sync_clocks()
        yield eyes, keeper


async def keep(keeper: RetentionJob, eyes: Stores) -> None:
    """One round, whoever kept a moment ago; its clock is past all that was written before."""
    now_ms = eyes.queue_clock.now_ms()
    await until(lambda: keeper._stores.queue_clock.now_ms() > now_ms)
    await eyes.queue.delete(keys.KEEPING)
    assert await keeper.run_once()
