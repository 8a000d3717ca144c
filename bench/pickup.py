"""Picking jobs up: our job runner beside arq's worker as it comes, on one server.

Pick-up: from the enqueueing to the start of the job's function in another process, one job at a time on an
    idle system. Target: p50 at most 5 ms, p99 at most 25 ms. arq polls each half second.
All at once: ten workers of 20 slots and 200 jobs that hold until all are seen to run. Target: all 200 run.
    arq looks at the 100 oldest jobs only.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from time import monotonic, time

import orjson
from arq.connections import ArqRedis, RedisSettings, create_pool

from bench import report
from bench.pickup_worker import HOLD, PLAIN_QUEUE, READY, RELEASED, RUNNING, STARTED
from bench.report import Result, Table, Value, scaled, spread_ms
from bench.stack import Processes
from common.names import JobRef, SessionRef, TurnRef
from common.queue import job_queue
from common.queue.job_queue import RUN_LANE
from common.store.redis import connect

_JOBS = 300
_PLAIN_EACH = 3  # one job of arq's for this many of ours, as each takes long
_WORKERS, _SLOTS, _HELD = 10, 20, 200
_LEASE_MS = 60_000
_STILL_S = 5.0  # if nothing has started for this long, all have
_AT_MOST_S = 30.0

Put = Callable[[str, str], Awaitable[None]]
"""Queues one job, given its session and turn."""


async def measure(options: argparse.Namespace) -> Result:
    """Both parts."""
    jobs = scaled(options, _JOBS)
    return {
        "enqueued to started": await _pick_up(jobs),
        f"{_HELD} jobs on {_WORKERS} workers of {_SLOTS}": {
            "our runner": await _hold("ours"),
            "arq's worker": await _hold("plain"),
        },
    }


async def _pick_up(jobs: int) -> Table:
    with Processes() as processes:
        url = processes.start_valkey()
        ours, plain = connect(url, timeout_s=5.0), await create_pool(RedisSettings.from_dsn(url))
        await _start(processes, ours, url, "ours", 1)
        await _start(processes, ours, url, "plain", 1)
        times: list[float] = []
        plain_times: list[float] = []
        for number in range(jobs):
            await asyncio.sleep(random.uniform(0.03, 0.1))
            times.append(await _time_one(ours, _put_ours(ours), f"o{number}"))
            if number % _PLAIN_EACH == 0:
                await asyncio.sleep(random.uniform(0, 0.5))  # anywhere between two polls of arq's
                plain_times.append(await _time_one(ours, _put_plain(plain), f"p{number}"))
        await plain.aclose(close_connection_pool=True)
        await ours.aclose(close_connection_pool=True)
    mine, theirs = spread_ms(times), spread_ms(plain_times)
    ratio = {name: float(theirs[name]) / float(mine[name]) for name in ("p50 ms", "p95 ms", "p99 ms")}
    return {"our runner": mine, "arq's worker": theirs, "arq's, in ours": {**ratio}}


async def _time_one(redis: ArqRedis, put: Put, turn: str) -> float:
    put_s = monotonic()
    await put("bench", turn)
    reply = await redis.blpop([STARTED], timeout=4)  # type: ignore[misc]
    if reply is None or orjson.loads(reply[1])[0] != turn:
        raise RuntimeError("a job did not start")
    return float(orjson.loads(reply[1])[1]) - put_s


async def _hold(kind: str) -> dict[str, Value]:
    """Return how many of the jobs run at once, and how long the last of those took to start."""
    with Processes() as processes:
        url = processes.start_valkey()
        ours, plain = connect(url, timeout_s=5.0), await create_pool(RedisSettings.from_dsn(url))
        await _start(processes, ours, url, kind, _WORKERS)
        put = _put_ours(ours) if kind == "ours" else _put_plain(plain)
        begun_s = last_s = monotonic()
        for number in range(_HELD):
            await put(HOLD, f"h{number}")
        running = 0
        while running < _HELD and monotonic() < min(last_s + _STILL_S, begun_s + _AT_MOST_S):
            await asyncio.sleep(0.02)
            now_running = int(await ours.get(RUNNING) or 0)
            if now_running > running:
                running, last_s = now_running, monotonic()
        await ours.set(RELEASED, b"1")
        await plain.aclose(close_connection_pool=True)
        await ours.aclose(close_connection_pool=True)
    return {"at once": running, "within s": last_s - begun_s}


async def _start(processes: Processes, redis: ArqRedis, url: str, kind: str, count: int) -> None:
    """Start so many workers, and wait until they take jobs."""
    wanted = int(await redis.get(READY) or 0) + count
    for _ in range(count):
        processes.start(kind, [sys.executable, "-m", "bench.pickup_worker", kind, url, str(_SLOTS)])
    deadline_s = monotonic() + _AT_MOST_S
    while int(await redis.get(READY) or 0) < wanted:
        if monotonic() > deadline_s:
            raise RuntimeError(f"the workers did not come up\n{processes.output()}")
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


def _put_ours(redis: ArqRedis) -> Put:
    """Queues a job as the API does."""

    async def put(session: str, turn: str) -> None:
        pipe = redis.pipeline(transaction=True)
        job = JobRef(TurnRef(SessionRef("default", session), turn), "full", 1)
        job_queue.enqueue(pipe, job, int(time() * 1000), _LEASE_MS)
        await pipe.execute()

    return put


def _put_plain(redis: ArqRedis) -> Put:
    async def put(session: str, turn: str) -> None:
        await redis.enqueue_job(RUN_LANE, "default", session, turn, "full", 1, _queue_name=PLAIN_QUEUE)

    return put


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"pickup": measure})
