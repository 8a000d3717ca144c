"""Marks a lapsed turn before it is folded and unmarks it after, so that a fold that kills does so twice at
most.

The mark stands on the queue server, by turn: how many have died at the turn, or seem to, with the one who
folds it now. The next who comes parks a turn that has cost two.
"""

import logging
from typing import Literal

from common.names import TurnRef
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.store.scripts import script

logger = logging.getLogger(__name__)

Verdict = Literal["fold", "busy", "park"]

_MOST_LOST = 2

_BEGIN, _DRIVE = script("fold_begins"), script("sweep_drives")


class CrashMarks:
    """The marks of one sweeper. `hold_ms`: who folds for longer has died of it, or hangs."""

    def __init__(self, stores: Stores, hold_ms: int) -> None:
        self._stores = stores
        self._hold_ms = hold_ms
        self._back: set[str] = set()  # turns whose fold came back, which is yet to be written

    async def begin(self, turn: TurnRef, *, worker_lost: bool, driver_lapsed: bool) -> Verdict:
        """Decide if the turn may be folded now. Raises StoreUnavailable.

        `worker_lost`: it has just cost a worker; `driver_lapsed`: or a driver, if it was no sweeper.
        """
        back = self._back.copy()

        def build(pipe: Pipeline) -> None:
            if back:
                pipe.hdel(keys.FOLDING, *back)
            args = str(turn), self._hold_ms, int(worker_lost), int(driver_lapsed)
            pipe.eval(_BEGIN, 1, keys.FOLDING, *map(str, args))

        try:
            *_, verdict = await self._stores.on_queue.run(build)
        except BaseException:
            self.came_back(turn)  # it may stand there, and we did not fold
            raise
        self._back -= back
        said: Verdict = verdict.decode()
        return said

    async def has_cost_too_many(self, turn: TurnRef) -> bool:
        """Note that a turn has cost a replica, unless the sweep drives it; whether that was the second.

        Raises StoreUnavailable.
        """
        ours, *_ = await self._stores.on_queue.run(lambda pipe: pipe.hexists(keys.FOLDING, f"{turn}|sweep"))
        if ours:
            return False
        lost, *_ = await self._stores.on_queue.run(lambda pipe: pipe.hincrby(keys.FOLDING, f"{turn}|lost", 1))
        return int(lost) >= _MOST_LOST

    def came_back(self, turn: TurnRef) -> None:
        """The turn was folded, and we live: its mark goes with the next word to the server."""
        self._back.add(str(turn))

    async def write(self) -> None:
        """Take the marks away of what came back. Raises StoreUnavailable; then it is done the next time."""
        if back := self._back.copy():
            await self._stores.on_queue.run(lambda pipe: pipe.hdel(keys.FOLDING, *back))
            self._back -= back


def drive(pipe: Pipeline, turn: TurnRef, claimed_until_ms: int) -> None:
    """Mark the turn as driven by the sweep, so that nobody is lost when it looks again.

    Who took it over since the sweep claimed its lease keeps it.
    """
    pipe.eval(_DRIVE, 2, keys.LEASES, keys.FOLDING, str(turn), str(claimed_until_ms))
