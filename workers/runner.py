"""The job runner: arq's worker, woken instead of polling.

arq looks for jobs each half second, at the oldest few only, and needs three round trips to take one. Here
a blocking pop ends as jobs are put, and one script takes as many as there are free slots, from whom it is
fair to (`common/queue/fair_share.py`).
What arq does with a job that is taken stays arq's.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from arq.worker import Function, Worker, func

from common.names import Lane
from common.queue import fair_share
from common.queue.job_queue import RUN_LANE
from common.store import keys
from common.store.redis import Batcher, StoreUnavailable, TimedRedis, encode_job, insist

logger = logging.getLogger(__name__)

_POP_S = 1.0
_RETRY_S = 0.2
_TRIES = 1_000_000  # arq counts how often it has begun a job; that it runs once is not left to that


class JobRunner(Worker):
    """Runs the jobs of one lane's queue, `max_jobs` at once.

    A job's slot and lease are held for `lease_ms`; `on_taken` is called in time to renew both, `on_over` when
    the job has ended. `share`: how many of all workers' slots one tenant may hold now.
    """

    def __init__(
        self,
        lane: Lane,
        redis: TimedRedis,
        run: Callable[..., Awaitable[None]],
        *,
        slots: int,
        timeout_s: float,
        lease_ms: int,
        share: Callable[[], float] = lambda: 1.0,
        on_taken: Callable[[str], None] = lambda _: None,
        on_over: Callable[[str], None] = lambda _: None,
    ) -> None:
        function: Function = func(run, name=RUN_LANE)  # type: ignore[arg-type]
        super().__init__(
            [function],
            queue_name=keys.queue(lane),
            redis_pool=redis,
            handle_signals=False,
            max_jobs=slots,
            max_tries=_TRIES,
            retry_jobs=False,
            job_timeout=timeout_s,
            keep_result=0,
            log_results=False,
            job_serializer=encode_job,
            job_deserializer=orjson.loads,
        )
        self._lane = lane
        self._lease_ms = lease_ms
        self._share = share
        self._on_taken = on_taken
        self._on_over = on_over
        self._name = secrets.token_hex(6)
        self._call = ""  # the take whose reply is yet to come; empty once it has
        self._batcher = Batcher(redis)
        self._took_all = False  # the last take left no job that it could have had
        self._pop_s = min(_POP_S, redis.timeout_s / 2)  # the server must answer before our own patience ends
        self._slot_freed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._abandoned = False

    async def main(self) -> None:
        """Take jobs until `allow_pick_jobs` is cleared; wait out a store that is away."""
        self.ctx["redis"] = self.pool
        while self.allow_pick_jobs:
            try:
                await self._take_some()
            except StoreUnavailable as error:
                logger.warning("could not take jobs", extra={"error": error.reason})
                await asyncio.sleep(_RETRY_S)
        self._stopped.set()
        await asyncio.Event().wait()  # side tasks of a worker end only by being cancelled

    async def stop_taking(self, within_s: float) -> None:
        """Take no more jobs, and wait for running ones up to the given time."""
        self.allow_pick_jobs = False
        self._slot_freed.set()
        await self._stopped.wait()  # a pop may be under way
        running = [task for task in self.tasks.values() if not task.done()]
        if running:
            await asyncio.wait(running, timeout=within_s)

    def abandon(self) -> None:
        """Cancel what still runs, without reporting it: the process ends, and the sweep goes on with it."""
        self._abandoned = True
        for task in tuple(self.tasks.values()):
            task.cancel()

    async def _take_some(self) -> None:
        free = self.max_jobs - self.job_counter
        if free <= 0:
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        hints = await self._wait_for_hints(free) if self._took_all and not self._call else 0
        if not self.allow_pick_jobs:
            if hints:
                await self.pool.rpush(keys.hints(self._lane), *[b""] * hints)  # type: ignore[misc]  # for the workers that stay
            return
        self._took_all = False  # should it fail
        self._call = self._call or secrets.token_hex(6)
        taken = await fair_share.acquire_jobs(
            self.pool,
            self._lane,
            free,
            hints=hints,
            slots=self.max_jobs,
            share=self._share(),
            lease_ms=self._lease_ms,
            within_ms=int(self.in_progress_timeout_s * 1000),
            taker=self._name,
            call=self._call,
        )
        self._call = ""
        self._took_all = len(taken) < free
        for job_id, score in taken:
            if job_id not in self.tasks:  # else the server has forgotten that it was taken
                self._start(job_id, score)

    async def _wait_for_hints(self, free: int) -> int:
        """Wait until jobs are enqueued or the wait times out; return how many hints were popped."""
        hints = keys.hints(self._lane)
        popped = await self.pool.blmpop(self._pop_s, 1, hints, direction="LEFT", count=free)  # type: ignore[arg-type, misc]
        return len(popped[1]) if popped else 0

    def _start(self, job_id: str, score: int) -> None:
        self.job_counter += 1
        self._on_taken(job_id)
        task = self.loop.create_task(self._run(job_id, score))
        self.tasks[job_id] = task
        task.add_done_callback(lambda done: self._ended(job_id, done))

    async def _run(self, job_id: str, score: int) -> None:
        # arq's first step may fail with its connection; a job that has begun always returns.
        await insist(lambda: self.run_job(job_id, score), until=self._is_gone)
        await insist(lambda: self._give_back(job_id), until=self._is_gone)

    async def _give_back(self, job_id: str) -> None:
        await self._batcher.run(lambda pipe: fair_share.release_slot(pipe, self._lane, job_id))

    async def finish_job(self, *about: Any) -> None:
        """Repeat arq's cleanup until it succeeds, so that nothing of a job is left behind."""
        await insist(lambda: super(JobRunner, self).finish_job(*about), until=self._is_gone)

    async def finish_failed_job(self, *about: Any) -> None:
        """Repeat arq's cleanup of a job that could not be run until it succeeds."""
        await insist(lambda: super(JobRunner, self).finish_failed_job(*about), until=self._is_gone)

    def _is_gone(self) -> bool:
        return self._abandoned

    def _ended(self, job_id: str, task: "asyncio.Task[None]") -> None:
        self.job_counter -= 1
        self._slot_freed.set()
        del self.tasks[job_id]
        self._on_over(job_id)
        if not task.cancelled() and (error := task.exception()):
            # A store that went away while arq tidied up: the job's keys expire by themselves.
            logger.warning("a job's end could not be noted", extra={"error": type(error).__name__})
