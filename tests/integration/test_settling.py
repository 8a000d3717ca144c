"""Settling: what a turn counts for is written once, whoever dies, and not before all of it is known."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from kept import begun, end_turn, put
from parts import open_workers
from scripted import Scripted, answer
from serving import list_session, serving
from store_servers import Backend
from waiting import end, in_loop, until

from common import keys, queue
from common.admission import Ask, admit, take_back
from common.deletion import delete_session
from common.events import Delta, LaneFinished, LaneStarted
from common.keys import SessionRef, TurnRef
from common.recording import RecordedTurn
from common.sessions import Sessions
from common.settings import Settings
from common.stores import Stores, TimedPipeline, open_stores
from common.tenants.config import Limits
from common.usage import Account, Counts, read_usage
from workers.settling import Settler

HERE = Path(__file__).parent
DAY = "20261120"
START_MS = round(datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC).timestamp() * 1000)
TOLD = {"prompt_tokens": 100, "completion_tokens": 6, "total_tokens": 106}
SETTLED = {"turns": 1, "full_prompt_tokens": 100, "full_completion_tokens": 6}


@asynccontextmanager
async def open_settler(settings: Settings) -> AsyncIterator[tuple[Stores, Settler]]:
    """A settler over connections of its own; it takes its rounds by hand."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        yield stores, Settler(settings, stores, Sessions(stores, None))


def call(name: str = "turn0001") -> TurnRef:
    """A turn, alone in a session whose name needs quoting."""
    return TurnRef(SessionRef("acme", f"{name}: call {{a}}"), name)


async def have_turn(
    stores: Stores, name: str = "turn0001", *, at_ms: int = START_MS, reserved: int = 0, **fields: Any
) -> TurnRef:
    """A turn that has begun, as its start leaves it."""
    turn = call(name)
    await stores.on_queue.run(lambda pipe: queue.list_turn(pipe, turn, stores.queue_clock.now_ms()))
    if reserved:
        await stores.queue.hset(keys.reserved("acme"), str(turn), f"{DAY}:{reserved}")
        await stores.queue.hincrby(keys.tokens("acme", DAY), "reserved", reserved)
    await put(stores, turn.session, replace(begun(name), **fields), at_ms)
    return turn


async def speak(stores: Stores, turn: TurnRef, at_ms: int = START_MS, *, to_its_end: bool = True) -> None:
    """What the full says in it."""
    name, session = turn.turn, turn.session
    await put(stores, session, LaneStarted(name, "full", 1, "w"), at_ms + 5)
    await put(stores, session, Delta(name, "full", 1, 0, "We open at nine.", 20), at_ms + 20)
    if to_its_end:
        await put(stores, session, LaneFinished(name, "full", 1, 16, "stop", TOLD, None, 30), at_ms + 30)


async def have_ended(stores: Stores, name: str = "turn0001", *, reserved: int = 0, **fields: Any) -> TurnRef:
    turn = await have_turn(stores, name, reserved=reserved, **fields)
    await speak(stores, turn)
    await end_turn(stores, turn, START_MS + 40)
    return turn


async def unsettled(stores: Stores) -> dict[str, int]:
    """The turns that are to be settled, and when."""
    found = await stores.queue.zrange(keys.UNSETTLED, 0, -1, withscores=True)
    return {member.decode(): int(score) for member, score in found}


async def usage(stores: Stores, day: str = DAY) -> dict[str, Counts]:
    """The tenant's counters of a day, by profile."""
    on = date.fromisoformat(day)
    return {used.profile: used.counts for used in await read_usage(stores, "acme", on, on)}


async def budget(stores: Stores) -> dict[str, int]:
    found = await stores.queue.hgetall(keys.tokens("acme", DAY))
    return {name.decode(): int(number) for name, number in found.items()}


async def bring_on(stores: Stores) -> None:
    """Let everything be due that is listed and held or put off."""
    for member in await unsettled(stores):
        await stores.queue.zadd(keys.UNSETTLED, {member: 1}, xx=True)


# What is written.


