"""Whose job is next: slots are shared between tenants, in turns, and come back from who died."""

import itertools

from common.names import JobRef, SessionRef, TurnRef
from common.queue import fair_share
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.fake_jobs import Works, clean, names, put, running
from tests.support.redis_replies import reply
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until

_calls = itertools.count()


def jobs_of(tenant: str, count: int, first: int = 0) -> list[JobRef]:
    session = SessionRef(tenant, "s1")
    return [JobRef(TurnRef(session, f"turn{first + number:04}"), "full", 1) for number in range(count)]


async def take(
    stores: Stores, wanted: int = 1, *, slots: int = 1, share: float = 1.0, lease_ms: int = 600_000
) -> str:
    """Pick up without running: the tenants in their order."""
    taken = await fair_share.acquire_jobs(
        stores.queue,
        "full",
        wanted,
        hints=0,
        slots=slots,
        share=share,
        lease_ms=lease_ms,
        within_ms=600_000,
        taker="t",
        call=f"call{next(_calls)}",
    )
    return "".join(job[0] for job, _ in taken)


async def give_back(stores: Stores, *jobs: JobRef) -> None:
    pipe = stores.queue.pipeline(transaction=False)
    for job in jobs:
        fair_share.release_slot(pipe, "full", str(job))
    await pipe.execute()


async def hints(stores: Stores) -> int:
    return int(await reply(stores.queue.llen(keys.hints("full"))))


def of(tenant: str, works: Works) -> int:
    return sum(name.startswith(f"{tenant}:") for name in works.running)


