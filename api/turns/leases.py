"""The leases of the turns that live here: renewed while this replica lives, so that others let them be."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from api.turns.followers import Followers
from api.turns.live import LiveTurn
from common import driver
from common.names import TurnRef
from common.queue import job_queue
from common.settings import Settings
from common.store.redis import Pipeline, Stores, StoreUnavailable

logger = logging.getLogger(__name__)

_RETRY_S = 0.1


class TurnLeases:
    """Renews the leases of `live`, the turns of this replica by their names."""

    def __init__(
        self, settings: Settings, stores: Stores, followers: Followers, live: Mapping[str, LiveTurn]
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._followers = followers
        self._live = live
        self._known = False  # whether the queue's server has heard of us
        self._steps = stores.log_clock.steps

    def hold(self, pipe: Pipeline, turns: Iterable[TurnRef]) -> None:
        """Queue the word that these turns are driven here, until it is due again."""
        until_ms = self._stores.queue_clock.now_ms() + self._settings.turn_lease_ms
        job_queue.hold_turns(pipe, turns, until_ms)

    async def run(self) -> None:
        """Renew the leases of all live turns until cancelled."""
        period_s = self._settings.turn_lease_s / 4
        while True:
            wait_s = period_s
            try:
                await self.renew()
            except StoreUnavailable as error:
                logger.warning("could not renew the turns' leases", extra={"error": error.reason})
                self._followers.lose_touch()
                wait_s = min(period_s, _RETRY_S)  # others may be waiting to see whether we live
            await asyncio.sleep(wait_s)

    async def renew(self) -> None:
        """Renew them now, in one round trip. Raises StoreUnavailable."""
        if self._stores.log_clock.steps != self._steps:
            self._steps = self._stores.log_clock.steps
            for live in self._live.values():
                live.reset_timer()
        held = [live for live in self._live.values() if not live.closed.is_set()]

        def build(pipe: Pipeline) -> None:
            self._followers.beat(pipe)
            if held:
                self.hold(pipe, [live.turn for live in held])
                self._followers.hold(pipe, [live.turn for live in held if live.followers])

        is_new, *_ = await self._stores.on_queue.run(build)
        self._followers.keep_touch()
        if is_new and self._known:  # our beat was gone, so all else may be
            await self._list_anew(held)
        self._known = True

    async def _list_anew(self, held: list[LiveTurn]) -> None:
        """The queue's server has lost what it had, or has not heard of us for long: put the live turns back.

        Their lanes go on where their workers live, else the sweep finds them; those not begun get new jobs.
        """
        lease_ms = self._settings.lane_lease_ms

        def put(pipe: Pipeline) -> None:
            for live in held:
                job_queue.register_turn(pipe, live.turn, live.start_ms, live.fold.policy.deadline_ms)
                driver.watch_lanes(self._stores, pipe, live.turn, live.fold, lease_ms)

        await self._stores.on_queue.run(put)
        logger.warning("the queue had forgotten this replica", extra={"turns": len(held)})
