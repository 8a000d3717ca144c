"""A worker's indexes of documents, alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.settings import Settings
from common.store.redis import open_stores
from tests.support.waiting import end
from workers.knowledge.indexes import Indexes


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[Indexes]:
    """Indexes over connections of their own, as another process has them."""
    async with open_stores(settings) as stores:
        indexes = Indexes(stores)
        task = asyncio.create_task(indexes.run())
        try:
            yield indexes
            assert not task.done()
        finally:
            await end(task)
