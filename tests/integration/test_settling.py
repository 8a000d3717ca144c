"""Settling: what a turn counts for is written once, whoever dies, and not before all of it is known."""

import asyncio
from datetime import UTC, datetime

import pytest

from api.limits.admission_script import AdmissionRequest, admit, release
from common.events import LaneFinished
from common.queue import job_queue
from common.records.recording import RecordedTurn
from common.sessions.deletion import delete_session
from common.store import keys
from common.tenants.config import Limits
from common.tenants.usage import Account, Counts, read_usage
from tests.support.ended_turns import begun, end_turn, put
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import list_session, serving
from tests.support.settlement import (
    DAY,
    SETTLED,
    START_MS,
    TOLD,
    bring_on,
    budget,
    call,
    have_ended,
    have_turn,
    open_settler,
    speak,
    unsettled,
    usage,
)
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop, until
from tests.support.wiring import open_workers

# What is written.


@in_loop
async def test_a_turn_is_settled_once_and_its_reservation_is_spent(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn = await have_ended(stores, reserved=500)
        assert await settler.settle() == 1
        assert await usage(stores) == {"fast-reply": SETTLED}
        assert await budget(stores) == {"reserved": 0, "spent": 106}
        assert not await unsettled(stores) and not await stores.queue.exists(keys.reserved("acme"))
        await stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
        assert await settler.settle() == 0
        assert await usage(stores) == {"fast-reply": SETTLED}
        for key in (keys.tokens("acme", DAY), keys.usage("acme", DAY)):
            assert await stores.queue.ttl(key) > 0


@in_loop
async def test_what_a_turn_was_let_in_with_is_settled(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        turn, limits = call(), Limits(tokens_per_day=1_000)
        assert not (await admit(stores, AdmissionRequest(turn, limits, 400, True), 600_000)).refused_by
        now_ms = stores.log_clock.now_ms()
        await put(stores, turn.session, begun(turn.turn), now_ms)
        await speak(stores, turn, now_ms)
        await end_turn(stores, turn, now_ms + 40)
        await settler.settle()
        await release(stores, turn)  # too late: it is settled
        assert (
            await admit(stores, AdmissionRequest(call("turn0002"), limits, 0, True), 600_000)
        ).tokens == 106


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
        await stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
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
        await stores.on_queue.run(lambda pipe: job_queue.register_turn(pipe, turn, 1))
        await reply(stores.queue.hset(keys.reserved("acme"), str(turn), f"{DAY}:500"))
        await reply(stores.queue.hincrby(keys.tokens("acme", DAY), "reserved", 500))
        await stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
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

        monkeypatch.setattr("workers.accounting.settlement.Account", account)
        await settler.settle()
        assert await usage(stores) == {"fast-reply": SETTLED}
        assert list(await unsettled(stores)) == [str(call("turn0001"))]


@in_loop
async def test_what_another_settled_meanwhile_is_not_listed_again(real: Backend) -> None:
    async with open_settler(real.settings()) as (stores, settler):
        await settler._look_again(call("turn0001"), 1_000)
        assert await unsettled(stores) == {}


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
