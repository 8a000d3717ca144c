"""The job runner when it is to stop, and when its server or a connection goes: no job is lost."""

import asyncio

from arq.constants import in_progress_key_prefix

from common.store.redis import open_stores
from tests.support.fake_jobs import Works, clean, hint, jobs, names, put, running
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.tcp_proxy import queue_behind_proxy
from tests.support.waiting import in_loop, until


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
        async with running(settings, (other := Works()).run) as others:
            await until(lambda: other.begun and not others.tasks)  # another runner gets it
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
async def test_what_was_taken_when_the_reply_was_lost_is_run_all_the_same(two_servers: Backend) -> None:
    works = Works()
    async with (
        open_stores(two_servers.settings()) as stores,
        queue_behind_proxy(two_servers) as (proxy, settings),
        running(settings, works.run) as runner,
    ):
        lost, *others = jobs(5)
        await until(lambda: runner._took_all)  # it waits for hints
        proxy.lose_reply_to(b"$1\r\n1\r\n$2\r\n20\r\n")  # to a taking, with one hint and 20 slots
        await put(stores, lost)
        await until(lambda: proxy.lost)
        await put(stores, *others)
        await until(lambda: len(works.begun) == 5)
        assert sorted(works.begun) == names([lost, *others])
        await until(lambda: clean(stores))


@in_loop
async def test_a_job_that_the_server_gives_twice_runs_once(valkey: Backend) -> None:
    """A server that was killed may have lost the last that it acknowledged."""
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run):
        await put(stores, *jobs(1))
        await until(lambda: works.running)
        await stores.queue.delete(in_progress_key_prefix + names(jobs(1))[0])
        await hint(stores, *jobs(1))
        await put(stores, *jobs(1, first=1))
        await until(lambda: len(works.running) == 2)
        works.free.set()
        await until(lambda: clean(stores))
        assert sorted(works.begun) == names(jobs(2))
