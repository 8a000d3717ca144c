"""A process that sweeps without a pause, and is killed by the fold of a turn that says a certain word."""

import asyncio
import os
import signal
import sys

from common.events import Delta, Event
from common.settings import Settings
from common.store.redis import open_stores
from common.turn.fold import Fold
from common.turn.outputs import Output
from workers.upkeep.sweep import Sweep

_WORD = "deadly"
_feed = Fold.feed


def _deadly_feed(self: Fold, event: Event, at_ms: int) -> list[Output]:
    """Folds as ever, but for a text that takes the process along, as want of memory would."""
    if isinstance(event, Delta) and event.turn == self.turn and _WORD in event.text:
        os.kill(os.getpid(), signal.SIGKILL)
    return _feed(self, event, at_ms)


async def sweep_on(log_url: str, queue_url: str, lease_s: str) -> None:
    Fold.feed = _deadly_feed  # type: ignore[method-assign]
    settings = Settings(
        redis_url=log_url, queue_url=queue_url or None, turn_lease_s=float(lease_s), sweep_s=0.05
    )
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        sweep = Sweep(settings, stores, f"w:{os.getpid()}")
        sweep.patience = 0
        await sweep.run()


asyncio.run(sweep_on(*sys.argv[1:]))
