"""The job runner: arq's worker, woken instead of polling.

arq looks for jobs each half second, at the oldest few only, and needs three round trips to take one. Here
a blocking pop hands over ids as they are queued, as many as there are free slots, and one pipeline takes
them all.
What arq does with a job that is taken stays arq's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from arq.constants import in_progress_key_prefix
from arq.worker import Function, Worker, func

from common import keys
from common.keys import Lane
from common.queue import RUN_LANE
from common.stores import STORE_ERRORS, TimedRedis, encode_job

logger = logging.getLogger(__name__)

_POP_S = 1.0
_RETRY_S = 0.2


class JobRunner(Worker):
    """Runs the jobs of one lane's queue, `max_jobs` at once."""

    def __init__(
        self,
        lane: Lane,
        redis: TimedRedis,
        run: Callable[..., Awaitable[None]],
        *,
        slots: int,
        timeout_s: float,
    ) -> None:
        function: Function = func(run, name=RUN_LANE)  # type: ignore[arg-type]
        super().__init__(
            [function],
            queue_name=keys.queue(lane),
            redis_pool=redis,
            handle_signals=False,
            max_jobs=slots,
            max_tries=1,
            retry_jobs=False,
            job_timeout=timeout_s,
            keep_result=0,
            log_results=False,
            job_serializer=encode_job,
            job_deserializer=orjson.loads,
        )
        self._ready = keys.ready(lane)
        self._pop_s = min(_POP_S, redis.timeout_s / 2)  # the server must answer before our own patience ends
        self._slot_freed = asyncio.Event()
        self._stopped = asyncio.Event()

    async def main(self) -> None:
        """Take jobs until `allow_pick_jobs` is taken back; a store that is away is waited for."""
        self.ctx["redis"] = self.pool
        while self.allow_pick_jobs:
            try:
                await self._take_some()
            except STORE_ERRORS as error:
                logger.warning("could not take jobs", extra={"error": type(error).__name__})
                await asyncio.sleep(_RETRY_S)
        self._stopped.set()
        await asyncio.Event().wait()  # side tasks of a worker end only by being cancelled

    async def stop_taking(self, within_s: float) -> None:
        """Take no more jobs, and wait at most so long for those that run."""
        self.allow_pick_jobs = False
        self._slot_freed.set()
        await self._stopped.wait()  # a pop may be under way
        running = [task for task in self.tasks.values() if not task.done()]
        if running:
            await asyncio.wait(running, timeout=within_s)

    def abandon(self) -> None:
        """Stop what still runs, without a word: the process ends, and the sweep goes on with it."""
        for task in tuple(self.tasks.values()):
            task.cancel()

    async def _take_some(self) -> None:
        free = self.max_jobs - self.job_counter
        if free <= 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        popped = await self.pool.blmpop(self._pop_s, 1, self._ready, direction="LEFT", count=free)  # type: ignore[arg-type, misc]
        if popped and self.allow_pick_jobs:
            await self.start_jobs(popped[1])
        elif popped:
            await self.pool.lpush(self._ready, *reversed(popped[1]))  # type: ignore[misc]  # for whoever stays

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Take those of the jobs that nobody has, and start them side by side."""
        ids = list(dict.fromkeys(job_id.decode() for job_id in job_ids))
        pipe = self.pool.pipeline(transaction=False)
        for job_id in ids:
            pipe.zscore(self.queue_name, job_id)
            pipe.set(
                in_progress_key_prefix + job_id, b"1", nx=True, px=int(self.in_progress_timeout_s * 1000)
            )
        replies: list[Any] = await pipe.execute()
        stale = []
        for job_id, score, mine in zip(ids, replies[::2], replies[1::2], strict=True):
            if score is None:
                stale.append(in_progress_key_prefix + job_id)  # over, or replaced, since it was hinted at
            elif mine:
                self._start(job_id, int(score))
        if stale:
            await self.pool.delete(*stale)

    def _start(self, job_id: str, score: int) -> None:
        self.job_counter += 1
        task = self.loop.create_task(self.run_job(job_id, score))
        self.tasks[job_id] = task
        task.add_done_callback(lambda done: self._ended(job_id, done))

    def _ended(self, job_id: str, task: "asyncio.Task[None]") -> None:
        self.job_counter -= 1
        self._slot_freed.set()
        del self.tasks[job_id]
        if not task.cancelled() and (error := task.exception()):
            # A store that went away while arq tidied up: the job's keys expire by themselves.
            logger.warning("a job's end could not be noted", extra={"error": type(error).__name__})
