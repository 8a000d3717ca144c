"""A queue worker for `bench.pickup`: tells Redis when its jobs start.

`python -m bench.pickup_worker ours|plain REDIS_URL SLOTS`: our job runner, or arq's worker as it comes.
"""

import asyncio
import sys
from time import monotonic
from typing import Any

import orjson
import uvloop
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Function, Worker, func
from redis.asyncio import Redis

from common.queue.job_queue import RUN_LANE
from common.store.redis import connect
from workers.runner import JobRunner

STARTED = "bench:started"
"""List: [turn, monotonic seconds] of each job as it starts."""
READY = "bench:ready"
"""Number: workers that are about to take jobs."""
RUNNING = "bench:running"
"""Number: jobs that hold."""
RELEASED = "bench:released"
"""String: there once the holding jobs may end."""
PLAIN_QUEUE = "bench:plain"
HOLD = "hold"
"""Session of jobs that hold until they are released."""

_LOOK_S = 0.1
_HOLD_S = 30.0


async def _job(ctx: dict[str, Any], tenant: str, session: str, turn: str, lane: Any, attempt: int) -> None:
    started_s = monotonic()
    redis: Redis = ctx["redis"]
    if session != HOLD:
        await redis.rpush(STARTED, orjson.dumps([turn, started_s]))  # type: ignore[misc]
        return
    await redis.incr(RUNNING)
    for _ in range(int(_HOLD_S / _LOOK_S)):
        if await redis.exists(RELEASED):
            break
        await asyncio.sleep(_LOOK_S)


async def _run_ours(url: str, slots: int) -> None:
    redis = connect(url, timeout_s=5.0)
    runner = JobRunner("full", redis, _job, slots=slots, timeout_s=60.0, lease_ms=60_000)
    await redis.incr(READY)
    await runner.main()


async def _run_plain(url: str, slots: int) -> None:
    redis: ArqRedis = await create_pool(RedisSettings.from_dsn(url))
    function: Function = func(_job, name=RUN_LANE)
    worker = Worker(
        [function],
        queue_name=PLAIN_QUEUE,
        redis_pool=redis,
        max_jobs=slots,
        handle_signals=False,
        keep_result=0,
    )
    await redis.incr(READY)
    await worker.main()


if __name__ == "__main__":
    _kind, _url, _slots = sys.argv[1:]
    uvloop.run((_run_ours if _kind == "ours" else _run_plain)(_url, int(_slots)))
