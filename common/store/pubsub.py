"""Pub/sub that survives its connection: listeners subscribe once, and are told of gaps."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from redis.asyncio.client import PubSub

from common.process.bugs import about
from common.store.redis import Stores, StoreUnavailable, answered_within

logger = logging.getLogger(__name__)
_RETRY_S = 0.2


class Subscriptions:
    """A set of channels on the queue server.

    `on_message(channel, data)` is called for each message; `on_ready(channel)` whenever a subscription takes
    effect, at first and after each reconnect: earlier messages may have been missed.
    """

    def __init__(
        self,
        stores: Stores,
        on_message: Callable[[str, bytes], None],
        on_ready: Callable[[str], None],
    ) -> None:
        self._stores = stores
        self._on_message = on_message
        self._on_ready = on_ready
        self._wanted: set[str] = set()
        self._changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def add(self, channel: str) -> None:
        """Listen to a channel from now on."""
        self._wanted.add(channel)
        self._changes.put_nowait(("add", channel))

    def drop(self, channel: str) -> None:
        """Stop listening to a channel."""
        self._wanted.discard(channel)
        self._changes.put_nowait(("drop", channel))

    async def run(self) -> None:
        """Listen until cancelled, and reconnect when the connection is lost."""
        while True:
            try:
                async with answered_within(None):
                    await self._listen()
            except StoreUnavailable as error:
                logger.warning("lost the wake-up connection", extra={"error": error.reason})
                await asyncio.sleep(_RETRY_S)

    async def _listen(self) -> None:
        pubsub = self._stores.queue.pubsub()
        try:
            self._changes = asyncio.Queue()
            # One channel that is always there keeps the connection in subscribed mode.
            await pubsub.subscribe("fr:idle", *self._wanted)
            await _first_to_end(self._receive(pubsub), self._apply_changes(pubsub))
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _receive(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=None)
            if message is None:
                continue
            channel = message["channel"].decode()
            try:
                if message["type"] == "message":
                    self._on_message(channel, message["data"])
                elif message["type"] == "subscribe" and channel in self._wanted:
                    self._on_ready(channel)
            except Exception as bug:  # one listener's bug must not silence the others
                logger.error("who listens broke", extra=about(bug))

    async def _apply_changes(self, pubsub: PubSub) -> None:
        while True:
            changes = [await self._changes.get()]
            while not self._changes.empty():
                changes.append(self._changes.get_nowait())
            last = {channel: what for what, channel in changes}
            added = [channel for channel, what in last.items() if what == "add" and channel in self._wanted]
            dropped = [
                channel for channel, what in last.items() if what == "drop" and channel not in self._wanted
            ]
            if added:
                await pubsub.subscribe(*added)
            if dropped:
                await pubsub.unsubscribe(*dropped)


async def _first_to_end(*works: Coroutine[Any, Any, None]) -> None:
    """Run side by side until one of them ends, usually with an error; then stop the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
