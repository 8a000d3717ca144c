"""The woken reader: one per process, reads each followed session once, however many follow it.

Pub/sub only says where to look. The log is the truth, and every session is looked at again now and then,
so a lost wake-up costs a moment and never an answer.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from common.events import Entry, place
from common.log.stream import decode_entries
from common.names import SessionRef
from common.process.bugs import about
from common.store import keys
from common.store.pubsub import Subscriptions
from common.store.redis import Stores, StoreUnavailable

logger = logging.getLogger(__name__)

_PAGE = 500
_RETRY_S = 0.1

Listener = Callable[[list[Entry]], None]
OnDeleted = Callable[[], None]


@dataclass(slots=True)
class _Followed:
    session: SessionRef
    after: str = ""  # the id of the last entry read; empty until it is known where to begin
    read_s: float = 0.0  # when, by the event loop's clock
    at_rest: bool = False  # nothing has come for a while: is the log still there?
    listeners: list[tuple[Listener, OnDeleted | None]] = field(default_factory=list)


class LogReader:
    """Calls listeners with the new entries of their sessions, in log order. Listeners must not block.

    What one of them raises ends nobody's reading: who may raise ends its own turn.
    """

    def __init__(self, stores: Stores, reread_s: float) -> None:
        self._stores = stores
        self._reread_s = reread_s
        self._sessions: dict[str, _Followed] = {}
        self._woken: set[str] = set()
        self._bell = asyncio.Event()
        self._channels = Subscriptions(stores, self._hear, self._wake)

    def follow(self, session: SessionRef, listener: Listener, on_deleted: OnDeleted | None = None) -> None:
        """Call the listener with the session's entries, once `read_from` has said where to begin.

        A session may be followed already, so a listener can see entries from before its own turn, and entries
        again, and must look at their ids. `on_deleted`: called where the log is found to be gone.
        """
        channel = keys.wake(session)
        followed = self._sessions.get(channel)
        if followed is None:
            followed = self._sessions[channel] = _Followed(session)
            self._channels.add(channel)
        followed.listeners.append((listener, on_deleted))

    def read_from(self, session: SessionRef, after: str) -> None:
        """Read a followed session from after this entry id on, or again from there if it was read further."""
        channel = keys.wake(session)
        followed = self._sessions[channel]
        if not followed.after or place(after) < place(followed.after):
            followed.after = after
        self._wake(channel)

    def leave(self, session: SessionRef, listener: Listener) -> None:
        """Stop calling the listener; the last one of a session ends its reading."""
        channel = keys.wake(session)
        followed = self._sessions[channel]
        followed.listeners = [pair for pair in followed.listeners if pair[0] != listener]
        if not followed.listeners:
            del self._sessions[channel]
            self._channels.drop(channel)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._channels.run())
            tasks.create_task(self._look_again())
            tasks.create_task(self._read_woken())

    def _hear(self, channel: str, said: bytes) -> None:
        if said == keys.DELETED and (followed := self._sessions.get(channel)):
            _tell_deleted(followed)
        else:
            self._wake(channel)

    def _wake(self, channel: str) -> None:
        followed = self._sessions.get(channel)
        if followed and followed.after:
            self._woken.add(channel)
            self._bell.set()

    async def _look_again(self) -> None:
        """Wake, a slice at a time, the sessions that nobody has woken for a while."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._reread_s / 4)
            stale = loop.time() - self._reread_s
            for channel, followed in self._sessions.items():
                if followed.read_s < stale:
                    followed.at_rest = True
                    self._wake(channel)

    async def _read_woken(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            woken = {channel: f for channel in self._woken if (f := self._sessions.get(channel))}
            self._woken.clear()
            if not woken:
                continue
            try:
                await self._read(woken)
            except StoreUnavailable as error:
                logger.warning("could not read the log", extra={"error": error.reason})
                self._woken.update(woken)
                await asyncio.sleep(_RETRY_S)
                self._bell.set()
            except Exception as bug:  # the sessions are looked at again in a while
                logger.error("could not read the log", extra=about(bug))
                await asyncio.sleep(_RETRY_S)

    async def _read(self, woken: dict[str, _Followed]) -> None:
        pipe = self._stores.log.pipeline(transaction=False)
        reads = [(channel, followed, followed.after, followed.at_rest) for channel, followed in woken.items()]
        for _, followed, after, at_rest in reads:
            pipe.xrange(keys.log(followed.session), min=f"({after}", count=_PAGE)
            if at_rest:
                pipe.exists(keys.log(followed.session))
        replies = iter(await pipe.execute(raise_on_error=False))
        now = asyncio.get_running_loop().time()
        for channel, followed, after, at_rest in reads:
            raw, is_there = next(replies), next(replies) if at_rest else True
            followed.read_s, followed.at_rest = now, False
            if _is_no_log(raw):
                logger.error("what stands where a session's log should is none")
                continue
            for reply in (raw, is_there):
                if isinstance(reply, Exception):
                    raise reply
            if followed.after != after:
                self._wake(channel)  # it is to be read from further back: who wants that must miss nothing
                continue
            if not is_there and place(after)[0]:  # only before the first entry there may be no log yet
                _tell_deleted(followed)
            if raw:
                followed.after = raw[-1][0].decode()
                _tell(followed, decode_entries(raw))
            if len(raw) == _PAGE:
                self._wake(channel)


def _is_no_log(reply: object) -> bool:
    """Return True if a session's key holds something else. That must not stop the readers of all."""
    return isinstance(reply, StoreUnavailable) and str(reply).startswith("WRONGTYPE")


def _tell(followed: _Followed, entries: list[Entry]) -> None:
    for listener, _ in tuple(followed.listeners):
        try:
            listener(entries)
        except Exception as bug:  # it must not end the others
            logger.error("a listener broke", extra=about(bug))


def _tell_deleted(followed: _Followed) -> None:
    for _, on_deleted in tuple(followed.listeners):
        try:
            if on_deleted:
                on_deleted()
        except Exception as bug:  # likewise
            logger.error("a listener broke", extra=about(bug))
