"""A process that archives and trims whatever it finds, without a pause, until it is killed."""

import asyncio
import os
import sys

from common.sessions.archive import open_archive
from common.settings import Settings
from common.store import keys
from common.store.redis import open_stores
from workers.upkeep.retention import RetentionJob


async def keep_on(log_url: str, queue_url: str, archive_url: str) -> None:
    settings = Settings(
        redis_url=log_url,
        queue_url=queue_url or None,
        archive_url=archive_url,
        archive_after_s=0,
        retention_events=12,
    )
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        keeper = RetentionJob(settings, stores, f"w:{os.getpid()}", open_archive(archive_url))
        sys.stdin.readline()
        await stores.queue.set(f"test:ready:{os.getpid()}", 1)
        while True:
            # Whoever held it before was killed, or keeps at the same time: it must do no harm.
            await stores.queue.delete(keys.KEEPING)
            await keeper.run_once()


asyncio.run(keep_on(*sys.argv[1:]))
