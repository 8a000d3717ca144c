"""Job runners for the tests, and tiny functions for their jobs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from common.names import JobRef, SessionRef, TurnRef
from common.queue import fair_share, job_queue
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.stored_turns import left_behind
from tests.support.waiting import end, until
from workers.runner import JobRunner

Work = Callable[..., Awaitable[None]]


class Works:
    """A job's function that notes who runs, and holds everybody until it lets them go."""

    def __init__(self, *, holding: bool = False) -> None:
        self.begun: list[str] = []
        self.running: set[str] = set()
        self.most = 0
        self.cancelled = 0
        self.free = asyncio.Event()
        if not holding:
            self.free.set()

    async def run(self, ctx: dict[str, Any], *job: Any) -> None:
        name = ":".join(map(str, job))
        self.begun.append(name)
        self.running.add(name)
        self.most = max(self.most, len(self.running))
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running.discard(name)


@asynccontextmanager
async def running(
    settings: Settings,
    work: Work,
    *,
    slots: int = 20,
    timeout_s: float = 600,
    lease_ms: int = 600_000,
    share: float = 1.0,
) -> AsyncIterator[JobRunner]:
    """A runner of the full's queue, over connections of its own."""
    going = 0

    async def counted(ctx: dict[str, Any], *job: Any) -> None:
        nonlocal going
        going += 1
        try:
            await work(ctx, *job)
        finally:
            going -= 1

    async with open_stores(settings) as stores:
        runner = JobRunner(
            "full",
            stores.queue,
            counted,
            slots=slots,
            timeout_s=timeout_s,
            lease_ms=lease_ms,
            share=lambda: share,
        )
        task = asyncio.create_task(runner.main())
        try:
            yield runner
            # Behind a job that is over arq tidies up, shielded from any cancellation.
            await until(lambda: runner.job_counter <= going)
            assert not task.done() or not runner.allow_pick_jobs
        finally:
            await end(task, *runner.tasks.values())


def jobs(count: int, first: int = 0) -> list[JobRef]:
    session = SessionRef("default", "s1")
    return [JobRef(TurnRef(session, f"turn{first + number:04}"), "full", 1) for number in range(count)]


async def put(stores: Stores, *wanted: JobRef, ahead_ms: int = 0) -> None:
    await stores.sync_clocks()
    pipe = stores.queue.pipeline(transaction=True)
    for job in wanted:
        job_queue.enqueue(pipe, job, stores.queue_clock.now_ms() + ahead_ms, 600_000)
    await pipe.execute()


async def hint(stores: Stores, *wanted: JobRef) -> None:
    """Let jobs wait that may not be there."""
    pipe = stores.queue.pipeline(transaction=True)
    for job in wanted:
        fair_share.add_waiting(pipe, job, 0)
    await pipe.execute()


async def clean(stores: Stores) -> bool:
    """Whether nothing is left but the leases, which are not the runner's."""
    return not set(await left_behind(stores)) - {keys.LEASES}


def names(wanted: list[JobRef]) -> list[str]:
    return [str(job) for job in wanted]
