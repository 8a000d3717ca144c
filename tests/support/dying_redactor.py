"""A process that redacts whatever it finds, without a pause, until it is killed."""

import asyncio
import os
import sys

from common.names import SessionRef
from common.settings import Settings
from common.store import keys
from common.store.redis import open_stores
from workers.redaction.redactor import Redactor


async def redact_on(log_url: str, queue_url: str, session: str) -> None:
    async with open_stores(Settings(redis_url=log_url, queue_url=queue_url or None)) as stores:
        await stores.sync_clocks()
        redactor = Redactor(stores, f"w:{os.getpid()}")
        sys.stdin.readline()
        await stores.queue.set(f"test:ready:{os.getpid()}", 1)
        while True:
            # Whoever held it was killed, or redacts at the same time: it must do no harm.
            await stores.queue.delete(keys.redacting(SessionRef("default", session)))
            for member in await stores.queue.zrange(keys.REDACTING, 0, -1):
                await stores.queue.zadd(keys.REDACTING, {member: 1}, xx=True)
            await redactor.redact()


asyncio.run(redact_on(*sys.argv[1:]))
