"""The job runner: fills its slots, loses nothing and leaves nothing, whatever a job or a server does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from proxy import queue_behind_proxy
from reading_turns import left_behind
from store_servers import Backend, ValkeyServer
from waiting import end, in_loop, until

from common import keys, queue
from common.keys import JobRef, SessionRef, TurnRef
from common.settings import Settings
from common.stores import Stores, open_stores
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
    settings: Settings, work: Work, *, slots: int = 20, timeout_s: float = 600
) -> AsyncIterator[JobRunner]:
    """A runner of the full's queue, over connections of its own."""
    async with open_stores(settings) as stores:
        runner = JobRunner("full", cast(ArqRedis, stores.queue), work, slots=slots, timeout_s=timeout_s)
        task = asyncio.create_task(runner.main())
        try:
            yield runner
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
        queue.put(pipe, job, stores.queue_clock.now_ms() + ahead_ms, 600_000)
    await pipe.execute()


async def hint(stores: Stores, *wanted: JobRef) -> None:
    await stores.queue.rpush(keys.ready("full"), *map(str, wanted))


async def clean(stores: Stores) -> bool:
    """Whether nothing is left but the leases, which are not the runner's."""
    return not set(await left_behind(stores)) - {keys.LEASES}


def names(wanted: list[JobRef]) -> list[str]:
    return [str(job) for job in wanted]


@in_loop
async def test_a_job_is_run_with_what_it_was_put_with_and_leaves_nothing(real: Backend) -> None:
    works, settings = Works(), real.settings()
    async with open_stores(settings) as stores, running(settings, works.run):
        wanted = jobs(7)
        await put(stores, *wanted)
        await until(lambda: len(works.begun) == 7)
        assert sorted(works.begun) == names(wanted)
        await until(lambda: clean(stores))


@in_loop
async def test_all_slots_of_all_runners_are_filled_at_once(valkey: Backend) -> None:
    one, two, settings = Works(holding=True), Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, one.run), running(settings, two.run):
        await put(stores, *jobs(40))
        await until(lambda: len(one.running) == len(two.running) == 20)
        one.free.set()
        two.free.set()
        await until(lambda: clean(stores))
        assert sorted(one.begun + two.begun) == names(jobs(40))


@in_loop
async def test_jobs_beyond_the_slots_follow_as_these_get_free(valkey: Backend) -> None:
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run, slots=4):
        await put(stores, *jobs(30))
        await until(lambda: len(works.running) == 4)
        await put(stores, *jobs(5, first=30))
        assert len(works.begun) == 4
        works.free.set()
        await until(lambda: len(works.begun) == 35)
        assert sorted(works.begun) == names(jobs(35))
        assert works.most == 4
        await until(lambda: clean(stores))


@in_loop
async def test_a_job_put_twice_is_run_once(valkey: Backend) -> None:
    one, two, settings = Works(holding=True), Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, one.run), running(settings, two.run):
        wanted = jobs(10)
        for _ in range(3):
            await put(stores, *wanted)
        await until(lambda: len(one.running) + len(two.running) == 10)
        await hint(stores, *wanted)
        one.free.set()
        two.free.set()
        await until(lambda: clean(stores))
        assert sorted(one.begun + two.begun) == names(wanted)


@in_loop
async def test_a_hint_at_a_job_that_is_not_there_changes_nothing(valkey: Backend) -> None:
    works, settings = Works(), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run):
        done, unknown, following = jobs(3)
        await put(stores, done)
        await until(lambda: clean(stores))
        await hint(stores, unknown, done, unknown)
        await put(stores, following)
        await until(lambda: len(works.begun) == 2)
        assert works.begun == [str(done), str(following)]
        await until(lambda: clean(stores))
        assert not [key async for key in stores.queue.scan_iter(match=in_progress_key_prefix + "*")]


@in_loop
async def test_a_job_that_raises_is_tidied_up_and_the_runner_goes_on(valkey: Backend) -> None:
    works = Works()

    async def broken(ctx: dict[str, Any], *job: Any) -> None:
        await works.run(ctx, *job)
        if len(works.begun) < 3:
            raise RuntimeError("broken")

    settings = valkey.settings()
    async with open_stores(settings) as stores, running(settings, broken, slots=1):
        await put(stores, *jobs(4))
        await until(lambda: len(works.begun) == 4)
        await until(lambda: clean(stores))
        assert sorted(works.begun) == names(jobs(4))


