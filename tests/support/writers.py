"""A publisher's writers for the tests, each with a turn of its own in the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from common.events import LaneStarted, TurnStarted
from common.log.stream import append, append_now
from common.names import SessionRef, TurnRef
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.lane_state import LaneState
from common.turn.policy import Policy
from common.turn.version import FOLD_VERSION
from tests.support.store_servers import Backend
from tests.support.stored_turns import fold, job, turn_entries
from tests.support.tcp_proxy import Proxy, log_behind_proxy
from tests.support.waiting import end, until
from workers.lanes.publisher import LaneWriter, Publisher


@asynccontextmanager
async def publishing(where: Backend | Settings) -> AsyncIterator[tuple[Publisher, Stores]]:
    """A running publisher, and stores of the test's own beside it."""
    settings = where.settings() if isinstance(where, Backend) else where
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        publisher = Publisher(stores)
        task = asyncio.create_task(publisher.run())
        try:
            # Its first commit finds a new connection and looks for losses; the tests begin after that.
            warm_up = await Pen.take(publisher, stores, "warm-up")
            await warm_up.writer.finish("stop", None)
            publisher.close(warm_up.writer)
            yield publisher, stores
            assert not task.done()
        finally:
            await end(task)


@dataclass(frozen=True)
class Pen:
    """One attempt's writer, and the turn that it writes for. `stores` are the test's eyes."""

    turn: TurnRef
    writer: LaneWriter
    publisher: Publisher
    stores: Stores

    @staticmethod
    async def take(publisher: Publisher, stores: Stores, session: str = "s1") -> "Pen":
        """Begin a turn and the full's first attempt in the log."""
        turn = TurnRef(SessionRef("default", session), "turn0001")
        lanes: dict[str, dict[str, object]] = {"draft": {}, "full": {}}
        policy = Policy().model_dump(mode="json")
        begun = TurnStarted(turn.turn, "fast-reply", {"messages": []}, policy, lanes, "on", 1, FOLD_VERSION)
        pipe = stores.log.pipeline(transaction=True)
        append(pipe, turn.session, begun, create=True)
        await pipe.execute()
        return await _begin(publisher, stores, turn, 1)

    async def next_attempt(self) -> "Pen":
        """Begin the attempt after this one."""
        return await _begin(self.publisher, self.stores, self.turn, self.writer.job.attempt + 1)

    async def lane(self) -> LaneState:
        """The full lane as the log tells it."""
        folded, _ = fold(await turn_entries(self.stores, self.turn))
        return folded.full

    async def text(self) -> str:
        return str((await self.lane()).text)


async def _begin(publisher: Publisher, stores: Stores, turn: TurnRef, attempt: int) -> Pen:
    begun = LaneStarted(turn.turn, "full", attempt, f"w:{attempt}")
    await append_now(stores, turn.session, begun)
    entries = await turn_entries(stores, turn)
    known = fold(entries)[0].full
    writer = publisher.open(begun, job(turn, attempt), entries[0].ms, known)
    return Pen(turn, writer, publisher, stores)


@asynccontextmanager
async def behind_proxy(backend: Backend) -> AsyncIterator[tuple[Proxy, Publisher, Stores]]:
    """A publisher that reaches the log through a proxy, and stores that reach it directly."""
    async with (
        open_stores(backend.settings()) as eyes,
        log_behind_proxy(backend) as (proxy, settings),
        publishing(settings) as (publisher, _),
    ):
        yield proxy, publisher, eyes


async def lose_tail(eyes: Stores, pen: Pen, entries: int) -> None:
    """Take the log's last entries away, as a server does that comes back with an older file."""
    key = keys.log(pen.turn.session)
    for entry_id, _ in await eyes.log.xrevrange(key, count=entries):
        await eyes.log.xdel(key, entry_id)


async def say(pen: Pen, *words: str) -> None:
    """Say words, each an entry of its own."""
    for word in words:
        whole = str(await pen.text()) + word
        pen.writer.append_text(word)
        await until(lambda whole=whole: _says(pen, whole))


async def _says(pen: Pen, whole: str) -> bool:
    return await pen.text() == whole
