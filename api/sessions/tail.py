"""A session's events for one client: those that stand there, then those that come."""

import asyncio
from collections.abc import AsyncGenerator

from common.events import Entry, place
from common.log.reader import LogReader
from common.names import SessionRef
from common.sessions.sessions import Sessions

_MOST = 500  # entries kept for a client that is slow; what is more it reads from the log


class Tail:
    """Follows one session for one client, however slow, with the replica's one reader and bounded memory."""

    def __init__(self, sessions: Sessions, reader: LogReader, session: SessionRef) -> None:
        self._sessions = sessions
        self._reader = reader
        self._session = session
        self._bell = asyncio.Event()
        self._fresh: list[Entry] = []
        self._behind = True  # what comes is not kept: it is to be read from the log
        self._log_is_gone = False

    async def pages(self, after: str) -> AsyncGenerator[list[Entry], None]:
        """The entries after this one, until the session is deleted. Raises StoreUnavailable."""
        self._reader.follow(self._session, self._take, self._lose_log)
        known, reading = await self._sessions.find(self._session), False
        try:
            while True:
                self._bell.clear()
                if self._log_is_gone:
                    self._log_is_gone = False
                    if await self._sessions.find(self._session) != known:
                        return
                if self._behind:
                    self._behind = False
                    async for page in self._sessions.entries(self._session, after):
                        yield page
                        after = page[-1].id
                    if not reading:
                        self._reader.read_from(self._session, after)
                        reading = True
                fresh, self._fresh = self._fresh, []
                if page := [entry for entry in fresh if place(entry.id) > place(after)]:
                    yield page
                    after = page[-1].id
                await self._bell.wait()
        finally:
            self._reader.leave(self._session, self._take)

    def _take(self, entries: list[Entry]) -> None:
        if len(self._fresh) + len(entries) > _MOST:
            self._fresh, self._behind = [], True
        elif not self._behind:
            self._fresh += entries
        self._bell.set()

    def _lose_log(self) -> None:
        """Its session was deleted, or archived."""
        self._log_is_gone = True
        self._bell.set()
