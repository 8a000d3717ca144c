"""Who reads recordings: so many requests of a tenant at once, and of these so few pages at once.

Pages come over connections of their own, so that no turn's commands wait behind them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from common.errors import RateLimited

_PAGES = 2  # of a tenant, in a process


class Readers:
    """Counts a process's readers by tenant."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()
        self._pages: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @contextmanager
    def reading(self, tenant: str) -> Iterator[None]:
        """While a request reads. Raises RateLimited where too many of the tenant's do."""
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
        """The batches, as a reader. Raises RateLimited."""
        with self.reading(tenant):
            async with aclosing(batches):
                async for batch in batches:
                    yield batch

    @asynccontextmanager
    async def page(self, tenant: str) -> AsyncIterator[None]:
        """While a page is read: a tenant's others wait for it."""
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
