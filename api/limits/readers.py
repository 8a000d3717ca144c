"""Limits on reading recordings: requests of a tenant at once, and pages read by them at once.

Pages are read over connections of their own, so that no turn's commands wait behind them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from common.errors import RateLimited

_PAGES = 2  # of a tenant at once, in a process
_EVENT_S = 0.000_05  # loop time that reading, folding and writing an event takes, about
_SHARE = 0.15  # of that time, for all readers together while turns are live


class Readers:
    """Counts a process's readers by tenant, and slows all of them down while turns are live (`busy`)."""

    def __init__(self, most: int, busy: Callable[[], bool] = lambda: False) -> None:
        self._most = most
        self._busy = busy
        self._free_s = 0.0
        self._open: Counter[str] = Counter()
        self._pages: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextmanager
    def reading(self, tenant: str) -> Iterator[None]:
        """Count a request as a reader while it runs. Raises RateLimited if the tenant has too many."""
        if self._open[tenant] >= self._most:
            raise RateLimited(
                f"{self._most} requests of the tenant read recordings already",
                code="too_many_readers",
                kind="requests",
                retry_after_s=1,
                headers={},
            )
        self._open[tenant] += 1
        try:
            yield
        finally:
            self._open[tenant] -= 1
            if not self._open[tenant]:
                del self._open[tenant]

    async def read(self, tenant: str, batches: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the batches while counted as a reader. Raises RateLimited."""
        with self.reading(tenant):
            async with aclosing(batches):
                async for batch in batches:
                    yield batch

    async def pace(self, events: int) -> None:
        """Wait after reading this many events: live turns' tokens go first, and readers share the rest."""
        wait_s = 0.0
        if self._busy():
            now_s = asyncio.get_running_loop().time()
            wait_s = max(self._free_s - now_s, 0.0)
            self._free_s = now_s + wait_s + events * _EVENT_S / _SHARE
        await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def page(self, tenant: str) -> AsyncIterator[None]:
        """Hold one of the tenant's places for reading a page; its other readers wait."""
        gate, users = self._pages.get(tenant, (asyncio.Semaphore(_PAGES), 0))
        self._pages[tenant] = gate, users + 1
        try:
            async with gate:
                yield
        finally:
            gate, users = self._pages[tenant]
            if users == 1:
                del self._pages[tenant]
            else:
                self._pages[tenant] = gate, users - 1