@in_loop
async def test_a_turn_is_settled_once_and_its_reservation_is_spent(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn = await have_ended(stores, reserved=500)
        assert await settler.settle() == 1
        assert await usage(stores) == {"fast-reply": SETTLED}
        assert await budget(stores) == {"reserved": 0, "spent": 106}
        assert not await unsettled(stores) and not await stores.queue.exists(keys.reserved("acme"))
        await stores.on_queue.run(lambda pipe: queue.drop_turn(pipe, turn))
        assert await settler.settle() == 0
        assert await usage(stores) == {"fast-reply": SETTLED}
        for key in (keys.tokens("acme", DAY), keys.usage("acme", DAY)):
            assert await stores.queue.ttl(key) > 0


@in_loop
async def test_what_a_turn_was_let_in_with_is_settled(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn, limits = call(), Limits(tokens_per_day=1_000)
        assert not (await admit(stores, Ask(turn, limits, 400, True), 600_000)).refused_by
        now_ms = stores.log_clock.now_ms()
        await put(stores, turn.session, begun(turn.turn), now_ms)
        await speak(stores, turn, now_ms)
        await end_turn(stores, turn, now_ms + 40)
        await settler.settle()
        await take_back(stores, turn)  # too late: it is settled
        assert (await admit(stores, Ask(call("turn0002"), limits, 0, True), 600_000)).tokens == 106


@in_loop
async def test_without_a_reservation_only_usage_is_counted(valkey: Backend) -> None:
    async with open_settler(valkey.settings(usage_days=7)) as (stores, settler):
        await have_ended(stores)
        await settler.settle()
        assert await usage(stores) == {"fast-reply": SETTLED} and await budget(stores) == {}
        assert 6 * 86_400 < await stores.queue.ttl(keys.usage("acme", DAY)) <= 7 * 86_400


@in_loop
async def test_a_turn_belongs_to_the_day_and_the_profile_it_started_with(valkey: Backend) -> None:
    async with open_settler(valkey.settings()) as (stores, settler):
        for name, at_ms in (("turn0001", START_MS + 999), ("turn0002", START_MS + 1_000)):
            turn = await have_turn(stores, name, at_ms=at_ms, profile="a|b:客服")
            await speak(stores, turn, at_ms)
            await end_turn(stores, turn, at_ms + 40)
        assert await settler.settle() == 2
        assert await usage(stores) == await usage(stores, "20261121") == {"a|b:客服": SETTLED}


@pytest.mark.parametrize(("record", "due"), [("full", False), ("redacted", True), ("none", True)])
@in_loop
async def test_a_turn_whose_words_are_not_kept_is_to_be_redacted(
    valkey: Backend, record: str, due: bool
) -> None:
    async with open_settler(valkey.settings(redact_after_s=30)) as (stores, settler):
        turn = await have_ended(stores, record=record)
        earliest_ms = stores.queue_clock.now_ms() + 30_000
        await settler.settle()
        when = await stores.queue.zscore(keys.REDACTING, str(turn))
        assert (when is not None) == due and (not due or when >= earliest_ms)


# When.


@in_loop
async def test_a_turn_that_goes_on_is_left_alone(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn = await have_turn(stores)
        assert await settler.settle() == 0  # it is not due
        await stores.on_queue.run(lambda pipe: queue.drop_turn(pipe, turn))
        assert await settler.settle() == 1
        assert (await unsettled(stores))[str(turn)] > stores.queue_clock.now_ms()
        assert await usage(stores) == {}


@in_loop
async def test_a_lane_that_ends_after_its_turn_is_waited_for(real: Backend) -> None:
    async with open_settler(real.settings(lane_lease_s=60)) as (stores, settler):
        now_ms = stores.log_clock.now_ms()
        turn = await have_turn(stores, at_ms=now_ms, reserved=500)
        await speak(stores, turn, now_ms, to_its_end=False)
        await end_turn(stores, turn, now_ms + 40)
        for _ in range(2):
            assert await settler.settle() == 1
            assert (await unsettled(stores))[str(turn)] > stores.queue_clock.now_ms()
            assert await budget(stores) == {"reserved": 500}
            await bring_on(stores)
        finished = LaneFinished(turn.turn, "full", 1, 16, "cancelled", TOLD, None, 90)
        await put(stores, turn.session, finished, now_ms + 90)
        await settler.settle()
        assert await budget(stores) == {"reserved": 0, "spent": 106}


@in_loop
async def test_of_a_lane_whose_worker_died_the_cost_is_estimated(real: Backend) -> None:
    async with open_settler(real.settings(lane_lease_s=1)) as (stores, settler):
        turn = await have_turn(stores, reserved=500)
        await speak(stores, turn, to_its_end=False)
        await end_turn(stores, turn, START_MS + 40)
        await settler.settle()
        counts = (await usage(stores))["fast-reply"]
        assert counts["full_completion_tokens"] == 4 and counts["full_prompt_tokens"] == 5
        assert counts["estimated_tokens"] == 9 and (await budget(stores))["spent"] == 9


@in_loop
async def test_a_draft_in_the_shadow_may_speak_on_for_as_long_as_its_turn_might(valkey: Backend) -> None:
    async with open_settler(valkey.settings(lane_lease_s=1)) as (stores, settler):
        now_ms = stores.log_clock.now_ms()
        policy = {"handoff": {"shadow": True}, "deadline_ms": 600_000}
        turn = await have_turn(stores, at_ms=now_ms - 60_000, policy=policy)
        await speak(stores, turn, now_ms - 60_000, to_its_end=False)
        await end_turn(stores, turn, now_ms - 50_000)
        await settler.settle()
        assert await unsettled(stores) and not await usage(stores)


# What is not there.


@in_loop
async def test_a_turn_that_never_was_gives_back_what_it_had_reserved(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn = call()
        await stores.on_queue.run(lambda pipe: queue.list_turn(pipe, turn, 1))
        await stores.queue.hset(keys.reserved("acme"), str(turn), f"{DAY}:500")
        await stores.queue.hincrby(keys.tokens("acme", DAY), "reserved", 500)
        await stores.on_queue.run(lambda pipe: queue.drop_turn(pipe, turn))
        await settler.settle()
        assert await budget(stores) == {"reserved": 0, "spent": 0}
        assert not await usage(stores) and not await unsettled(stores)


@pytest.mark.parametrize("reborn", [False, True])
@in_loop
async def test_who_deletes_the_session_pays_what_was_reserved(real: Backend, reborn: bool) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn = await have_ended(stores, reserved=500)
        assert await delete_session(stores, None, turn.session)
        if reborn:
            await put(stores, turn.session, begun("turn0002"), stores.log_clock.now_ms() + 1_000)
            await list_session(stores, turn.session, stores.log_clock.now_ms() + 1_000)
        await settler.settle()
        assert await budget(stores) == {"reserved": 0, "spent": 500}
        assert await usage(stores) == {"": {"turns": 1, "deleted_tokens": 500}}


@in_loop
async def test_what_is_no_turn_is_thrown_out(valkey: Backend) -> None:
    async with open_settler(valkey.settings()) as (stores, settler):
        await stores.queue.zadd(keys.UNSETTLED, {"nonsense": 0, "acme:s:turn0001:full:1": 0})
        await settler.settle()
        assert not await unsettled(stores)


# Who dies, and who is beside.


class Dead(Exception):
    """This process was killed."""


@pytest.mark.parametrize("after", [False, True])
@in_loop
async def test_killed_at_any_step_it_settles_once(
    real: Backend, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    async with (
        open_settler(real.settings()) as (stores, settler),
        open_settler(real.settings()) as (_, next_),
    ):
        steps, died = 0, True
        while died:
            name, steps = f"turn{steps:04}", steps + 1
            await have_ended(stores, name, reserved=500)
            died = await _settle_and_die(monkeypatch, settler, steps, after=after)
            await bring_on(stores)  # as time does
            await next_.settle()
            assert await budget(stores) == {"reserved": 0, "spent": 106 * steps}
            assert (await usage(stores))["fast-reply"]["turns"] == steps
        assert steps > 3  # taking, finding, settling; and one that came to its end


async def _settle_and_die(
    monkeypatch: pytest.MonkeyPatch, settler: Settler, die_at: int, *, after: bool
) -> bool:
    """Settle up to the so manieth round trip; whether it came to that."""
    done, died, execute = 0, asyncio.Event(), TimedPipeline.execute

    async def step(self: TimedPipeline, *args: Any, **kwargs: Any) -> Any:
        nonlocal done
        done += 1
        if done < die_at:
            return await execute(self, *args, **kwargs)
        if done == die_at and after:
            await execute(self, *args, **kwargs)
        died.set()
        return await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(TimedPipeline, "execute", step)
        settling = asyncio.create_task(settler.settle())
        await until(lambda: settling.done() or died.is_set())
        await end(settling)
    for batcher in (settler._stores.on_log, settler._stores.on_queue):
        if batcher._flushing:
            await end(batcher._flushing)  # its process is gone
            batcher._flushing, batcher._waiting = None, []
    return died.is_set()


@in_loop
async def test_settlers_share_the_work_and_double_nothing(real: Backend) -> None:
    async with (
        open_settler(real.settings()) as (stores, first),
        open_settler(real.settings()) as (_, second),
    ):
        for number in range(20):
            await have_ended(stores, f"turn{number:04}", reserved=500)
        assert sum(await asyncio.gather(first.settle(), second.settle())) == 20
        assert await budget(stores) == {"reserved": 0, "spent": 20 * 106}
        assert (await usage(stores))["fast-reply"]["turns"] == 20


@in_loop
async def test_processes_that_are_killed_settle_every_turn_once(two_servers: Backend) -> None:
    async with (
        open_settler(two_servers.settings()) as (stores, last),
        started_settler(two_servers, stores) as first,
        started_settler(two_servers, stores) as second,
    ):
        names = [f"turn{number:04}" for number in range(150)]
        having = [asyncio.create_task(have_ended(stores, name, reserved=500)) for name in names]
        for process, settled in ((first, 20), (second, 60)):
            await until(lambda settled=settled: is_counted(stores, settled))
            process.kill()
            await process.wait()
        await asyncio.gather(*having)
        await bring_on(stores)  # as time does for what the dead held
        while await last.settle():
            pass
        assert not await unsettled(stores)
        assert await budget(stores) == {"reserved": 0, "spent": 106 * len(names)}
        assert await usage(stores) == {"fast-reply": {name: len(names) * n for name, n in SETTLED.items()}}


async def is_counted(stores: Stores, turns: int) -> bool:
    """Whether so many turns are settled."""
    return (await usage(stores)).get("fast-reply", {}).get("turns", 0) >= turns


@asynccontextmanager
async def started_settler(backend: Backend, stores: Stores) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that settles until it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        HERE / "dying_settler.py",
        backend.log_url,
        backend.queue_url or "",
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )
    try:
        await until(lambda: stores.queue.getdel(f"test:ready:{process.pid}"))
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@in_loop
async def test_two_that_look_at_the_same_turn_settle_it_once(real: Backend) -> None:
    async with (
        open_settler(real.settings()) as (stores, first),
        open_settler(real.settings()) as (_, second),
    ):
        turn = await have_ended(stores, reserved=500)
        await asyncio.gather(*(settler._look(turn) for settler in (first, second) for _ in range(5)))
        assert await budget(stores) == {"reserved": 0, "spent": 106}
        assert await usage(stores) == {"fast-reply": SETTLED}


@in_loop
async def test_one_broken_turn_keeps_no_other_from_being_settled(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_settler(valkey.settings()) as (stores, settler):
        await have_ended(stores, "turn0001", profile="broken")
        await have_ended(stores, "turn0002")

        def account(turn: RecordedTurn) -> Account:
            if turn.started.profile == "broken":
                raise RuntimeError("a bug")
            return Account(turn)

        monkeypatch.setattr("workers.settling.Account", account)
        await settler.settle()
        assert await usage(stores) == {"fast-reply": SETTLED}
        assert list(await unsettled(stores)) == [str(call("turn0001"))]


# With all parts at work.


@in_loop
async def test_live_turns_are_settled_as_they_end(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer("We open at nine. Come in.")])
    body = {"messages": [{"role": "user", "content": "When do you open?"}], "stream": True}
    today = datetime.now(UTC).date()
    async with (
        open_settler(settings) as (stores, settler),
        open_workers(settings, model),
        serving(settings) as client,
    ):
        settling = asyncio.create_task(settler.run())
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200

        async def counted() -> Counts | None:
            found = await read_usage(stores, "default", today, datetime.now(UTC).date())
            return found[0].counts if found else None

        counts = await until(counted)
        await end(settling)
        assert counts["turns"] == counts["drafted"] == 1 and not await unsettled(stores)
        assert (counts["full_prompt_tokens"], counts["full_completion_tokens"]) == (3, 4)
