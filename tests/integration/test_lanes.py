"""One attempt at one lane: asks the model once, stops when it is told to, and says how it ended."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from arq.constants import in_progress_key_prefix, retry_key_prefix

from common.events import LaneFinished, LaneStarted
from common.names import JobRef, TurnRef
from common.queue import fair_share, job_queue
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.lane_state import ToolCallState
from tests.support.scripted_model import END, Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import (
    count,
    events,
    fold,
    job,
    left_behind,
    replay,
    start,
    subscribed,
    turn_entries,
)
from tests.support.tcp_proxy import log_behind_proxy
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_worker
from workers.providers.base import Finish, PassThrough, ToolCallDelta, UpstreamError

WHOLE = "We open at nine. Every day."
NEVER_S = 600.0
_MARKS_OF_A_RUN = (in_progress_key_prefix, retry_key_prefix)


async def _only_turn_left(stores: Stores, turn: TurnRef) -> bool:
    """Whether nothing is left on the queue but the turn's own lease, which its driver lets go."""
    members = await stores.queue.zrange(keys.LEASES, 0, -1)
    return set(await left_behind(stores)) == {keys.LEASES} and members == [str(turn).encode()]


async def _heard(stores: Stores, turn: TurnRef, text: str) -> bool:
    return (await replay(stores, turn))[0] == text


async def _finish(stores: Stores, turn: TurnRef) -> LaneFinished:
    """The end that counts, which is the first."""
    await until(lambda: count(stores, turn, LaneFinished))
    return next(event for event in await events(stores, turn) if isinstance(event, LaneFinished))


@in_loop
async def test_an_answer_is_written_as_it_came(real: Backend) -> None:
    settings = real.settings()
    pieces = [
        *words("Let me look."),
        PassThrough({"delta": {"reasoning": "hm"}}),
        ToolCallDelta(0, "c1", "find", '{"q":'),
        ToolCallDelta(0, "", "", '"x"}'),
        Finish("function_call"),
        *END[1:],
    ]
    model = Scripted(full=[pieces])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings)
        finished = await _finish(eyes, turn)
        assert (finished.reason, finished.error) == ("function_call", None)  # the fold makes it `tool_calls`
        assert finished.usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        assert await count(eyes, turn, LaneStarted, attempt=1, worker="w:1") == 1
        lane = fold(await turn_entries(eyes, turn))[0].full
        assert lane.text == "Let me look."
        assert lane.extras == [{"delta": {"reasoning": "hm"}}]
        assert lane.calls == {0: ToolCallState("c1", "find", '{"q":"x"}')}
        assert [call.body["model"] for call in model.calls] == ["full"]
        await until(lambda: _only_turn_left(eyes, turn))


