"""The sweep beside other sweeps, after outages, and over what it can not read."""

import asyncio
import contextlib
from typing import Any

import orjson
import pytest

from common import driver
from common.events import (
    WIRE_VERSION,
    LaneFinished,
    LaneStarted,
    TimerFired,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from common.names import SessionRef, TurnRef
from common.queue import job_queue
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.version import FOLD_VERSION
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.stored_turns import age, count, ended, events, job, lapse, lease_of, replay, start
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_worker

WHOLE = "We open at nine. Every day."
GOING_ON: dict[str, Any] = {"on_disconnect": "continue"}


async def _decisive(stores: Stores, turn: TurnRef) -> dict[str, object]:
    """What decides how a turn ends, as the log says it first."""
    return {
        type(event).__name__: event
        for event in reversed(await events(stores, turn))
        if isinstance(event, TimerFired | TurnInterrupted | TurnEnded)
    }


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
        await lapse(eyes, turn)
        await asyncio.gather(*(each.sweep._mend_all([member], []) for each in (one, two)))
        decided, heard = await _decisive(eyes, turn), await replay(eyes, turn)
        for sweeper in (two, one):
            await eyes.queue.zadd(keys.LEASES, {member: 1})
            await sweeper.sweep._mend_all([member], [])
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
async def test_a_bug_that_one_turn_meets_does_not_keep_others_from_being_mended(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turns = [await start(eyes, settings, name) for name in ("s1", "s2", "s3")]
        interrupt = driver.interrupt

        async def broken(stores: Stores, turn: TurnRef, *args: Any) -> None:
            if turn == turns[0]:
                raise RuntimeError("a bug")
            await interrupt(stores, turn, *args)

        monkeypatch.setattr(driver, "interrupt", broken)
        await lapse(eyes, *turns)
        await sweeper.sweep_now()
        assert [bool(await ended(eyes, turn)) for turn in turns] == [False, True, True]
        assert (await lease_of(eyes, turns[0]) or 0) > sweeper.stores.queue_clock.now_ms()


@in_loop
async def test_more_lapsed_leases_than_one_sweep_takes_are_mended_by_the_next(valkey: Backend) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turns = [TurnRef(SessionRef("default", f"s{number}"), "turn0001") for number in range(250)]
        pipe = eyes.queue.pipeline(transaction=True)
        job_queue.hold_turns(pipe, turns, 1)
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
        open_worker(settings, "draft", model, name="w:draft", sweeping=True, patient=True),
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
