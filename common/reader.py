"""The woken reader: one per process, reads each followed session once, however many follow it.

Pub/sub only says where to look. The log is the truth, and every session is looked at again now and then,
so a lost wake-up costs a moment and never an answer.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from common import keys
from common.channels import Channels
from common.events import Entry, place
from common.keys import SessionRef
from common.log import decode_entries
from common.stores import STORE_ERRORS, Stores

logger = logging.getLogger(__name__)

_PAGE = 500
_RETRY_S = 0.1

Listener = Callable[[list[Entry]], None]


@dataclass(slots=True)
class _Followed:
    session: SessionRef
    after: str = ""  # the id of the last entry read; empty until it is known where to begin
    read_s: float = 0.0  # when, by the event loop's clock
    listeners: list[Listener] = field(default_factory=list)


class LogReader:
    """Calls listeners with the new entries of their sessions, in log order. Listeners must not block."""

    def __init__(self, stores: Stores, reread_s: float) -> None:
        self._stores = stores
        self._reread_s = reread_s
        self._sessions: dict[str, _Followed] = {}
        self._woken: set[str] = set()
        self._bell = asyncio.Event()
        self._channels = Channels(stores, lambda channel, _: self._wake(channel), self._wake)

    def follow(self, session: SessionRef, listener: Listener) -> None:
        """Call the listener with the session's entries, once `read_from` has said where to begin.

        A session may be followed already, so a listener can see entries from before its own turn, and entries
        again, and must look at their ids.
        """
        channel = keys.wake(session)
        followed = self._sessions.get(channel)
        if followed is None:
            followed = self._sessions[channel] = _Followed(session)
            self._channels.add(channel)
        followed.listeners.append(listener)

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
        followed.listeners.remove(listener)
        if not followed.listeners:
            del self._sessions[channel]
            self._channels.drop(channel)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._channels.run())
            tasks.create_task(self._look_again())
            tasks.create_task(self._read_woken())

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
            except STORE_ERRORS as error:
                logger.warning("could not read the log", extra={"error": type(error).__name__})
                self._woken.update(woken)
                await asyncio.sleep(_RETRY_S)
                self._bell.set()

    async def _read(self, woken: dict[str, _Followed]) -> None:
        pipe = self._stores.log.pipeline(transaction=False)
        for followed in woken.values():
            pipe.xrange(keys.log(followed.session), min=f"({followed.after}", count=_PAGE)
        replies = await pipe.execute()
        now = asyncio.get_running_loop().time()
        for (channel, followed), raw in zip(woken.items(), replies, strict=True):
            followed.read_s = now
            if not raw:
                continue
            followed.after = raw[-1][0].decode()
            entries = decode_entries(raw)
            for listener in tuple(followed.listeners):
                try:
                    listener(entries)
                except Exception:  # a bug that one turn meets must not end the others
                    logger.exception("a listener broke", extra={"channel": channel})
            if len(raw) == _PAGE:
                self._wake(channel)
