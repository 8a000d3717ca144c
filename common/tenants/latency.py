"""Recent times to the first token of each profile's full model; the adaptive draft decides by them."""

import asyncio
import logging

from common.store import keys
from common.store.redis import Stores, StoreUnavailable

logger = logging.getLogger(__name__)

KEPT = 50  # first-token times that are kept and compared
_FRESH_S = 2.0
_SLOW_SHARE = 0.3  # of the recent turns that may be slow before a draft is worth its tokens


class FirstTokenLatency:
    """First-token times by tenant and profile, shared by all processes.

    A process refreshes every two seconds those that it was asked for.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._recent: dict[tuple[str, str], list[int]] = {}

    def is_slow(self, tenant: str, profile: str, slow_ms: int) -> bool:
        """Return True if the full is expected to take longer than `slow_ms`. What is not known yet counts
        as slow.
        """
        recent = self._recent.setdefault((tenant, profile), [])
        return not recent or sum(ms > slow_ms for ms in recent) > _SLOW_SHARE * len(recent)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            try:
                await self._look()
            except StoreUnavailable as error:
                logger.warning("could not read the models' pace", extra={"error": error.reason})
            await asyncio.sleep(_FRESH_S)

    async def _look(self) -> None:
        asked = list(self._recent)
        if not asked:
            return
        pipe = self._stores.queue.pipeline(transaction=False)
        for tenant, profile in asked:
            pipe.lrange(keys.pace(tenant, profile), 0, KEPT - 1)
        for name, times in zip(asked, await pipe.execute(), strict=True):
            self._recent[name] = [int(ms) for ms in times]


async def note(stores: Stores, tenant: str, profile: str, first_token_ms: int) -> None:
    """Add one first-token time. Raises StoreUnavailable."""
    key = keys.pace(tenant, profile)
    await stores.on_queue.run(lambda pipe: (pipe.lpush(key, first_token_ms), pipe.ltrim(key, 0, KEPT - 1)))
