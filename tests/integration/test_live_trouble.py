"""A live turn while stores, workers and replicas go away: it goes on, and ends once."""

import asyncio
from typing import Any

import pytest

from common.events import LaneStarted, TurnEnded
from common.store import keys
from common.store.redis import StoreUnavailable, open_stores
from tests.support.following import hear, nothing_left, over, stopped
from tests.support.scripted_model import Scripted, answer, going_on, words
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.stored_turns import count, ended, job, lapse, lease_of, replay
from tests.support.tcp_proxy import log_behind_proxy, queue_behind_proxy
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker, open_workers

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event


@pytest.mark.parametrize("away", ["log", "queue"])
@in_loop
async def test_a_turn_goes_on_after_a_store_was_away(two_servers: Backend, away: str) -> None:
    spoken, ending = asyncio.Event(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *words(" at nine."), ending, *answer(" Every day.")]])
    behind_proxy = log_behind_proxy if away == "log" else queue_behind_proxy
    async with (
        behind_proxy(two_servers) as (proxy, settings),
        open_worker(settings, "full", model) as worker,
        open_api(settings) as api,
    ):
        live = await api.start.run(ask(drafting=False))
        hearing = asyncio.create_task(hear(live))
        await until(lambda: heard(live.outputs) == "We open")
        for event in (spoken, ending):
            refused = proxy.refused
            proxy.cut()
            event.set()
            await until(lambda refused=refused: proxy.refused > refused + 2)
            proxy.mend()
        text, end = await hearing
        assert (text, end.reason, end.error) == (WHOLE, "stop", None)
        await over(api, live)
        await until(lambda: not worker.runner.tasks)
        if await lease_of(api.stores, job(live.turn)) is not None:  # the lane could not be let go
            await lapse(api.stores, job(live.turn))
            await worker.sweep_now()
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_a_turn_goes_on_after_the_server_was_killed(
    mortal: Backend, mortal_server: ValkeyServer
) -> None:
    settings, spoken = mortal.settings(), asyncio.Event()
    model = Scripted(
        draft=[[*words("Let me see."), HELD()]], full=[[spoken, *words("We open at"), *answer(" nine. Yes.")]]
    )
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask())
        hearing = asyncio.create_task(hear(live))
        await until(lambda: heard(live.outputs) == "Let me see.")
        mortal_server.kill()
        spoken.set()
        await until(lambda: len(model.of("full")) == 1)
        await asyncio.to_thread(mortal_server.start)
        text, end = await hearing
        assert (text, end.reason) == ("Let me see. We open at nine. Yes.", "stop")
        await over(api, live)
        await until(lambda: all(map(stopped, model.of("draft"))))
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_a_stop_while_the_store_is_away_is_carried_out_when_it_is_back(valkey: Backend) -> None:
    """The hand-over itself comes by the log, so only what follows from it can meet an outage."""
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with (
        log_behind_proxy(valkey) as (proxy, settings),
        open_workers(valkey.settings(), model),
        open_api(settings) as api,
    ):
        live = await api.start.run(ask(drafting=False, deadline_ms=1_000))
        await until(lambda: heard(live.outputs) == "We open")
        proxy.cut()
        await until(lambda: live._acts)  # the deadline has come, and can't be written
        proxy.mend()
        _, end = await hear(live)
        assert end.error and end.error["code"] == "turn_deadline"
        await over(api, live)
        await until(lambda: all(map(stopped, model.calls)))


@in_loop
async def test_a_start_without_a_store_is_refused_and_forgotten(valkey: Backend) -> None:
    async with log_behind_proxy(valkey) as (proxy, settings), open_api(settings) as api:
        proxy.cut()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await api.start.run(ask())
        assert not api.reader._sessions and not api.turns._live
        proxy.mend()
        model = Scripted(full=[answer(WHOLE)])
        async with open_worker(valkey.settings(), "full", model):
            live = await until(lambda: _try_to_start(api))
            assert (await hear(live))[0] == WHOLE
            await over(api, live)


async def _try_to_start(api: Any) -> Any:
    try:
        return await api.start.run(ask(drafting=False))
    except StoreUnavailable:
        return None


@in_loop
async def test_a_turn_waits_for_workers(real: Backend) -> None:
    settings, model = real.settings(), Scripted(draft=[answer("Hm.")], full=[answer(WHOLE)])
    async with open_api(settings) as api:
        live = await api.start.run(ask())
        assert not live.outputs
        async with open_workers(settings, model):
            assert (await hear(live))[0].endswith(WHOLE)
            await over(api, live)
            await until(lambda: nothing_left(api.stores))


@in_loop
async def test_a_killed_worker_costs_the_caller_nothing(real: Backend) -> None:
    """With real leases that lapse, and the sweep of another worker."""
    settings = real.settings(lane_lease_s=0.5, max_attempts=100)
    model = Scripted(draft=[answer("Hm.")], full=[[*words("We open"), HELD()], going_on(WHOLE)])
    async with (
        open_api(settings) as api,
        open_worker(settings, "draft", model, name="w:draft", sweeping=True),
        open_worker(settings, "full", model, name="w:1") as doomed,
    ):
        live = await api.start.run(ask(drafting=False))
        hearing = asyncio.create_task(hear(live))
        await until(lambda: heard(live.outputs) == "We open")
        await doomed.kill()
        async with open_worker(settings, "full", model, name="w:2", sweeping=True):
            text, end = await hearing
            assert (text, end.reason, end.degraded) == (WHOLE, "stop", False)
            await over(api, live)
            await until(lambda: nothing_left(api.stores))


@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
@in_loop
async def test_a_killed_replicas_turn_is_ended_by_the_sweep(real: Backend, on_disconnect: str) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine. Every day.")]])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as worker:
        async with open_api(settings) as api:
            live = await api.start.run(ask(drafting=False, on_disconnect=on_disconnect))
            await until(lambda: heard(live.outputs) == "We open")
            await api.kill()
        await lapse(eyes, live.turn)
        await worker.sweep_now()
        if on_disconnect == "cancel":
            await until(lambda: all(map(stopped, model.calls)))
            wanted = ("interrupted", "We open")
        else:
            assert not await ended(eyes, live.turn)
            spoken.set()
            await until(lambda: model.calls[0].ended == "whole")
            await until(lambda: not worker.runner.tasks)
            await lapse(eyes, live.turn)
            await worker.sweep_now()
            wanted = ("stop", WHOLE)
        found = await ended(eyes, live.turn)
        assert found
        assert (found.reason, (await replay(eyes, live.turn))[0]) == wanted
        assert await count(eyes, live.turn, TurnEnded) == await count(eyes, live.turn, LaneStarted) == 1
        await eyes.queue.zremrangebyscore(keys.FOLLOWED, "-inf", "+inf")  # else it goes by its time
        await until(lambda: nothing_left(eyes))
