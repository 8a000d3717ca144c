"""The sweep over lanes: what a dead worker left is gone on with, and the caller hears it once."""

import asyncio

import pytest

from common.events import Delta, LaneFinished, LaneStarted, TurnEnded
from common.log.stream import append_now
from common.names import JobRef, TurnRef
from common.queue import fair_share, job_queue
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer, going_on, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events, job, lapse, lease_of, left_behind, replay, start
from tests.support.tcp_proxy import log_behind_proxy
from tests.support.waiting import in_loop, until
from tests.support.wiring import Worker, open_worker

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event


async def _heard(stores: Stores, turn: TurnRef, text: str) -> bool:
    return (await replay(stores, turn))[0] == text


async def end_of(stores: Stores, turn: TurnRef, sweeper: Worker) -> TurnEnded:
    """Let the turn's own lease lapse, since it has no driver here; the ending that the sweep writes."""
    await lapse(stores, turn)
    await sweeper.sweep_now()
    (ended,) = [event for event in await events(stores, turn) if isinstance(event, TurnEnded)]
    return ended


@in_loop
async def test_a_killed_workers_lane_goes_on_from_its_text(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[[*words("We open"), HELD()], going_on(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model, name="w:2") as second:
        await second.runner.stop_taking(0)
        async with open_worker(settings, "full", model, name="w:1") as first:
            turn = await start(eyes, settings)
            await until(lambda: _heard(eyes, turn, "We open"))
            await first.kill()
        assert await second.sweep_now() == 0  # its lease holds still
        await lapse(eyes, job(turn))
        assert await second.sweep_now() == 1
        async with open_worker(settings, "full", model, name="w:3"):
            await until(lambda: count(eyes, turn, LaneFinished))
        assert [call.said for call in model.calls] == ["", "We open"]
        assert await count(eyes, turn, LaneStarted, attempt=2, worker="w:3") == 1
        ended = await end_of(eyes, turn, second)
        assert (ended.reason, ended.degraded, (await replay(eyes, turn))[0]) == ("stop", False, WHOLE)
        assert not await left_behind(eyes)


@in_loop
async def test_a_worker_that_dies_before_it_begins_costs_an_attempt(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes:
        turn = await start(eyes, settings)
        await reply(eyes.queue.lpop(keys.ready("full", "default")))
        await eyes.queue.set(f"arq:in-progress:{job(turn)}", b"1")
        await lapse(eyes, job(turn))
        async with open_worker(settings, "full", model) as worker:
            await worker.sweep_now()
            await until(lambda: count(eyes, turn, LaneFinished))
            assert await count(eyes, turn, LaneStarted, attempt=2) == 1
            assert (await end_of(eyes, turn, worker)).reason == "stop"
            assert not await left_behind(eyes)


@in_loop
async def test_a_job_whose_hint_was_lost_is_hinted_at_again(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model) as sweeper:
        turn = await start(eyes, settings)
        await eyes.queue.delete(keys.ready("full", "default"))
        for _ in range(3):  # nobody takes it: one hint, and the same attempt
            await lapse(eyes, job(turn))
            await sweeper.sweep_now()
            assert await reply(eyes.queue.lrange(keys.ready("full", "default"), 0, -1)) == [
                str(job(turn)).encode()
            ]
            assert (await lease_of(eyes, job(turn)) or 0) > sweeper.stores.queue_clock.now_ms()
        async with open_worker(settings, "full", model):
            await until(lambda: count(eyes, turn, LaneFinished))
        assert await count(eyes, turn, LaneStarted) == await count(eyes, turn, LaneStarted, attempt=1) == 1


@pytest.mark.parametrize("spoken", [True, False])
@in_loop
async def test_a_lane_that_costs_too_many_workers_is_given_up(real: Backend, spoken: bool) -> None:
    settings = real.settings(max_attempts=3)
    said = ["We", " open", " at"] if spoken else ["", "", ""]
    model = Scripted(full=[[*words(word), HELD()] for word in said])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model) as sweeper:
        turn = await start(eyes, settings)
        for attempt in (1, 2, 3):
            async with open_worker(settings, "full", model, name=f"w:{attempt}") as worker:
                await until(lambda attempt=attempt: len(model.calls) == attempt)
                heard = "".join(said[:attempt])
                await until(lambda heard=heard: _heard(eyes, turn, heard))
                await worker.kill()
            await lapse(eyes, job(turn, attempt))
            await sweeper.sweep_now()
        (lost,) = [event for event in await events(eyes, turn) if isinstance(event, LaneFinished)]
        assert lost.reason == "error" and lost.error and lost.error["code"] == "worker_lost"
        assert lost.attempt == 4
        ended = await end_of(eyes, turn, sweeper)
        assert ended.reason == "error" and ended.error == lost.error
        assert (await replay(eyes, turn))[0] == "".join(said)
        assert not await left_behind(eyes)


@in_loop
async def test_a_lane_handed_over_on_a_deploy_goes_on_and_loses_no_attempt(real: Backend) -> None:
    settings = real.settings(max_attempts=2)
    model = Scripted(full=[["We", HELD()], [" open", HELD()], [" at", HELD()], going_on(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model) as sweeper:
        turn = await start(eyes, settings)
        for attempt, heard in ((1, "We"), (2, "We open")):
            async with open_worker(settings, "full", model, name=f"w:{attempt}") as worker:
                await until(lambda heard=heard: _heard(eyes, turn, heard))
                await worker.drain()
        async with open_worker(settings, "full", model, name="w:3") as worker:
            await until(lambda: _heard(eyes, turn, "We open at"))
            await worker.kill()
        await lapse(eyes, job(turn, 3))
        await sweeper.sweep_now()
        async with open_worker(settings, "full", model, name="w:4"):
            await until(lambda: count(eyes, turn, LaneFinished, reason="stop"))
        assert await count(eyes, turn, LaneFinished, reason="handed_over") == 2
        assert [call.ended for call in model.calls[:2]] == ["closed", "closed"]
        assert (await end_of(eyes, turn, sweeper)).reason == "stop"
        assert (await replay(eyes, turn))[0] == WHOLE
        assert not await left_behind(eyes)


@in_loop
async def test_a_zombie_changes_nothing(valkey: Backend) -> None:
    """A worker cut off from the store speaks on, and is heard of again when another has answered."""
    settings, more = valkey.settings(), asyncio.Event()
    zombie_says = [*words("We open"), more, *words(" at noon, I think."), HELD()]
    model = Scripted(full=[zombie_says, going_on(WHOLE)])
    async with (
        open_stores(settings) as eyes,
        log_behind_proxy(valkey) as (proxy, cut_off),
        open_worker(cut_off, "full", model, name="w:zombie") as zombie,
    ):
        turn = await start(eyes, settings)
        await until(lambda: _heard(eyes, turn, "We open"))
        proxy.cut()
        more.set()
        await until(lambda: len(model.calls[0].body) and zombie.running.count and proxy.refused)
        await lapse(eyes, job(turn))
        async with open_worker(settings, "full", model, name="w:2") as second:
            await second.sweep_now()
            await until(lambda: count(eyes, turn, LaneFinished, attempt=2))
            proxy.mend()
            await until(lambda: model.calls[0].ended == "closed")
            await until(lambda: not zombie.runner.tasks)
            late = Delta(turn.turn, "full", 1, len("We open"), " at noon, I think.", 9)
            await append_now(
                eyes, turn.session, late, LaneFinished(turn.turn, "full", 1, 0, "stop", None, None, 9)
            )
            assert (await replay(eyes, turn))[0] == WHOLE
            assert (await end_of(eyes, turn, second)).reason == "stop"
            await until(lambda: _nothing_left(eyes))


async def _nothing_left(stores: Stores) -> bool:
    return not await left_behind(stores)


async def _gone(stores: Stores, held: JobRef) -> bool:
    return await lease_of(stores, held) is None


@in_loop
async def test_sweeping_again_or_by_two_at_once_changes_nothing_more(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[["We open", HELD()], ["", HELD()]])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", model, name="w:a") as one,
        open_worker(settings, "draft", model, name="w:b") as two,
    ):
        for sweeper in (one, two):
            _unlock(sweeper)
        turn = await start(eyes, settings)
        async with open_worker(settings, "full", model, name="w:1") as worker:
            await until(lambda: _heard(eyes, turn, "We open"))
            await worker.kill()
        await lapse(eyes, job(turn))
        assert list(await asyncio.gather(one.sweep.sweep(), two.sweep.sweep())) == [1, 1]
        for sweeper in (one, two, one):
            await sweeper.sweep.sweep()
        assert await eyes.queue.zrange(keys.queue("full"), 0, -1) == [str(job(turn, 2)).encode()]
        assert await lease_of(eyes, job(turn)) is None
        async with open_worker(settings, "full", model, name="w:2") as second:
            await until(lambda: count(eyes, turn, LaneStarted, attempt=2))
            # A sweep that read the lease before, and acts only now.
            await job_queue.enqueue_next_attempt(eyes, job(turn), settings.lane_lease_ms)
            # A lease of the former attempt that somebody brought back.
            await eyes.queue.zadd(keys.LEASES, {str(job(turn)): 1})
            await one.sweep.sweep()
            assert await lease_of(eyes, job(turn)) is None
            pipe = eyes.queue.pipeline(transaction=True)
            fair_share.add_waiting(pipe, job(turn, 2), 0)
            await pipe.execute()
            await until(lambda: _no_hints(eyes))
            assert second.running.count == 1
            assert len(model.calls) == 2
            assert await count(eyes, turn, LaneStarted) == 2


def _unlock(worker: Worker) -> None:
    """Let it sweep though another does, as it may where the other's lock has expired."""

    async def always(*_: object, **__: object) -> bool:
        return True

    worker.stores.queue.set = always  # type: ignore[method-assign]


async def _no_hints(stores: Stores) -> bool:
    return not await stores.queue.exists(keys.ready("full", "default"))


@in_loop
async def test_one_sweeper_at_a_time_does_the_work(valkey: Backend) -> None:
    settings = valkey.settings(sweep_s=600)
    model = Scripted(full=[[]])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", model, name="w:a") as one,
        open_worker(settings, "draft", model, name="w:b") as two,
    ):
        turn = await start(eyes, settings)
        await lapse(eyes, job(turn))
        assert sorted(await asyncio.gather(one.sweep.sweep(), two.sweep.sweep())) == [0, 1]


@pytest.mark.parametrize("gone", ["session", "turn over", "unwanted"])
@in_loop
async def test_the_lapsed_job_of_a_lane_that_nobody_wants_is_forgotten(real: Backend, gone: str) -> None:
    settings = real.settings()
    model = Scripted(draft=[["Let me see.", HELD()]], full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as sweeper:
        turn = await start(eyes, settings, drafting=True)
        await until(lambda: count(eyes, turn, LaneFinished, lane="full"))
        draft = job(turn, lane="draft")
        if gone == "session":
            await eyes.log.delete(keys.log(turn.session))
        elif gone == "turn over":
            async with open_worker(settings, "draft", model):
                await until(lambda: _gone(eyes, draft))
            pipe = eyes.queue.pipeline(transaction=True)
            job_queue.enqueue(pipe, draft, 1, 1)
            await pipe.execute()
        await lapse(eyes, draft)
        await sweeper.sweep_now()
        left = await left_behind(eyes)
        assert set(left) == {keys.LEASES}
        assert await eyes.queue.zrange(keys.LEASES, 0, -1) == [str(turn).encode()]
