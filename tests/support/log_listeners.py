"""A running log reader for the tests, listeners that keep what they hear, and somebody who writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.events import Delta, Entry
from common.log.reader import LogReader
from common.log.stream import append
from common.names import SessionRef
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.store_servers import Backend
from tests.support.stored_turns import subscribed
from tests.support.waiting import end, until

FIRST = "0-1"  # before every entry
NEVER_S = 3600.0


class Heard:
    """A listener that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __call__(self, entries: list[Entry]) -> None:
        self.entries += entries

    @property
    def numbers(self) -> list[int]:
        return [entry.event.at for entry in self.entries if isinstance(entry.event, Delta)]


@asynccontextmanager
async def reading(
    where: Backend | Settings, reread_s: float = NEVER_S
) -> AsyncIterator[tuple[LogReader, Stores]]:
    """A running reader and its stores. Without `reread_s` only wake-ups make it read."""
    settings = where.settings() if isinstance(where, Backend) else where
    async with open_stores(settings) as stores:
        reader = LogReader(stores, reread_s)
        task = asyncio.create_task(reader.run())
        try:
            yield reader, stores
            assert not task.done()
        finally:
            await end(task)


async def write(stores: Stores, session: SessionRef, numbers: range, *, wake: bool = True) -> str:
    """Append an entry for each number; the id of the last."""
    pipe = stores.log.pipeline(transaction=True)
    for number in numbers:
        append(pipe, session, Delta("turn0001", "full", 1, number, "x", 0), create=True)
    *_, last = await pipe.execute()
    if wake:
        await stores.queue.publish(keys.wake(session), b"")
    assert isinstance(last, bytes)
    return last.decode()


async def subscribers(stores: Stores, session: SessionRef) -> int:
    return await subscribed(stores, keys.wake(session))


async def listen(reader: LogReader, stores: Stores, session: SessionRef, after: str = FIRST) -> Heard:
    """A listener whose subscription holds."""
    heard = Heard()
    reader.follow(session, heard)
    reader.read_from(session, after)
    await until(lambda: subscribers(stores, session))
    return heard


async def nobody(stores: Stores, session: SessionRef) -> bool:
    return await subscribers(stores, session) == 0