@in_loop
async def test_a_draft_that_goes_on_without_end_is_ended_and_its_turn_is_not(real: Backend) -> None:
    settings = real.settings(small_model="small", policy={"draft": {"max_chars": 40}})
    model = Scripted(small=[["grow well "] * 1_000 + [asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model):
        turn = await start(eyes, settings, drafting=True)
        finished = await _finish(eyes, turn)
        assert (finished.lane, finished.reason, finished.at) == ("draft", "length", 40)
        here = fold(await turn_entries(eyes, turn))[0]
        assert (str(here.draft.text), here.ending) == ("grow well " * 4, None)


@pytest.mark.parametrize(
    "script, code",
    [
        (lambda: [UpstreamError("upstream_refused", "no")], "upstream_refused"),
        (lambda: [*words("We open"), UpstreamError("upstream_cut", "no")], "upstream_cut"),
        (lambda: [asyncio.Event()], "upstream_first_token_timeout"),
        (lambda: [*words("We open"), asyncio.Event()], "upstream_stalled"),
        (lambda: 1 / 0, "internal_error"),
    ],
)
@in_loop
async def test_a_model_that_fails_ends_its_lane_with_the_reason(
    real: Backend, script: Callable[[], Any], code: str
) -> None:
    settings = real.settings(first_token_timeout_s=0.2, next_token_timeout_s=0.2)
    model = Scripted(full=[lambda body: script()])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings)
        finished = await _finish(eyes, turn)
        assert finished.reason == "error" and finished.error
        assert finished.error["code"] == code
        await until(lambda: _only_turn_left(eyes, turn))
        assert len(model.calls) == 1


@pytest.mark.parametrize("how", ["order", "mark"])
@in_loop
async def test_a_lane_that_is_told_to_stop_closes_its_upstream(real: Backend, how: str) -> None:
    settings = real.settings(renew_s=NEVER_S if how == "order" else 0.02)
    model = Scripted(full=[[*words("We open"), asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as worker:
        turn = await start(eyes, settings)
        await until(lambda: _heard(eyes, turn, "We open"))
        channel = keys.orders(worker.running.worker)
        await until(lambda: subscribed(eyes, channel))
        await _stop(eyes, job(turn), worker.running.worker if how == "order" else "")
        finished = await _finish(eyes, turn)
        assert (finished.reason, finished.error) == ("cancelled", None)
        assert finished.usage is None  # no server has told; whoever counts estimates
        assert [call.ended for call in model.calls] == ["closed"]
        await until(lambda: _only_turn_left(eyes, turn))


async def _stop(stores: Stores, stopped: JobRef, worker: str) -> None:
    pipe = stores.queue.pipeline(transaction=False)
    job_queue.order_stop(pipe, stopped, worker)
    await pipe.execute()


@in_loop
async def test_a_lane_told_to_stop_before_it_began_asks_no_model(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes:
        turn = await start(eyes, settings)
        await _stop(eyes, job(turn), "")
        async with open_worker(settings, "full", model):
            assert (await _finish(eyes, turn)).reason == "cancelled"
            await until(lambda: _only_turn_left(eyes, turn))
        assert not model.calls


@in_loop
async def test_a_lane_that_lost_its_lease_stops_and_writes_nothing_more(real: Backend) -> None:
    settings = real.settings(renew_s=0.02)
    model = Scripted(full=[[*words("We open"), asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as worker:
        turn = await start(eyes, settings)
        await until(lambda: _heard(eyes, turn, "We open"))
        await eyes.queue.zrem(keys.LEASES, str(job(turn)))
        await until(lambda: not worker.runner.tasks)
        assert [call.ended for call in model.calls] == ["closed"]
        assert await count(eyes, turn, LaneFinished) == 0
        await until(lambda: _only_turn_left(eyes, turn))


@in_loop
async def test_a_session_deleted_on_the_way_closes_the_upstream(real: Backend) -> None:
    settings, more = real.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, " at nine.", asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings)
        await until(lambda: _heard(eyes, turn, "We open"))
        await eyes.log.delete(keys.log(turn.session))
        more.set()
        await until(lambda: model.calls[0].ended == "closed")
        assert not await eyes.log.exists(keys.log(turn.session))


@in_loop
async def test_a_session_deleted_before_the_lane_began_asks_no_model(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes:
        turn = await start(eyes, settings)
        await eyes.log.delete(keys.log(turn.session))
        async with open_worker(settings, "full", model):
            await until(lambda: _only_turn_left(eyes, turn))
        assert not model.calls
        assert not await eyes.log.exists(keys.log(turn.session))


@in_loop
async def test_a_job_without_a_lease_asks_no_model(real: Backend) -> None:
    """The sweep took it away, between the job's being picked up and its beginning."""
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes:
        turn = await start(eyes, settings)
        await eyes.queue.zrem(keys.LEASES, str(job(turn)))
        async with open_worker(settings, "full", model):
            await until(lambda: _only_turn_left(eyes, turn))
        assert not model.calls


@in_loop
async def test_a_job_put_again_after_its_end_asks_no_model_again(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings)
        await until(lambda: _only_turn_left(eyes, turn))
        await eyes.on_queue.run(lambda pipe: job_queue.enqueue(pipe, job(turn), 1, 1))
        await until(lambda: _only_turn_left(eyes, turn))
        assert len(model.calls) == 1
        assert (await replay(eyes, turn))[0] == WHOLE


@in_loop
async def test_a_draft_that_comes_after_the_hand_over_asks_no_model(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[[*words(WHOLE), asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings, drafting=True)
        await until(lambda: _heard(eyes, turn, WHOLE))
        async with open_worker(settings, "draft", model):
            finished = await _finish(eyes, turn)
            assert (finished.lane, finished.reason) == ("draft", "cancelled")
        assert not model.of("draft")


@in_loop
async def test_a_draft_that_comes_after_the_end_asks_no_model_and_says_that_it_is_over(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings, drafting=True)
        await until(lambda: count(eyes, turn, LaneFinished))
        async with open_worker(settings, "draft", model):
            await until(lambda: _only_turn_left(eyes, turn))
        *_, begun, finished = await events(eyes, turn)
        assert isinstance(begun, LaneStarted) and isinstance(finished, LaneFinished)
        assert (finished.lane, finished.attempt, finished.reason) == ("draft", 1, "cancelled")
        assert not model.of("draft")


@in_loop
async def test_a_second_run_of_an_attempt_leaves_the_first_alone(real: Backend) -> None:
    """The queue server came back without what says that the job is taken."""
    settings, more = real.settings(renew_s=0.02), asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *answer(" at nine. Every day.")], answer("What?")])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "full", model, name="w:1") as first,
    ):
        turn = await start(eyes, settings)
        await until(lambda: _heard(eyes, turn, "We open"))
        await first.runner.stop_taking(0)
        await eyes.queue.delete(*(prefix + str(job(turn)) for prefix in _MARKS_OF_A_RUN))
        await _let_wait(eyes, job(turn))
        async with open_worker(settings, "full", model, name="w:2") as second:
            await until(lambda: count(eyes, turn, LaneStarted, worker="w:2"))
            await until(lambda: not second.runner.tasks)
            for _ in range(2):  # the first one renews, and so would find its lease gone
                beat = await _beat(eyes)
                await until(lambda beat=beat: _beats_after(eyes, beat))
            more.set()
            assert (await _finish(eyes, turn)).reason == "stop"
        assert (await replay(eyes, turn))[0] == WHOLE
        assert len(model.calls) == 1


async def _let_wait(stores: Stores, attempt: JobRef) -> None:
    pipe = stores.queue.pipeline(transaction=True)
    fair_share.add_waiting(pipe, attempt, 0)
    await pipe.execute()


async def _beat(stores: Stores) -> float:
    beats = await stores.queue.zrange(keys.workers("full"), 0, -1, withscores=True)
    return next((ms for worker, ms in beats if worker.startswith(b"w:1|")), 0)


async def _beats_after(stores: Stores, beat: float) -> bool:
    return await _beat(stores) > beat


@in_loop
async def test_a_job_cancelled_by_the_queue_closes_its_upstream(real: Backend) -> None:
    settings = real.settings(next_token_timeout_s=NEVER_S)
    model = Scripted(full=[[*words("We open"), asyncio.Event()]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as worker:
        worker.runner.job_timeout_s = 0.2
        await start(eyes, settings)
        await until(lambda: model.calls)
        await until(lambda: not worker.runner.tasks)
        await until(lambda: model.calls[0].ended == "closed")


@in_loop
async def test_a_beginning_of_which_the_reply_was_lost_costs_no_attempt(real: Backend) -> None:
    model = Scripted(full=[answer(WHOLE)])
    async with (
        open_stores(real.settings()) as eyes,
        log_behind_proxy(real) as (proxy, settings),
        open_worker(settings, "full", model),
    ):
        proxy.lose_reply_to(b"lane.started")
        turn = await start(eyes, settings)
        await until(lambda: proxy.lost)
        await until(lambda: count(eyes, turn, LaneFinished))
        assert (await replay(eyes, turn))[0] == WHOLE
        assert await count(eyes, turn, LaneStarted, attempt=2) == 0
        assert len(model.calls) == 1
