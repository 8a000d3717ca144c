"""A process that settles whatever is due, without a pause, until it is killed."""

import asyncio
import os
import sys

from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store.redis import open_stores
from workers.accounting.settlement import SettlementJob


async def settle_on(log_url: str, queue_url: str) -> None:
    settings = Settings(redis_url=log_url, queue_url=queue_url or None)
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        settler = SettlementJob(settings, stores, Sessions(stores, None))
        await stores.queue.set(f"test:ready:{os.getpid()}", 1)
        while True:
            await settler.settle()


asyncio.run(settle_on(*sys.argv[1:]))
