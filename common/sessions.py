"""A session as one whole, wherever its events are: in Redis, in the archive, or the older part there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from common import keys
from common.archive import Archive
from common.events import Entry, TurnStarted, place
from common.keys import SessionRef, TurnRef
from common.log import decode_entries, read_turn
from common.recording import read_line, write_line
from common.stores import Stores

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of a session. Events up to `void_ms` are a deleted session's of the same name."""

    last_turn_ms: int
    void_ms: int


class Sessions:
    """Reads sessions. One exists where the index has it; its events are the archive's, then the log's."""

    def __init__(self, stores: Stores, archive: Archive | None) -> None:
        self._stores = stores
        self._archive = archive

    async def find(self, session: SessionRef) -> Known | None:
        """What is known of a session; None where there is none. Raises STORE_ERRORS."""

        def build(pipe: Any) -> None:
            pipe.zscore(keys.sessions(session.tenant), session.quoted)
            pipe.zscore(keys.deleted(session.tenant), session.quoted)

        last, void = await self._stores.on_queue.run(build)
        return None if last is None else Known(int(last), int(void or 0))

    async def entries(self, session: SessionRef) -> AsyncIterator[list[Entry]]:
        """All events of a session in log order, page by page. Raises STORE_ERRORS, OSError."""
        known = await self.find(session)
        if known is None:
            return
        after = (known.void_ms, 2**63)
        if self._archive:
            lines = await self._archive.read(session)
            archived = [e for line in lines if (e := read_line(line)) and place(e.id) > after]
            if archived:
                yield archived
                after = place(archived[-1].id)
        key, begin = keys.log(session), f"({after[0]}-{after[1]}"
        while True:
            raw: list[Any] = await self._stores.log.xrange(key, min=begin, count=_PAGE)
            if raw:
                yield decode_entries(raw)
            if len(raw) < _PAGE:
                return
            begin = f"({raw[-1][0].decode()}"

    async def lines(self, session: SessionRef) -> AsyncIterator[bytes]:
        """The same as the lines of an exported file."""
        async for page in self.entries(session):
            for entry in page:
                yield write_line(entry)

    async def turn(self, turn: TurnRef) -> list[Entry]:
        """The events from a turn's start on to the session's end today; none where it isn't kept."""
        if entries := await read_turn(self._stores, turn):
            return entries
        found: list[Entry] = []
        async for page in self.entries(turn.session):
            for entry in page:
                begins = isinstance(entry.event, TurnStarted) and entry.event.turn == turn.turn
                if found or begins:
                    found.append(entry)
        return found
