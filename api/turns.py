"""The turns that live on this replica: opened, watched over, let go."""

import asyncio
import logging
from collections.abc import Coroutine

from api.live import LiveTurn
from api.requests import TurnRequest
from api.start import TurnStarter
from common import queue
from common.errors import Unavailable
from common.reader import LogReader
from common.sessions import Sessions
from common.settings import Settings
from common.stores import STORE_ERRORS, Stores

logger = logging.getLogger(__name__)


class Turns:
    """Starts turns and keeps their leases; a turn stays until its ending is written and nobody reads it."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        reader: LogReader,
        sessions: Sessions,
        starter: TurnStarter,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._reader = reader
        self._sessions = sessions
        self._starter = starter
        self._live: dict[str, LiveTurn] = {}
        self._minded: set[asyncio.Task[None]] = set()

    async def start(self, request: TurnRequest) -> LiveTurn:
        """Start a turn and follow it. Raises BadRequest, or Unavailable where a store is away."""
        turn, started = self._starter.plan(request)
        live = LiveTurn(self._stores, turn, started, self._settings.lane_lease_ms)
        # Before the start, so that no entry can come between it and our listening.
        self._reader.follow(turn.session, live.take)
        try:
            entry = await asyncio.wait_for(self._starter.write(turn, started), self._settings.redis_timeout_s)
        except STORE_ERRORS as error:
            self._reader.leave(turn.session, live.take)
            logger.warning("could not start a turn", extra={"error": type(error).__name__})
            raise Unavailable("the store is away; try again", code="store_unavailable") from None
        except BaseException:
            self._reader.leave(turn.session, live.take)
            raise
        live.begin(entry)
        self._reader.read_from(turn.session, entry.id)
        self._live[str(turn)] = live
        self._mind(self._let_go(live))
        return live

    def client_left(self, live: LiveTurn) -> None:
        """A client went away before the end: after its grace the turn is stopped, unless it is to go on."""
        self._mind(self._grant_grace(live))

    async def _grant_grace(self, live: LiveTurn) -> None:
        if live.fold.policy.on_disconnect == "continue":
            return
        try:
            await asyncio.wait_for(live.closed.wait(), self._settings.resume_grace_s)
        except TimeoutError:
            if live.followers:
                return
            try:
                await live.interrupt("disconnect")
            except STORE_ERRORS:
                logger.warning("could not stop a turn without a client; its deadline will")

    async def run(self) -> None:
        """Renew the leases of all live turns until cancelled."""
        period_s = self._settings.turn_lease_s / 4
        while True:
            try:
                await self._renew()
            except STORE_ERRORS as error:
                logger.warning("could not renew the turns' leases", extra={"error": type(error).__name__})
            await asyncio.sleep(period_s)

    def close(self) -> None:
        """Let go of every turn; the sweep or another replica goes on with them."""
        for live in self._live.values():
            live.stop()
        for task in self._minded:
            task.cancel()

    async def _renew(self) -> None:
        await self._stores.sync_clocks()
        held = [live.turn for live in self._live.values() if not live.closed.is_set()]
        if held:
            deadline_ms = self._stores.queue_clock.now_ms() + self._settings.turn_lease_ms
            pipe = self._stores.queue.pipeline(transaction=False)
            queue.hold_turns(pipe, held, deadline_ms)
            await pipe.execute()

    async def _let_go(self, live: LiveTurn) -> None:
        await live.closed.wait()
        self._reader.leave(live.turn.session, live.take)
        del self._live[str(live.turn)]

    def _mind(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._minded.add(task)
        task.add_done_callback(self._minded.discard)