@in_loop
async def test_a_job_over_its_time_is_cancelled_and_tidied_up(valkey: Backend) -> None:
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run, timeout_s=0.05):
        await put(stores, *jobs(2))
        await until(lambda: works.cancelled == 2)
        await until(lambda: clean(stores))


@pytest.mark.parametrize("ahead_ms", [-3_600_000, 20, 30_000, 3_600_000])
@in_loop
async def test_the_clock_of_whoever_put_the_job_does_not_matter(valkey: Backend, ahead_ms: int) -> None:
    works, settings = Works(), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run):
        await put(stores, *jobs(1), ahead_ms=ahead_ms)
        await until(lambda: works.begun)
        await until(lambda: clean(stores))


@in_loop
async def test_nothing_in_the_store_is_pickled(valkey: Backend) -> None:
    works = Works(holding=True)

    async def broken(ctx: dict[str, Any], *job: Any) -> None:
        await works.run(ctx, *job)
        raise ValueError({"what": object()})

    settings = valkey.settings()
    async with open_stores(settings) as stores, running(settings, broken, slots=2):
        await put(stores, *jobs(4))
        await until(lambda: len(works.running) == 2)
        assert await pickled(stores) == []
        works.free.set()
        await until(lambda: clean(stores))
        assert await pickled(stores) == []


async def pickled(stores: Stores) -> list[bytes]:
    found = []
    async for key in stores.queue.scan_iter(count=1000):
        if await stores.queue.type(key) == b"string" and b"\x80\x04" in (await stores.queue.get(key) or b""):
            found.append(key)
    return found


@in_loop
async def test_stopping_waits_for_what_runs_and_takes_nothing_more(valkey: Backend) -> None:
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run) as runner:
        before, after = jobs(2)
        await put(stores, before)
        await until(lambda: works.running)
        stopping = asyncio.create_task(runner.stop_taking(600))
        await until(lambda: not runner.allow_pick_jobs)
        await put(stores, after)
        async with running(settings, (other := Works()).run):
            await until(lambda: other.begun)  # another runner gets it
        assert not stopping.done()
        works.free.set()
        await stopping
        assert works.begun == [str(before)]
        await until(lambda: clean(stores))


@in_loop
async def test_a_runner_that_stops_while_it_waits_for_work_leaves_the_next_job_to_others(
    valkey: Backend,
) -> None:
    works, other, settings = Works(), Works(), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run) as runner:
        await put(stores, *jobs(1))
        await until(lambda: clean(stores))  # it has work no more, and waits
        stopping = asyncio.create_task(runner.stop_taking(600))
        await until(lambda: not runner.allow_pick_jobs)
        await put(stores, *jobs(3, first=1))
        async with running(settings, other.run):
            await until(lambda: len(other.begun) == 3)
        await stopping
        assert len(works.begun) == 1


@in_loop
async def test_stopping_ends_at_its_deadline(valkey: Backend) -> None:
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run) as runner:
        await put(stores, *jobs(1))
        await until(lambda: works.running)
        await runner.stop_taking(0.01)
        assert works.running


@in_loop
async def test_a_killed_server_is_waited_for(mortal: Backend, mortal_server: ValkeyServer) -> None:
    works, settings = Works(holding=True), mortal.settings()
    async with open_stores(settings) as stores, running(settings, works.run):
        await put(stores, *jobs(3))
        await until(lambda: len(works.running) == 3)
        mortal_server.kill()
        await asyncio.to_thread(mortal_server.start)
        await stores.queue.connection_pool.disconnect()
        await put(stores, *jobs(3, first=3))
        await until(lambda: len(works.running) == 6)
        works.free.set()
        await until(lambda: clean(stores))
        assert sorted(works.begun) == names(jobs(6))


@in_loop
async def test_a_connection_lost_while_jobs_are_taken_stops_nobody(two_servers: Backend) -> None:
    works = Works()
    async with (
        open_stores(two_servers.settings()) as stores,
        queue_behind_proxy(two_servers) as (proxy, settings),
        running(settings, works.run),
    ):
        proxy.lose_reply_to(in_progress_key_prefix.encode())
        lost, *others = jobs(5)
        await put(stores, lost)
        await until(lambda: proxy.lost)
        await put(stores, *others)
        await until(lambda: len(works.begun) == 4)
        assert sorted(works.begun) == names(others)
        # Nobody knows that it was taken, so it looks taken: the sweep puts the next attempt in its place.
        assert await queue.taken(stores, lost)
