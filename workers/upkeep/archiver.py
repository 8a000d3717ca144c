"""The archiver: moves what rests in a session's log to the archive, and only then out of the log.

Every step may be done twice, late, or beside another archiver; whatever dies in between, readers put archive
and log together by the entries' ids and see each once.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import WatchError

from common.events import TurnEnded, TurnStarted, place
from common.log import kept_bytes
from common.log.stream import decode_entries
from common.names import SessionRef, TurnRef
from common.records.recording import raw_line
from common.sessions.archive import Archive, id_of
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, answered_within

_PAGE = 250
_LIST_AGAIN_MS = 60_000  # whoever settles the turn does it sooner

Place = tuple[int, int]


@dataclass(slots=True)
class _Log:
    """A session's log as it was read: its lines in order, and at which of them its turns begin."""

    lines: dict[Place, bytes] = field(default_factory=dict)
    last: str = ""
    starts: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)  # turns that have not ended, or are yet to be rewritten
    private: set[str] = field(default_factory=set)  # turns of which not all is to be kept
    clear: set[str] = field(default_factory=set)  # those of them that have ended, and are as they were

    def take(self, raw: list[Any]) -> None:
        for entry_id, fields in raw:
            self.last = entry_id.decode()
            if b"turn.started" in fields or b"turn.ended" in fields:
                self._mark([(entry_id, fields)])
            self.lines[place(self.last)] = raw_line(entry_id, fields)

    def _mark(self, raw: list[Any]) -> None:
        for entry in decode_entries(raw):
            turn = entry.event.turn
            if isinstance(entry.event, TurnStarted) and turn not in self.starts:
                self.starts[turn] = len(self.lines)
                self.open.add(turn)
                if entry.event.record != "full":
                    self.private.add(turn)
            elif isinstance(entry.event, TurnEnded):
                self.open.discard(turn)
                if turn in self.private and entry.event.record == "full":
                    self.clear.add(turn)

    def cut(self, keep: int) -> Place | None:
        """Return where the log is to begin so that it has at most `keep` entries, as far as whole turns
        allow.

        The latest turn stays, and so does all from the oldest one that has not ended.
        """
        begin = 0
        for turn, index in self.starts.items():
            if len(self.lines) - begin <= keep:
                break
            begin = index
            if turn in self.open:
                break
        return list(self.lines)[begin] if begin else None


class Archiver:
    """Moves sessions. Raises StoreUnavailable, ArchiveUnavailable."""

    def __init__(self, stores: Stores, archive: Archive | None) -> None:
        self._stores = stores
        self._archive = archive
        self._sessions = Sessions(stores, archive)

    async def move(self, session: SessionRef) -> bool:
        """Move a session to the archive, unless one of its turns goes on; whether its log is gone."""
        log = await self._read(session)
        if not log.lines:
            return True
        if log.open:
            await self._drop_archived(session)
            return False
        return await self._save(session, log.lines) and await self.drop_log(session, log.last)

    async def trim(self, session: SessionRef, keep: int) -> None:
        """Let a log lose its oldest turns until it has `keep` entries; to the archive, where there is one."""
        log = await self._read(session)
        begin = log.cut(keep)
        if begin is None:
            return
        moved = {at: line for at, line in log.lines.items() if at < begin}
        if self._archive is None or await self._save(session, moved):
            await self._cut(session, begin)
            size = kept_bytes.size_of_lines(moved.values())
            await self._stores.on_queue.run(lambda pipe: kept_bytes.shrink(pipe, session, size))

    async def drop_log(self, session: SessionRef, last: str) -> bool:
        """Delete a log if nothing has come after this entry; whether it is gone."""
        key = keys.log(session)
        within = answered_within(self._stores.log.timeout_s)
        async with within, self._stores.log.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            latest: list[Any] = await pipe.xrevrange(key, count=1)
            if latest and latest[0][0].decode() != last:
                return False
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.delete(key)
            try:
                await pipe.execute()
            except WatchError:
                return False  # something has just been appended: the next round will see
        await self._stores.on_queue.run(lambda pipe: kept_bytes.drop(pipe, session))
        return True

    async def _drop_archived(self, session: SessionRef) -> None:
        """Take out of a log what a crash has left in both places. No turn that goes on is among it."""
        assert self._archive is not None, "nothing is archived without an archive"
        if last := await self._archive.last(session):
            await self._cut(session, (last[0], last[1] + 1))

    async def _cut(self, session: SessionRef, begin: Place) -> None:
        first = f"{begin[0]}-{begin[1]}"
        await self._stores.log.xtrim(keys.log(session), minid=first, approximate=False)

    async def _read(self, session: SessionRef) -> _Log:
        log, begin = _Log(), "-"
        while True:
            raw: list[Any] = await self._stores.log.xrange(keys.log(session), min=begin, count=_PAGE)
            log.take(raw)
            if len(raw) < _PAGE:
                break
            begin = f"({log.last}"
        if log.private:
            await self._hold_private(session, log)
        return log

    async def _hold_private(self, session: SessionRef, log: _Log) -> None:
        """Keep what is to be masked or dropped until that is done, and list it for the redactor."""
        members = {turn: str(TurnRef(session, turn)) for turn in sorted(log.private)}
        due = await self._stores.queue.zmscore(keys.REDACTING, list(members.values()))
        listed = {turn for turn, score in zip(members, due, strict=True) if score is not None}
        log.open |= log.clear | listed
        if lost := log.clear - listed:
            later_ms = self._stores.queue_clock.now_ms() + _LIST_AGAIN_MS
            await self._stores.queue.zadd(keys.REDACTING, {members[turn]: later_ms for turn in lost}, nx=True)

    async def _save(self, session: SessionRef, lines: dict[Place, bytes]) -> bool:
        """See that the archive has these lines; False where the session has been deleted."""
        assert self._archive is not None, "nothing is archived without an archive"
        known = await self._sessions.find(session)
        if known is None:
            return False
        archived = await self._archive.read(session)
        merged = await asyncio.to_thread(_merge, archived, lines, known.void_ms)
        if not merged:
            return True
        await self._archive.write(session, merged)
        now = await self._sessions.find(session)
        if now and now.void_ms == known.void_ms:
            return True
        # A deletion came meanwhile, and has looked for the file too early.
        await self._archive.delete(session, place(id_of(merged[-1]))[0])
        return False


def _merge(archived: list[bytes], lines: dict[Place, bytes], void_ms: int) -> list[bytes]:
    """Both as one, in order, each entry once, without a deleted session's of the same name."""
    merged = {place(id_of(line)): line for line in archived} | lines
    return [merged[at] for at in sorted(merged) if at[0] > void_ms]
