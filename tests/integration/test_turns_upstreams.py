"""What a turn makes of upstreams that are busy, broken or say nothing: it waits, asks again, asks another."""

import asyncio
from typing import Any

import pytest

from common.events import LaneFinished
from common.names import TurnRef
from common.settings import FallbackModel
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import events, start
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_worker
from workers.providers.base import Finish, PassThrough, UpstreamError

WHOLE = "We open at nine. Every day."
SECOND = "Ask at the desk."
BROKEN = UpstreamError("upstream_refused", "the model's server answered 500")
LONG_S = 600.0


async def finish(stores: Stores, turn: TurnRef) -> LaneFinished:
    async def found() -> LaneFinished | None:
        return next((e for e in await events(stores, turn) if isinstance(e, LaneFinished)), None)

    event = await until(found)
    assert isinstance(event, LaneFinished)
    return event


@in_loop
async def test_a_turn_with_a_fallback_goes_to_it_at_once(real: Backend) -> None:
    other = FallbackModel(model="second")
    settings = real.settings(full_max_streams=1, fallbacks=(other,), first_token_timeout_s=LONG_S)
    going = asyncio.Event()
    model = Scripted(full=[[*words("We open"), going, *answer(" at nine.")]], second=[answer(SECOND)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        first = await start(eyes, settings, "one")
        await until(lambda: model.calls)
        second = await start(eyes, settings, "two")
        assert (await finish(eyes, second)).reason == "stop"
        assert [call.model for call in model.calls] == ["full", "second"]
        going.set()
        assert (await finish(eyes, first)).reason == "stop"


@in_loop
async def test_a_turn_without_one_waits_its_turn(real: Backend) -> None:
    settings = real.settings(full_max_streams=1, first_token_timeout_s=LONG_S)
    going = asyncio.Event()
    model = Scripted(full=[[*words("We open"), going, *answer(" at nine.")], answer(SECOND)])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "full", model),
        open_worker(settings, "full", model, name="w:2"),
    ):
        first = await start(eyes, settings, "one")
        await until(lambda: model.calls)
        second = await start(eyes, settings, "two")
        await until(lambda: _running(eyes, 2))
        assert len(model.calls) == 1
        going.set()
        assert (await finish(eyes, first)).reason == (await finish(eyes, second)).reason == "stop"
        assert len(model.calls) == 2


async def _running(stores: Stores, count: int) -> bool:
    return len([key async for key in stores.queue.scan_iter(match="arq:in-progress:*")]) == count


@in_loop
async def test_a_turn_without_one_asks_a_busy_model_again(real: Backend) -> None:
    busy = UpstreamError("upstream_busy", "busy", retry_after_s=0.05)
    settings = real.settings(first_token_timeout_s=LONG_S)
    model = Scripted(full=[[busy], [busy], answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings)
        assert (await finish(eyes, turn)).reason == "stop"
        assert [call.ended for call in model.calls] == ["broken", "broken", "whole"]


@in_loop
async def test_a_model_that_is_busy_for_too_long_fails_the_turn(real: Backend) -> None:
    busy = UpstreamError("upstream_busy", "busy", retry_after_s=30)
    settings = real.settings(first_token_timeout_s=20)
    model = Scripted(full=[[busy]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        for session in ("one", "two"):
            finished = await finish(eyes, await start(eyes, settings, session))
            assert finished.error and finished.error["code"] == "upstream_busy"
        assert len(model.calls) == 1  # the second turn knew


@in_loop
async def test_a_broken_model_is_asked_no_more_and_its_fallback_is(real: Backend) -> None:
    other = FallbackModel(model="second")
    settings = real.settings(breaker_failures=2, breaker_open_s=LONG_S, fallbacks=(other,))
    model = Scripted(full=[[BROKEN]], second=[answer(SECOND)])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "full", model),
        open_worker(settings, "full", model, name="w:2"),
    ):
        for number in range(2):
            assert (await finish(eyes, await start(eyes, settings, f"s{number}"))).reason == "stop"
        await until(lambda: eyes.queue.zcard(keys.UPSTREAMS_BROKEN))
        for number in range(4):
            assert (await finish(eyes, await start(eyes, settings, f"t{number}"))).reason == "stop"
        assert len(model.of("full")) == 2
        assert len(model.of("second")) == 6


@in_loop
async def test_a_server_that_says_it_is_busy_for_no_time_is_not_asked_without_end(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two tries there is a pause, and of them there are few."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    class Clock:
        """The asker's module sees this in place of asyncio: it counts what would be waited."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            await sleep(0)

    monkeypatch.setattr("workers.lanes.generation.asyncio", Clock())
    settings = real.settings(breaker_failures=0)
    model = Scripted(full=[[UpstreamError("upstream_busy", "busy", retry_after_s=0.0)]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        finished = await finish(eyes, await start(eyes, settings))
        assert finished.error and finished.error["code"] == "upstream_busy"
        assert len(model.calls) == 10
        assert len(pauses) == 9
        assert min(pauses) > 0.1
        assert pauses == sorted(pauses)


@pytest.mark.parametrize("nothing", [[], [" ", "\n"], [PassThrough({"delta": {"reasoning_content": "Hm."}})]])
@in_loop
async def test_after_an_empty_answer_the_next_model_is_asked(real: Backend, nothing: list[Any]) -> None:
    fallback = FallbackModel(model="spare", base_url="http://spare/v1")
    settings = real.settings(fallbacks=(fallback,), breaker_failures=0)
    model = Scripted(full=[[*nothing, Finish("stop")]], spare=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        turn = await start(eyes, settings)
        finished = await finish(eyes, turn)
        assert (finished.reason, finished.error) == ("stop", None)
        assert [call.model for call in model.calls] == ["full", "spare"]
        assert model.of("spare")[0].said == ""
