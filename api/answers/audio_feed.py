"""Follows what is spoken of turns: woken by the workers' words, read from the queue server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from common.names import TurnRef
from common.speech import stream
from common.speech.stream import Frame, Over, SpeechState
from common.store import keys
from common.store.pubsub import Subscriptions
from common.store.redis import Stores, StoreUnavailable

_PAGE = 50  # frames: half a megabyte at most
_RETRY_S = 0.2


class AudioFeed:
    """One a process: one subscription for all turns, and nothing read while nobody speaks.

    `wait_s`: how long listeners wait for sound that doesn't come.
    """

    def __init__(self, stores: Stores, reread_s: float, wait_s: float) -> None:
        self.wait_s = wait_s
        self._stores = stores
        self._reread_s = reread_s
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._channels = Subscriptions(stores, lambda channel, _: self._ring(channel), self._ring)

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._channels.run()

    async def follow(self, turn: TurnRef) -> AsyncGenerator[list[Frame | Over], None]:
        """The frames that count, from the first to the one that says it is over."""
        channel, bell = keys.spoke(turn), asyncio.Event()
        self._bells.setdefault(channel, set()).add(bell)
        self._channels.add(channel)
        state, after = SpeechState(), "-"
        try:
            while state.over is None:
                bell.clear()
                page = await self._read(turn, after)
                if page:
                    after = f"({page[-1][0].decode()}"
                    yield [counts for entry in stream.decode_all(page) if (counts := state.apply(entry))]
                else:
                    await _wait(bell, self._reread_s)  # a lost wake-up costs a moment
        finally:
            self._bells[channel].discard(bell)
            if not self._bells[channel]:
                del self._bells[channel]
                self._channels.drop(channel)

    async def _read(self, turn: TurnRef, after: str) -> Any:
        while True:
            try:
                (page,) = await self._stores.on_queue.run(
                    lambda pipe: pipe.xrange(keys.audio(turn), min=after, count=_PAGE)
                )
                return page
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_S)

    def _ring(self, channel: str) -> None:
        for bell in self._bells.get(channel, ()):
            bell.set()


async def _wait(bell: asyncio.Event, most_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await bell.wait()
