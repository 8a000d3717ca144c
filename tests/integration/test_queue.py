"""The queue: an attempt is run once however often it is put, and leaves nothing behind."""

from contextlib import aclosing

import orjson
import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix

from common.names import JobRef, Lane, SessionRef, TurnRef
from common.queue import job_queue
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.redis_replies import everything, reply
from tests.support.store_servers import Backend
from tests.support.stored_turns import is_running, lapse, lease_of, subscribed
from tests.support.waiting import in_loop, until

LEASE_MS = 5_000


@pytest.fixture
def job(session: SessionRef) -> JobRef:
    return JobRef(TurnRef(session, "turn0001"), "full", 1)


async def put(stores: Stores, *jobs: JobRef) -> None:
    pipe = stores.queue.pipeline(transaction=True)
    for job in jobs:
        job_queue.enqueue(pipe, job, stores.queue_clock.now_ms(), LEASE_MS)
    await pipe.execute()


async def forget(stores: Stores, job: JobRef) -> None:
    pipe = stores.queue.pipeline(transaction=True)
    job_queue.forget_job(pipe, job)
    await pipe.execute()


async def waiting(stores: Stores, lane: Lane = "full") -> list[str]:
    found: list[bytes] = await reply(stores.queue.lrange(keys.ready(lane, "default"), 0, -1))
    return [job.decode() for job in found]


async def queued(stores: Stores, lane: Lane = "full") -> list[str]:
    found: list[bytes] = await stores.queue.zrange(keys.queue(lane), 0, -1)
    return [job.decode() for job in found]


async def names(stores: Stores, text: str) -> list[str]:
    """Every key that has the text in its name, or in what it holds."""
    held = await everything(stores.queue)
    return [key.decode() for key, value in held if text in key.decode() or text in str(value)]


@in_loop
async def test_a_job_stands_on_its_lanes_queue_with_a_lease_and_waits(backend: Backend, job: JobRef) -> None:
    async with open_stores(backend.settings()) as stores:
        await stores.sync_clocks()
        before_ms = stores.queue_clock.now_ms()
        await put(stores, job)
        assert await queued(stores) == await waiting(stores) == [str(job)]
        assert await queued(stores, "draft") == await waiting(stores, "draft") == []
        lease = await lease_of(stores, job)
        assert lease and before_ms + LEASE_MS <= lease <= stores.queue_clock.now_ms() + LEASE_MS
        assert (await stores.queue.zscore(keys.queue("full"), str(job)) or 0) < before_ms
        body = orjson.loads(await stores.queue.get(job_key_prefix + str(job)))
        assert body["a"] == ["default", job.turn.session.session, "turn0001", "full", 1]


@in_loop
async def test_putting_a_job_again_changes_neither_its_entry_nor_its_lease(
    backend: Backend, job: JobRef
) -> None:
    async with open_stores(backend.settings()) as stores:
        await put(stores, job)
        body, lease = await stores.queue.get(job_key_prefix + str(job)), await lease_of(stores, job)
        stores.queue_clock.set_from((2_000_000_000, 0), stores.queue_clock.asked_at())
        await put(stores, job, job)
        assert await stores.queue.get(job_key_prefix + str(job)) == body
        assert await lease_of(stores, job) == lease
        assert await queued(stores) == [str(job)]


@in_loop
async def test_a_forgotten_job_leaves_nothing(backend: Backend, job: JobRef) -> None:
    async with open_stores(backend.settings()) as stores:
        other = JobRef(job.turn, "draft", 1)
        await put(stores, job, job, other)
        await stores.queue.set(in_progress_key_prefix + str(job), b"1")
        await stores.queue.set("arq:retry:" + str(job), b"1")
        await stores.queue.set(keys.cancelled(job), b"1")
        await forget(stores, job)
        assert await names(stores, str(job)) == []
        assert len(await names(stores, str(other))) == 4
        await forget(stores, job)
        await forget(stores, other)
        # What is left says only that somebody may look for jobs.
        left = {keys.waiting(lane) for lane in ("draft", "full")} | {
            keys.hints(lane) for lane in ("draft", "full")
        }
        assert {key.decode() async for key in stores.queue.scan_iter()} == left