@in_loop
async def test_the_waiting_tenant_with_the_fewest_slots_comes_next(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        await put(stores, *jobs_of("a", 6))
        assert await take(stores, 3) == "aaa"
        await put(stores, *jobs_of("b", 5), *jobs_of("c", 1))
        # b and c are behind: they get theirs until all hold the same, then all in turns.
        assert sorted(await take(stores, 2)) == ["b", "c"]
        assert await take(stores, 2) == "bb"
        assert sorted(await take(stores, 2)) == ["a", "b"]
        assert sorted(await take(stores, 9)) == ["a", "a", "b"]


@in_loop
async def test_of_two_that_hold_the_same_the_one_served_longer_ago_comes_next(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        a, b = jobs_of("a", 4), jobs_of("b", 4)
        await put(stores, *b)
        await put(stores, *a)
        order = ""
        for _ in range(3):
            await until(lambda: _a_millisecond_later(stores))
            # Each ends before the next is taken, so that nobody holds anything.
            order += await take(stores)
            await give_back(stores, *a, *b)
        assert order in ("aba", "bab")


async def _a_millisecond_later(stores: Stores) -> bool:
    """Whether the server's clock is past all that it has noted."""
    latest = await stores.queue.zrange(keys.waiting("full"), 0, 0, desc=True, withscores=True)
    seconds, micros = await stores.queue.time()
    return bool(seconds * 1000 + micros // 1000 > latest[0][1])


@in_loop
async def test_a_tenants_own_jobs_keep_their_order(valkey: Backend) -> None:
    works, settings = Works(), valkey.settings()
    async with open_stores(settings) as stores:
        await put(stores, *jobs_of("a", 10))
        async with running(settings, works.run, slots=1):
            await until(lambda: len(works.begun) == 10)
        assert works.begun == names(jobs_of("a", 10))


@in_loop
async def test_a_flood_leaves_slots_free_for_who_comes_next(valkey: Backend) -> None:
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run, slots=10, share=0.8):
        await put(stores, *jobs_of("a", 50))
        await until(lambda: of("a", works) == 8)
        await put(stores, *jobs_of("b", 1))
        await until(lambda: of("b", works) == 1)
        assert of("a", works) == 8
        works.free.set()
        await until(lambda: clean(stores))
        assert len(works.begun) == 51


@in_loop
async def test_a_slot_that_a_held_back_tenant_gives_back_is_its_own_again_at_once(valkey: Backend) -> None:
    """Its jobs' hints are used up by then: the end of a job brings one."""
    async with open_stores(valkey.settings()) as stores:
        a = jobs_of("a", 4)
        await put(stores, *a)
        assert await take(stores, 2, slots=2, share=0.5) == "a"
        await stores.queue.delete(keys.hints("full"))  # all were popped by workers that could not take
        assert await take(stores, 2, slots=2, share=0.5) == ""
        await give_back(stores, a[0])
        assert await hints(stores) == 1
        assert await take(stores, 2, slots=2, share=0.5) == "a"


@in_loop
async def test_all_workers_slots_count_and_the_smallest_share_is_one(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        await stores.sync_clocks()
        now_ms = stores.queue_clock.now_ms()
        beats = {fair_share.beat("w:1", 4): now_ms, fair_share.beat("w:2", 6): now_ms}
        await stores.queue.zadd(keys.workers("full"), {**beats, fair_share.beat("w:3", 90): now_ms - 60_000})
        await put(stores, *jobs_of("a", 50), *jobs_of("b", 1), *jobs_of("c", 1))
        assert await take(stores, 50, slots=4, share=0.5) == "abcaaaa"
        await stores.queue.delete(keys.workers("full"))
        assert await take(stores, 50, slots=1, share=0.5) == ""
        await put(stores, *jobs_of("d", 3))
        assert await take(stores, 50, slots=1, share=0.5) == "d"


@in_loop
async def test_a_single_tenant_gets_all_slots(valkey: Backend) -> None:
    works, settings = Works(holding=True), valkey.settings()
    async with open_stores(settings) as stores, running(settings, works.run, slots=10):
        await put(stores, *jobs_of("a", 12))
        await until(lambda: of("a", works) == 10)


@in_loop
async def test_slots_of_a_dead_worker_come_back_when_their_leases_lapse(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        await put(stores, *jobs_of("a", 2))
        assert await take(stores, 1, slots=2, share=0.5, lease_ms=1) == "a"
        await until(lambda: _takes(stores))


async def _takes(stores: Stores) -> str:
    return await take(stores, 1, slots=2, share=0.5)


@in_loop
async def test_slots_are_held_for_as_long_as_they_are_renewed(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        first, second, _ = a = jobs_of("a", 3)
        await put(stores, *a)
        assert await take(stores, 1, slots=2, share=0.5, lease_ms=60_000) == "a"
        deadline_ms = stores.queue_clock.now_ms() + 600_000
        pipe = stores.queue.pipeline(transaction=False)
        fair_share.renew(pipe, "full", [first, second], deadline_ms)
        await pipe.execute()
        # What isn't held, or was given back, is not brought back.
        held = await stores.queue.zrange(keys.running("full", "a"), 0, -1, withscores=True)
        assert held == [(str(first).encode(), deadline_ms)]


@in_loop
async def test_who_has_no_room_for_all_leaves_a_hint_and_nobody_leaves_more_than_jobs(
    valkey: Backend,
) -> None:
    async with open_stores(valkey.settings()) as stores:
        await put(stores, *jobs_of("a", 5))
        assert await take(stores, 2) == "aa"
        assert await hints(stores) == 3
        await stores.queue.delete(keys.hints("full"))  # a worker popped them and died
        assert await take(stores, 2) == "aa"
        assert await hints(stores) == 1
        await put(stores, *jobs_of("a", 4))  # again: all but one run
        assert await take(stores, 9) == "a"
        assert not await hints(stores)
        assert not await stores.queue.exists(keys.waiting("full"))


@in_loop
async def test_a_forgotten_job_holds_no_slot(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        (job,) = jobs_of("a", 1)
        await put(stores, job)
        assert await take(stores) == "a"
        pipe = stores.queue.pipeline(transaction=True)
        fair_share.withdraw(pipe, job)
        await pipe.execute()
        assert not await stores.queue.exists(keys.running("full", "a"))
