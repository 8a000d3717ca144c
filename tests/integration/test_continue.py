"""A full that goes on from what the draft will have said: how its worker learns that, whoever is away."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as NoConnection

from common.events import LaneFinished, LaneStarted, TimerFired
from common.store import keys
from common.store.redis import StoreUnavailable
from common.turn.outputs import TOLD
from tests.support.following import hear, over
from tests.support.scripted_model import Scripted, answer, going_on, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, job, lapse
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import Worker, ask, open_api, open_worker, open_workers
from workers.lanes import lane

DRAFT = "Let me see."
REST = " We open at nine. Every day."
SOON: dict[str, Any] = {"handoff": {"join": "continue", "continue_wait_ms": 200}}
NEVER: dict[str, Any] = {"handoff": {"join": "continue", "continue_wait_ms": 10_000}}


@in_loop
async def test_the_full_is_asked_once_the_draft_is_over(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[answer(REST)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(**NEVER))
        assert (await hear(live))[0] == DRAFT + REST
        await over(api, live)
        (asked,) = model.of("full")
        assert asked.said == DRAFT
        assert await count(api.stores, live.turn, TimerFired) == 0


@in_loop
async def test_the_full_is_asked_when_the_drafts_time_is_over(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[[*words(f"{DRAFT} And"), asyncio.Event()]], full=[answer(REST)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(**SOON))
        assert (await hear(live))[0] == f"{DRAFT} And{REST}"
        await over(api, live)
        (asked,) = model.of("full")
        assert asked.said == f"{DRAFT} And"
        await until(lambda: count(api.stores, live.turn, LaneFinished, lane="draft", reason="cancelled"))


@in_loop
async def test_without_a_driver_the_worker_tells_the_time(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[[*words(DRAFT), asyncio.Event()]], full=[answer(REST)])
    async with open_workers(settings, model, sweeping=False), open_api(settings) as api:
        live = await api.start.run(ask(filler={"phrases": {"*": ["Hm."]}, "delay_ms": 10}, **SOON))
        live.stop()
        live._watch_clock = lambda: None  # type: ignore[method-assign]
        await until(lambda: model.of("full"))
        assert model.of("full")[0].said == DRAFT
        assert await count(api.stores, live.turn, TimerFired, number=TOLD.number) >= 1
        await until(lambda: live.fold.ending)
        assert heard(live.outputs) == DRAFT + REST


@in_loop
async def test_a_store_that_is_away_for_a_moment_breaks_no_lane(valkey: Backend) -> None:
    settings = valkey.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[answer(REST)])
    failures = 3
    async with (
        open_worker(settings, "full", model, name="w:full") as full,
        open_worker(settings, "draft", model, name="w:draft"),
        open_api(settings) as api,
    ):
        xrange = full.stores.log.xrange

        async def unsteady(*args: Any, **kwargs: Any) -> Any:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise StoreUnavailable(NoConnection("away"))
            return await xrange(*args, **kwargs)

        full.stores.log.xrange = unsteady  # type: ignore[method-assign]
        live = await api.start.run(ask(**SOON))
        assert (await hear(live))[0] == DRAFT + REST
        await over(api, live)
        assert failures < 0


@in_loop
async def test_in_a_deleted_session_nobody_waits(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "_LOST_MS", 100)
    settings = real.settings()
    model = Scripted(draft=[[*words(DRAFT), asyncio.Event()]], full=[answer(REST)])
    async with (
        open_worker(settings, "full", model, name="w:full") as full,
        open_api(settings) as api,
    ):
        live = await api.start.run(ask(**SOON))
        live.stop()
        await until(lambda: count(api.stores, live.turn, LaneStarted, lane="full"))
        await api.stores.log.delete(keys.log(live.turn.session))
        await until(lambda: not full.running.count)
        assert not await api.stores.log.exists(keys.log(live.turn.session))


async def _lost(worker: Worker, turn: Any) -> None:
    """Let the lane of a dead worker be taken up by another."""
    await lapse(worker.stores, job(turn))
    await worker.sweep_now()


@in_loop
async def test_the_next_attempt_goes_on_from_both_texts(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(
        draft=[answer(DRAFT)],
        full=[[*words(" We open"), asyncio.Event()], going_on(DRAFT + REST)],
    )
    async with (
        open_worker(settings, "draft", model, name="w:draft") as draft,
        open_worker(settings, "full", model, name="w:first") as first,
        open_api(settings) as api,
    ):
        live = await api.start.run(ask(**NEVER))
        await until(lambda: heard(live.outputs) == f"{DRAFT} We open")
        await first.kill()
        async with open_worker(settings, "full", model, name="w:second"):
            await _lost(draft, live.turn)
            assert (await hear(live))[0] == DRAFT + REST
            await over(api, live)
    assert [call.said for call in model.of("full")] == [DRAFT, f"{DRAFT} We open"]
