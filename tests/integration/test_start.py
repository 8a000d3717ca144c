"""The start of a turn, by a process killed between its steps: the turn ends, or never was."""

import asyncio
from typing import Any

import pytest

from common.events import LaneStarted, TurnEnded, TurnStarted
from common.names import Lane, TurnRef
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.following import only_marks_left
from tests.support.killed_starts import start_and_die
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, ended, events, job, lapse, lease_of, left_behind, replay
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_starter, open_workers

LANES: tuple[Lane, ...] = ("draft", "full")
WHOLE = "We open at nine. Every day."
CANCEL: dict[str, Any] = {"on_disconnect": "cancel"}
GOING_ON: dict[str, Any] = {"on_disconnect": "continue"}


async def mend(backend: Backend, turn: TurnRef) -> None:
    """Let workers come, and the turn's lease lapse again and again, until nothing holds it any more."""
    settings = backend.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_workers(settings, model, sweeping=False) as (sweeper, _):
        while await lease_of(eyes, turn) is not None:
            await lapse(eyes, turn)
            await sweeper.sweep_now()
        await until(lambda: only_marks_left(eyes))


async def _never_was(stores: Stores, turn: TurnRef) -> bool:
    return not await stores.log.exists(keys.log(turn.session)) and await events(stores, turn) == []


@pytest.mark.parametrize("policy", [CANCEL, GOING_ON])
@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@in_loop
async def test_on_two_servers_a_start_that_is_cut_ends_or_never_was(
    two_servers: Backend, steps: int, policy: dict[str, Any]
) -> None:
    turn = await start_and_die(two_servers, steps, policy=policy)
    async with open_stores(two_servers.settings()) as eyes:
        assert (await lease_of(eyes, turn) is not None) == (steps >= 1)
        assert await count(eyes, turn, TurnStarted) == (steps >= 2)
        for lane in LANES:
            assert await eyes.queue.zcard(keys.queue(lane)) == (steps >= 3)
        await mend(two_servers, turn)
        if steps < 2:
            assert await _never_was(eyes, turn)
            return
        over = await ended(eyes, turn)
        assert over
        heard, ending = await replay(eyes, turn)
        assert ending and (ending.reason, len(heard)) == (over.reason, over.released)
        if policy is GOING_ON:
            assert over.reason == "stop" and heard.endswith(WHOLE)
        elif steps == 2:
            assert over.reason == "interrupted" and not heard


@pytest.mark.parametrize("policy", [CANCEL, GOING_ON])
@pytest.mark.parametrize("steps", [0, 1])
@in_loop
async def test_on_one_server_a_start_is_whole_or_never_was(
    valkey: Backend, steps: int, policy: dict[str, Any]
) -> None:
    turn = await start_and_die(valkey, steps, policy=policy)
    async with open_stores(valkey.settings()) as eyes:
        if not steps:
            assert await _never_was(eyes, turn)
            assert not await left_behind(eyes)
            return
        assert await lease_of(eyes, turn)
        assert all([await lease_of(eyes, job(turn, lane=lane)) for lane in LANES])
        await mend(valkey, turn)
        over = await ended(eyes, turn)
        assert over and over.reason in ("stop", "interrupted")
        if policy is GOING_ON:
            assert over.reason == "stop" and (await replay(eyes, turn))[0].endswith(WHOLE)


@in_loop
async def test_a_start_writes_what_the_workers_need_and_no_credential(real: Backend) -> None:
    settings = real.settings(llm_api_key="sk-very-secret", small_model_api_key="sk-small-secret")
    async with open_stores(settings) as eyes:
        starter = open_starter(settings, eyes)
        planned = starter.plan(ask("call 7:{a}"))
        turn, started = planned.turn, planned.started
        entry = await starter.commit(planned)
        assert (entry.event, await events(eyes, turn)) == (started, [started])
        assert list(started.lanes) == ["draft", "full"]
        (raw,) = await eyes.log.xrange(keys.log(turn.session))
        assert raw[0].decode() == entry.id
        jobs = [await eyes.queue.get(key) async for key in eyes.queue.scan_iter(match="arq:job:*")]
        assert len(jobs) == 2
        assert "secret" not in repr([raw, jobs])
        assert 0 < await eyes.log.ttl(keys.log(turn.session)) <= settings.retention_s


@in_loop
async def test_many_starts_at_once_all_stand(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as eyes:
        starter = open_starter(settings, eyes)
        planned = [starter.plan(ask(f"s{number}", drafting=False)) for number in range(300)]
        entries = await asyncio.gather(*(starter.commit(each) for each in planned))
        assert [entry.event for entry in entries] == [each.started for each in planned]
        queued = await eyes.queue.zrange(keys.queue("full"), 0, -1)
        assert sorted(queued) == sorted(str(job(each.turn)).encode() for each in planned)
        for each, entry in zip(planned, entries, strict=True):
            (raw,) = await eyes.log.xrange(keys.log(each.turn.session))
            assert raw[0].decode() == entry.id
            assert await events(eyes, each.turn) == [each.started]


@in_loop
async def test_a_started_turn_is_taken_and_answered(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_workers(settings, model, sweeping=False):
        starter = open_starter(settings, eyes)
        planned = starter.plan(ask())
        turn = planned.turn
        await starter.commit(planned)
        await until(lambda: count(eyes, turn, LaneStarted, lane="full"))
        await until(lambda: _heard_whole(eyes, turn))
        assert await count(eyes, turn, TurnEnded) == 0


async def _heard_whole(stores: Stores, turn: TurnRef) -> bool:
    return (await replay(stores, turn))[0].endswith(WHOLE)
