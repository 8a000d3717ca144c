"""A session as one whole, wherever its events are: in Redis, in the archive, or the older part there."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from common.events import Entry, TurnStarted, place
from common.log.stream import decode_entries, last_turn, next_count, read_turn
from common.names import SessionRef, TurnRef
from common.records.recording import RecordedTurn, SessionTurns, read_line, write_line
from common.sessions.archive import Archive
from common.sessions.deletion import delete_session, drop_void
from common.sessions.index import Index
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.turn.turn_log import TurnLog

logger = logging.getLogger(__name__)

_PAGE = 250
_FIRST_PAGE = 8

Gate = Callable[[str], AbstractAsyncContextManager[None]]
"""What a page of a tenant's waits for before it is read."""
Pace = Callable[[int], Awaitable[None]]
"""What a reader waits for after so many events, so that whoever is in a hurry goes first."""
_SLICE = 32  # events decoded without a break
_LAST = 2**64 - 1  # the last entry of a millisecond


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """The index's entry of a session. Events up to `void_ms` belong to a deleted session of the same name."""

    last_turn_ms: int
    void_ms: int


class Sessions:
    """Reads sessions. One exists where the index has it; its events are the archive's, then the log's."""

    def __init__(
        self, stores: Stores, archive: Archive | None, gate: Gate | None = None, pace: Pace | None = None
    ) -> None:
        self._stores = stores
        self._archive = archive
        self._gate: Gate = gate or (lambda tenant: nullcontext())
        self._pace: Pace = pace or _no_pace
        self._index = Index(stores, archive)

    async def find(self, session: SessionRef) -> SessionEntry | None:
        """Return the index's entry of a session; None where there is none. Raises StoreUnavailable."""

        def build(pipe: Pipeline) -> None:
            pipe.zscore(keys.sessions(session.tenant), session.quoted)
            pipe.zscore(keys.deleted(session.tenant), session.quoted)
            pipe.exists(keys.INDEXED)

        last, void, is_whole = await self._stores.on_queue.run(build)
        if last is None and void is None and not is_whole:
            last = await self._index.recover(session)
        return None if last is None else SessionEntry(int(last), int(void or 0))

    async def entries(self, session: SessionRef, after: str = "0-0") -> AsyncGenerator[list[Entry], None]:
        """All events after this entry, in log order, page by page. Raises StoreUnavailable."""
        known = await self.find(session)
        if known is None:
            return
        last, count = max(place(after), (known.void_ms, _LAST)), _FIRST_PAGE
        while True:
            head, _ = await self._read_log(session, last, 1)
            async for page in self._archived(session, last):
                yield page
                last = place(page[-1].id)
            while True:
                head_now, raw = await self._read_log(session, last, count)
                if head_now != head:
                    break  # its first entries were moved while we read: they are in the archive now
                for begin in range(0, len(raw), _SLICE):
                    if entries := decode_entries(raw[begin : begin + _SLICE]):
                        yield entries
                    await self._pace(min(_SLICE, len(raw) - begin))
                if len(raw) < count:
                    return
                last, count = place(raw[-1][0].decode()), next_count(raw, _PAGE)

    async def lines(self, session: SessionRef, after: str = "0-0") -> AsyncGenerator[bytes, None]:
        """The same as the lines of an exported file, in pieces of many."""
        async for page in self.entries(session, after):
            yield b"".join(map(write_line, page))

    async def turns(self, session: SessionRef) -> list[RecordedTurn]:
        """The session's turns by their start, those that go on too. Raises StoreUnavailable."""
        turns = SessionTurns()
        async for page in self.entries(session):
            for entry in page:
                turns.feed(entry)
        return turns.all()

    async def turn(self, turn: TurnRef) -> TurnLog | None:
        """Return the session's log from a turn's start on; None where the turn isn't kept."""
        known, log = await asyncio.gather(self.find(turn.session), read_turn(self._stores, turn))
        if known is None or log:
            return log if known and log and log.start_ms > known.void_ms else None
        found: list[Entry] = []
        async for page in self.entries(turn.session):
            for entry in page:
                begins = isinstance(entry.event, TurnStarted) and entry.event.turn == turn.turn
                if found or begins:
                    found.append(entry)
        return TurnLog.of(found)

    async def recorded(self, turn: TurnRef) -> tuple[RecordedTurn | None, int]:
        """Return a turn, if it is kept, and when it ended, ms since 1970; 0 where it has not."""
        if (log := await self.turn(turn)) is None:
            return None, 0
        turns = SessionTurns()
        for entry in log.entries:
            turns.feed(entry)
        recorded = next((each for each in turns.all() if each.started.turn == turn.turn), None)
        return recorded, log.ended_ms or 0

    async def last_turn(self, session: SessionRef) -> str | None:
        """The id of a session's latest turn; None where none is kept. Raises StoreUnavailable."""
        found = await last_turn(self._stores, session)
        if found is None:
            async for page in self.entries(session):
                for entry in page:
                    found = entry.event.turn if isinstance(entry.event, TurnStarted) else found
        return found

    async def delete(self, session: SessionRef) -> bool:
        """Delete a session wherever it is; whether there was one. Raises StoreUnavailable."""
        return await delete_session(self._stores, self._archive, session)

    async def drop_void(self, session: SessionRef, void_ms: int) -> None:
        """Drop what a deleted session has left, nothing of a new one. Raises StoreUnavailable."""
        await drop_void(self._stores, self._archive, session, void_ms)

    async def _read_log(
        self, session: SessionRef, last: tuple[int, int], count: int
    ) -> tuple[Any, list[Any]]:
        """The id of the log's first entry, and at the same moment a page of what it has after a place."""
        key, after = keys.log(session), f"({last[0]}-{last[1]}"
        async with self._gate(session.tenant):
            first, raw = await self._stores.on_log.run(
                lambda pipe: (pipe.xrange(key, count=1), pipe.xrange(key, min=after, count=count))
            )
        return first[0][0] if first else None, raw

    async def _archived(
        self, session: SessionRef, last: tuple[int, int]
    ) -> AsyncGenerator[list[Entry], None]:
        lines = await self._archive.read(session) if self._archive else []
        for begin in range(0, len(lines), _SLICE):
            read = map(_read_line, lines[begin : begin + _SLICE])
            if entries := [entry for entry in read if entry and place(entry.id) > last]:
                yield entries
            await self._pace(min(_SLICE, len(lines) - begin))


async def _no_pace(events: int) -> None:
    await asyncio.sleep(0)


def _read_line(line: bytes) -> Entry | None:
    try:
        return read_line(line)
    except ValueError:
        logger.error("passed over a broken line of the archive")  # as in the log: the others still count
        return None
