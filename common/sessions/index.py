"""The index of sessions, made anew from what there is of them: the queue's server may have lost it.

While it is not known to be whole, a session that is asked for is looked for (`recover`), and a worker goes
through all logs and the archive (`rebuild`). What was deleted is in neither, so it doesn't come back.
"""

import logging

from common.events import Entry, TurnStarted, place
from common.log.stream import decode_entries
from common.names import SessionRef, TurnRef
from common.sessions.archive import Archive
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.turn.turn_log import TurnLog

logger = logging.getLogger(__name__)

_PAGE = 500
_LOG = "fr:{*}:log"
_LEASE_MS = 10_000  # for a driver that lives to say so


class Index:
    """Puts sessions back into the index. All methods raise StoreUnavailable."""

    def __init__(self, stores: Stores, archive: Archive | None) -> None:
        self._stores = stores
        self._archive = archive

    async def is_whole(self) -> bool:
        """Return True if nothing can be missing from the index."""
        return bool(await self._stores.queue.exists(keys.INDEXED))

    async def recover(self, session: SessionRef) -> int | None:
        """Put a session back into the index and return when its last turn started, or None."""
        last = await self._last_start(session)
        if last is None:
            archived = await self._archive.last(session) if self._archive else None
            if archived is None:
                return None
            started_ms, turn = archived[0], None
        else:
            started_ms, turn = last

        def put(pipe: Pipeline) -> None:
            pipe.sadd(keys.KEPT, session.tenant)
            pipe.zadd(keys.sessions(session.tenant), {session.quoted: started_ms}, nx=True)
            if turn:  # it goes on, so somebody has to see to it: whoever drives it, else the sweep
                pipe.zadd(keys.live_turns(session.tenant), {f"{session.quoted}:{turn.turn}": started_ms})
                pipe.zadd(keys.LEASES, {str(turn): self._stores.queue_clock.now_ms() + _LEASE_MS}, nx=True)

        await self._stores.on_queue.run(put)
        return started_ms

    async def rebuild(self) -> int:
        """Put back all that is missing; how many sessions that were."""
        back = 0
        found: list[SessionRef] = []
        async for raw in self._stores.log.scan_iter(match=_LOG, count=_PAGE):
            if session := _session_of(raw.decode()):
                found.append(session)
            if len(found) >= _PAGE:
                back += await self._recover_all(found)
                found = []
        back += await self._recover_all(found)
        if self._archive:
            async for page in self._archive.sessions():
                back += await self._recover_all(page)
        await self._stores.queue.set(keys.INDEXED, b"")
        if back:
            logger.warning("sessions were put back into the index", extra={"sessions": back})
        return back

    async def _recover_all(self, sessions: list[SessionRef]) -> int:
        def look(pipe: Pipeline) -> None:
            for session in sessions:
                pipe.zscore(keys.sessions(session.tenant), session.quoted)
                pipe.zscore(keys.deleted(session.tenant), session.quoted)

        replies = await self._stores.on_queue.run(look)
        known = zip(replies[::2], replies[1::2], strict=True)
        missing = [
            s for s, (there, gone) in zip(sessions, known, strict=True) if there is None and gone is None
        ]
        return sum([await self.recover(session) is not None for session in missing])

    async def _last_start(self, session: SessionRef) -> tuple[int, TurnRef | None] | None:
        """Return when the log saw a turn start last, and which, if it goes on; without a start, its last
        entry.
        """
        before, latest, later = "+", None, list[Entry]()
        while raw := await self._stores.log.xrevrange(keys.log(session), max=before, count=_PAGE):
            latest = latest or place(raw[0][0].decode())[0]
            for entry in decode_entries(raw):
                if isinstance(entry.event, TurnStarted):
                    over = TurnLog(entry.event, [entry, *reversed(later)]).ended
                    return entry.ms, None if over else TurnRef(session, entry.event.turn)
                later.append(entry)
            before = f"({raw[-1][0].decode()}"
        return None if latest is None else (latest, None)


def _session_of(key: str) -> SessionRef | None:
    name = key.removeprefix("fr:{").removesuffix("}:log")
    try:
        return SessionRef.parse(name)
    except ValueError:
        return None
