"""The session log: appending to it and reading it back."""

import logging
from collections.abc import Sequence
from typing import Any

from common.events import Entry, Event, decode, encode
from common.names import SessionRef, TurnRef
from common.store.keys import log
from common.store.redis import Pipeline, Stores
from common.turn.turn_log import TurnLog

logger = logging.getLogger(__name__)

_PAGE = 256
FIRST_PAGE = 32
_PAGE_BYTES = 262_144


def append(pipe: Pipeline, session: SessionRef, event: Event, *, create: bool = False) -> None:
    """Queue an append. Only a turn's start creates the log, so that a deleted session stays deleted."""
    pipe.xadd(log(session), encode(event), nomkstream=not create)  # type: ignore[arg-type]


def decode_entries(raw: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    """The entries of an XRANGE reply, without the kinds that this version doesn't know, and broken ones."""
    entries = []
    for item in raw:
        try:
            entry = decode(*item)
        except ValueError:
            # One session's broken entry must not stop the readers of all.
            logger.error("passed over a broken log entry", extra={"entry": item[0].decode()})
        else:
            if entry:
                entries.append(entry)
    return entries


async def append_now(stores: Stores, session: SessionRef, *events: Event) -> None:
    """Append at once, in one round trip. A deleted session's log stays away. Raises StoreUnavailable."""

    def build(pipe: Pipeline) -> None:
        for event in events:
            append(pipe, session, event)

    await stores.on_log.run(build)


async def read_after(stores: Stores, session: SessionRef, after: str) -> list[Entry]:
    """Return the log's entries after this entry id. Raises StoreUnavailable."""
    entries: list[Entry] = []
    count = FIRST_PAGE
    while True:
        raw: list[Any] = await stores.log.xrange(log(session), min=f"({after}", count=count)
        entries += decode_entries(raw)
        if len(raw) < count:
            return entries
        after, count = raw[-1][0].decode(), next_count(raw)


async def last_turn(stores: Stores, session: SessionRef) -> str | None:
    """The id of the turn that the log saw start last. Raises StoreUnavailable."""
    before, count = "+", FIRST_PAGE
    while True:
        raw: list[Any] = await stores.log.xrevrange(log(session), max=before, min="-", count=count)
        starts = decode_entries([item for item in raw if b"turn.started" in item[1]])
        if starts:
            return starts[0].event.turn
        if len(raw) < count:
            return None
        before, count = f"({raw[-1][0].decode()}", next_count(raw)


async def was_cut(stores: Stores, session: SessionRef) -> bool:
    """Return True if an existing log has lost entries by trimming. Raises StoreUnavailable."""
    if not await stores.log.exists(log(session)):
        return False
    about = await stores.log.xinfo_stream(log(session))
    return bool(about["entries-added"] > about["length"])


async def read_turn(stores: Stores, turn: TurnRef) -> TurnLog | None:
    """Return the log from this turn's start on; None where it has no such turn. Raises StoreUnavailable.

    Read backwards by pages: a live turn is at the tail, however long its session has grown.
    """
    key, before, count = log(turn.session), "+", FIRST_PAGE
    pages: list[list[Entry]] = []
    while True:
        raw: list[Any] = await stores.log.xrevrange(key, max=before, min="-", count=count)
        entries = decode_entries(raw[::-1])
        if found := TurnLog.find(entries, turn.turn):
            return found.extended([entry for page in reversed(pages) for entry in page])
        if len(raw) < count:
            return None
        pages.append(entries)
        before, count = f"({raw[-1][0].decode()}", next_count(raw)


def next_count(raw: list[Any], most: int = _PAGE) -> int:
    """Return the size of the next page, in entries, by the bytes of this one: an entry may be a body."""
    size = sum(len(name) + len(value) for _, fields in raw for name, value in fields.items())
    return max(1, min(most, 2 * len(raw), len(raw) * _PAGE_BYTES // max(1, size)))
