"""The sweep over turns: one without a driver ends, or never was."""

import asyncio
from typing import Any

import pytest

from common.events import (
    LaneFinished,
    LaneStarted,
    TimerFired,
    TurnEnded,
    TurnInterrupted,
)
from common.names import SessionRef, TurnRef
from common.queue import job_queue
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend
from tests.support.stored_turns import (
    age,
    count,
    ended,
    events,
    forget_jobs,
    job,
    lapse,
    lease_of,
    left_behind,
    replay,
    start,
)
from tests.support.waiting import in_loop, until
from tests.support.wiring import Worker, open_worker, open_workers

WHOLE = "We open at nine. Every day."
GOING_ON: dict[str, Any] = {"on_disconnect": "continue"}


async def _sweep(sweeper: Worker, turn: TurnRef) -> None:
    await lapse(sweeper.stores, turn)
    await sweeper.sweep_now()


@in_loop
async def test_a_turn_that_never_was_is_dropped(real: Backend, session: SessionRef) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "full", Scripted()) as sweeper:
        turn = TurnRef(session, "turn0001")
        pipe = eyes.queue.pipeline(transaction=True)
        job_queue.hold_turns(pipe, [turn], 1)
        await pipe.execute()
        assert await sweeper.sweep_now() == 1
        assert not await left_behind(eyes)
        assert not await eyes.log.exists(keys.log(session))


@in_loop
async def test_a_turn_without_jobs_is_ended_as_interrupted(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "full", Scripted()) as sweeper:
        turn = await start(eyes, settings)
        await forget_jobs(eyes, job(turn))
        await _sweep(sweeper, turn)
        assert await count(eyes, turn, TurnInterrupted, by="sweep") == 1
        over = await ended(eyes, turn)
        assert over and (over.reason, over.released, over.error) == ("interrupted", 0, None)
        assert set(await left_behind(eyes)) <= {keys.cancelled(job(turn))}


@in_loop
async def test_a_turn_that_is_to_go_on_gets_its_jobs_and_ends_whole(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_workers(settings, model, sweeping=False) as (sweeper, _):
        turn = await start(eyes, settings, drafting=True, **GOING_ON)
        await forget_jobs(eyes, job(turn), job(turn, lane="draft"))
        await _sweep(sweeper, turn)
        await until(lambda: count(eyes, turn, LaneFinished, lane="full"))
        assert await count(eyes, turn, TurnEnded) == 0
        await _sweep(sweeper, turn)
        over = await ended(eyes, turn)
        assert over and over.reason == "stop" and not over.degraded
        assert (await replay(eyes, turn))[0].endswith(WHOLE)
        assert over.released == len((await replay(eyes, turn))[0])


@in_loop
async def test_looking_at_a_turn_that_goes_on_disturbs_no_lane(real: Backend) -> None:
    settings, more = real.settings(), asyncio.Event()
    model = Scripted(full=[["We open", more, *answer(" at nine. Every day.")]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as worker:
        turn = await start(eyes, settings, **GOING_ON)
        await until(lambda: count(eyes, turn, LaneStarted))
        for _ in range(3):
            await _sweep(worker, turn)
            assert (await lease_of(eyes, turn) or 0) > worker.stores.queue_clock.now_ms()
        more.set()
        await until(lambda: count(eyes, turn, LaneFinished))
        await _sweep(worker, turn)
        assert await count(eyes, turn, LaneStarted) == 1
        assert (await replay(eyes, turn))[0] == WHOLE
        assert not await left_behind(eyes)


@in_loop
async def test_a_lane_whose_worker_died_is_not_begun_anew_for_its_turn(real: Backend) -> None:
    """Its own lease will lapse; until then its attempt may be alive."""
    settings = real.settings()
    model = Scripted(full=[["We open", asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model) as sweeper:
        turn = await start(eyes, settings, **GOING_ON)
        async with open_worker(settings, "full", model, name="w:1") as worker:
            await until(lambda: count(eyes, turn, LaneStarted))
            await worker.kill()
        await _sweep(sweeper, turn)
        assert not await eyes.queue.exists(keys.ready("full", "default"))


@pytest.mark.parametrize("policy", [{}, GOING_ON])
@in_loop
async def test_a_turn_past_its_deadline_is_ended_as_failed(real: Backend, policy: dict[str, Any]) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turn = await start(eyes, settings, **policy)
        await age(eyes, turn)
        await _sweep(sweeper, turn)
        assert await count(eyes, turn, TimerFired, due="deadline") == 1
        assert await count(eyes, turn, TurnInterrupted) == 0
        over = await ended(eyes, turn)
        assert over and over.reason == "error" and over.error
        assert over.error["code"] == "turn_deadline"
        assert await lease_of(eyes, turn) is None


@in_loop
async def test_at_the_deadline_a_whole_draft_stands_in(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("We open at nine, I think.")], full=[[asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model) as sweeper:
        turn = await start(eyes, settings, drafting=True, draft={"style": "answer"})
        await until(lambda: count(eyes, turn, LaneFinished, lane="draft"))
        await age(eyes, turn)
        await _sweep(sweeper, turn)
        over = await ended(eyes, turn)
        assert over and (over.reason, over.degraded) == ("stop", True)
        assert (await replay(eyes, turn))[0] == "We open at nine, I think."


@in_loop
async def test_a_running_lane_of_a_turn_that_ends_is_stopped_and_nothing_is_left(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[["Let", asyncio.Event()]], full=[["We", asyncio.Event()]])
    async with open_stores(settings) as eyes, open_workers(settings, model, sweeping=False) as (sweeper, _):
        turn = await start(eyes, settings, drafting=True)
        await until(lambda: len(model.calls) == 2)
        await until(lambda: count(eyes, turn, LaneStarted, lane="full"))
        await until(lambda: count(eyes, turn, LaneStarted, lane="draft"))
        await _sweep(sweeper, turn)
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        await until(lambda: count(eyes, turn, LaneFinished, reason="cancelled", lane="draft"))
        await until(lambda: count(eyes, turn, LaneFinished, reason="cancelled", lane="full"))
        assert await count(eyes, turn, TurnEnded) == 1
        await until(lambda: _nothing_left(eyes))


async def _nothing_left(stores: Stores) -> bool:
    return not await left_behind(stores)


@in_loop
async def test_a_turn_that_has_its_ending_only_loses_its_lease(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "full", Scripted()) as sweeper:
        turn = await start(eyes, settings)
        await _sweep(sweeper, turn)
        before = await events(eyes, turn)
        pipe = eyes.queue.pipeline(transaction=True)
        job_queue.hold_turns(pipe, [turn], 1)  # by a replica that renewed a moment too late
        await pipe.execute()
        await sweeper.sweep_now()
        assert await events(eyes, turn) == before
        assert await lease_of(eyes, turn) is None
