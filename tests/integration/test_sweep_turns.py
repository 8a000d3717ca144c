"""The sweep over turns: one without a driver ends, or never was."""

import asyncio
import contextlib
from typing import Any

import orjson
import pytest
from parts import Worker, open_worker, open_workers
from reading_turns import (
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
from scripted import Scripted, answer
from store_servers import Backend, ValkeyServer
from waiting import in_loop, until

from common import keys, queue
from common.events import (
    WIRE_VERSION,
    LaneFinished,
    LaneStarted,
    TimerFired,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from common.fold import FOLD_VERSION
from common.keys import SessionRef, TurnRef
from common.stores import Stores, open_stores

WHOLE = "We open at nine. Every day."
GOING_ON: dict[str, Any] = {"on_disconnect": "continue"}


async def _decisive(stores: Stores, turn: TurnRef) -> dict[str, object]:
    """What decides how a turn ends, as the log says it first."""
    return {
        type(event).__name__: event
        for event in reversed(await events(stores, turn))
        if isinstance(event, TimerFired | TurnInterrupted | TurnEnded)
    }


async def _sweep(sweeper: Worker, turn: TurnRef) -> None:
    await lapse(sweeper.stores, turn)
    await sweeper.sweep_now()


@in_loop
async def test_a_turn_that_never_was_is_dropped(real: Backend, session: SessionRef) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "full", Scripted()) as sweeper:
        turn = TurnRef(session, "turn0001")
        pipe = eyes.queue.pipeline(transaction=True)
        queue.hold_turns(pipe, [turn], 1)
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
        turn = await start(eyes, settings, drafting=True)
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
        queue.hold_turns(pipe, [turn], 1)  # by a replica that renewed a moment too late
        await pipe.execute()
        await sweeper.sweep_now()
        assert await events(eyes, turn) == before
        assert await lease_of(eyes, turn) is None


@pytest.mark.parametrize("policy", [{}, GOING_ON])
@pytest.mark.parametrize("late", [False, True])
@in_loop
async def test_two_sweepers_at_once_decide_nothing_else(
    real: Backend, policy: dict[str, Any], late: bool
) -> None:
    settings = real.settings()
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", Scripted(), name="w:a") as one,
        open_worker(settings, "draft", Scripted(), name="w:b") as two,
    ):
        turn = await start(eyes, settings, **policy)
        if late:
            await age(eyes, turn)
        member = str(turn).encode()
        await asyncio.gather(*(each.sweep._mend_one(member) for each in (one, two)))
        decided, heard = await _decisive(eyes, turn), await replay(eyes, turn)
        for sweeper in (two, one):
            await sweeper.sweep._mend_one(member)
        assert await _decisive(eyes, turn) == decided
        assert await replay(eyes, turn) == heard
        wanted = (
            {"TurnEnded", "TimerFired"} if late else set() if policy else {"TurnEnded", "TurnInterrupted"}
        )
        assert set(decided) == wanted


@in_loop
async def test_a_turn_of_another_fold_is_left_to_those_who_know_it(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turn = await start(eyes, settings)
        (raw,) = await eyes.log.xrange(keys.log(turn.session))
        body = orjson.loads(raw[1][b"turn.started"]) | {"fold": 9_999}
        await eyes.log.delete(keys.log(turn.session))
        await eyes.log.xadd(keys.log(turn.session), {"turn.started": orjson.dumps(body)})
        await lapse(eyes, turn, job(turn))
        await sweeper.sweep_now()
        assert len(await events(eyes, turn)) == 1
        for held in (turn, job(turn)):
            assert (await lease_of(eyes, held) or 0) > sweeper.stores.queue_clock.now_ms()


LATER_POLICY = orjson.dumps(
    TurnStarted("turn0001", "p", {}, {"invented": "later"}, {"full": {}}, "on", WIRE_VERSION, FOLD_VERSION)
)


@pytest.mark.parametrize(
    "kind, body",
    [
        ("turn.started", b'{"turn":'),
        ("turn.started", LATER_POLICY),
        ("delta", b"\xff"),
        ("delta", b'{"turn":"turn0001"}'),
        ("turn.interrupted", b"[]"),
    ],
)
@in_loop
async def test_an_unreadable_session_does_not_keep_others_from_being_mended(
    valkey: Backend, kind: str, body: bytes
) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turns = [await start(eyes, settings, name) for name in ("s1", "s2")]
        unreadable = TurnRef(SessionRef("default", "s3"), "turn0001")
        await eyes.log.xadd(keys.log(unreadable.session), {kind: body})
        members = [str(unreadable), str(job(unreadable)), "what is this", "a:b:c:filler:1", "a:b:c:full:x"]
        await eyes.queue.zadd(keys.LEASES, dict.fromkeys(members, 1))
        await lapse(eyes, *turns)
        await sweeper.sweep_now()
        assert all([await ended(eyes, turn) for turn in turns])
        assert await eyes.queue.zmscore(keys.LEASES, members[2:]) == [None] * 3


@in_loop
async def test_more_lapsed_leases_than_one_sweep_takes_are_mended_by_the_next(valkey: Backend) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turns = [TurnRef(SessionRef("default", f"s{number}"), "turn0001") for number in range(250)]
        pipe = eyes.queue.pipeline(transaction=True)
        queue.hold_turns(pipe, turns, 1)
        await pipe.execute()
        mended = [await sweeper.sweep_now() for _ in range(4)]
        assert sum(mended) == 250 and mended[-1] == 0


@in_loop
async def test_after_an_outage_the_living_have_time_to_renew(
    mortal: Backend, mortal_server: ValkeyServer
) -> None:
    settings, more = mortal.settings(lane_lease_s=1.0), asyncio.Event()
    model = Scripted(full=[["We open", more, *answer(" at nine. Every day.")], answer("What?")])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "full", model),
        open_worker(settings, "draft", model, name="w:draft", sweeping=True),
    ):
        turn = await start(eyes, settings)
        await until(lambda: count(eyes, turn, LaneStarted))
        mortal_server.kill()
        lapsed_ms = eyes.queue_clock.now_ms() + settings.lane_lease_ms
        await until(lambda: eyes.queue_clock.now_ms() > lapsed_ms)
        await asyncio.to_thread(mortal_server.start)
        await eyes.log.connection_pool.disconnect()
        patient_ms = eyes.queue_clock.now_ms() + settings.lane_lease_ms
        await until(lambda: eyes.queue_clock.now_ms() > patient_ms)
        more.set()
        with contextlib.suppress(AssertionError):
            await until(lambda: count(eyes, turn, LaneFinished))
        assert await count(eyes, turn, LaneStarted) == 1
        assert (await replay(eyes, turn))[0] == WHOLE
