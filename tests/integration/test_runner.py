"""The job runner: fills its slots, loses nothing and leaves nothing, whatever a job or a server does."""

from typing import Any

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix

from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.fake_jobs import Works, clean, hint, jobs, names, put, running
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until


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
        (last,) = jobs(1, first=10)
        await hint(stores, *wanted)
        await put(stores, last)
        await until(lambda: len(one.running) + len(two.running) == 11)
        # What stands of the jobs that run was not touched.
        assert await stores.queue.zcard(keys.queue("full")) == 11
        for job in (*wanted, last):
            assert (
                await stores.queue.exists(in_progress_key_prefix + str(job), job_key_prefix + str(job)) == 2
            )
        one.free.set()
        two.free.set()
        await until(lambda: clean(stores))
        assert sorted(one.begun + two.begun) == names([*wanted, last])


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