@in_loop
async def test_replacing_a_job_puts_the_next_attempt_in_its_place(backend: Backend, job: JobRef) -> None:
    async with open_stores(backend.settings()) as stores:
        await put(stores, job)
        following = JobRef(job.turn, job.lane, 2)
        await job_queue.enqueue_next_attempt(stores, job, LEASE_MS)
        assert await names(stores, str(job)) == []
        assert await queued(stores) == await waiting(stores) == [str(following)]
        assert await lease_of(stores, following)
        # Again, by a sweep that was slower: the attempt that stands is not touched.
        lease = await lease_of(stores, following)
        await job_queue.enqueue_next_attempt(stores, job, LEASE_MS)
        assert await queued(stores) == [str(following)]
        assert await lease_of(stores, following) == lease


@in_loop
async def test_a_job_that_is_woken_again_keeps_its_place_or_gets_the_first(
    backend: Backend, job: JobRef
) -> None:
    async with open_stores(backend.settings()) as stores:
        await stores.sync_clocks()
        others = [JobRef(TurnRef(job.turn.session, f"turn000{n}"), "full", 1) for n in (2, 3)]
        await put(stores, others[0], job, others[1])
        for _ in range(2):
            await lapse(stores, job)
            await job_queue.requeue(stores, job, 600_000)
        assert await waiting(stores) == [str(others[0]), str(job), str(others[1])]
        assert (await lease_of(stores, job) or 0) > stores.queue_clock.now_ms() + LEASE_MS
        await reply(stores.queue.lrem(keys.ready("full", "default"), 0, str(job)))  # popped, and not begun
        await job_queue.requeue(stores, job, 600_000)  # it was taken just now: its lease holds
        assert await waiting(stores) == [str(others[0]), str(others[1])]
        for _ in range(2):
            await lapse(stores, job)
            await job_queue.requeue(stores, job, 600_000)
        assert await waiting(stores) == [str(job), str(others[0]), str(others[1])]


@in_loop
async def test_waking_again_brings_no_lease_back(backend: Backend, job: JobRef) -> None:
    async with open_stores(backend.settings()) as stores:
        await job_queue.requeue(stores, job, 600_000)
        assert await lease_of(stores, job) is None


@in_loop
async def test_a_stop_is_marked_for_long_and_ordered_where_a_worker_is_known(
    backend: Backend, job: JobRef
) -> None:
    async with (
        open_stores(backend.settings()) as stores,
        aclosing(stores.queue.pubsub(ignore_subscribe_messages=True)) as orders,
    ):
        await orders.subscribe(keys.orders("w:1"), keys.orders(""))
        await until(lambda: subscribed(stores, keys.orders("w:1")))
        other = JobRef(job.turn, "draft", 1)
        for stopped, worker in ((other, ""), (job, "w:1")):
            pipe = stores.queue.pipeline(transaction=False)
            job_queue.order_stop(pipe, stopped, worker)
            await pipe.execute()
        message = await until(lambda: orders.get_message(timeout=0.1))
        assert (message["channel"].decode(), message["data"].decode()) == (keys.orders("w:1"), str(job))
        for stopped in (job, other):
            assert await stores.queue.get(keys.cancelled(stopped))
            assert 0 < await stores.queue.pttl(keys.cancelled(stopped)) <= 60_000


@in_loop
async def test_a_job_is_taken_once_somebody_runs_it_or_it_is_gone(backend: Backend, job: JobRef) -> None:
    async with open_stores(backend.settings()) as stores:
        await put(stores, job)
        assert not await job_queue.is_picked_up(stores, job)
        await reply(stores.queue.lpop(keys.ready("full", "default")))  # popped, and not begun
        assert not await job_queue.is_picked_up(stores, job)
        await stores.queue.set(in_progress_key_prefix + str(job), b"1")
        assert await is_running(stores, job)
        assert await job_queue.is_picked_up(stores, job)
        await forget(stores, job)
        assert await job_queue.is_picked_up(stores, job)


@in_loop
async def test_turns_are_held_until_their_deadline_and_again(backend: Backend, job: JobRef) -> None:
    async with open_stores(backend.settings()) as stores:
        for deadline_ms in (5, 9):
            pipe = stores.queue.pipeline(transaction=False)
            job_queue.hold_turns(pipe, [job.turn], deadline_ms)
            await pipe.execute()
            assert await lease_of(stores, job.turn) == deadline_ms
        assert await lease_of(stores, job) is None


@in_loop
async def test_workers_count_while_their_beat_is_fresh(backend: Backend) -> None:
    async with open_stores(backend.settings()) as stores:
        await stores.sync_clocks()
        now_ms = stores.queue_clock.now_ms()
        await stores.queue.zadd(
            keys.workers("full"), {"w:1|9": now_ms, "w:2|9": now_ms, "w:3|9": now_ms - 60_000}
        )
        assert await job_queue.count_workers(stores) == {"draft": 0, "full": 2, "speech": 0}
