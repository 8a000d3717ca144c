"""What is known of the full models' pace, and what becomes of a draft that waits for it."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as NoConnection

from common.events import LaneFinished, LaneStarted
from common.names import DEFAULT_TENANT
from common.store import keys
from common.store.redis import Stores, StoreUnavailable, open_stores
from common.tenants import latency
from common.tenants.latency import KEPT, FirstTokenLatency
from common.tenants.profiles import DEFAULT_PROFILE
from tests.support.following import hear, over
from tests.support.redis_replies import reply
from tests.support.scripted_model import END, Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import Api, ask, open_api, open_worker, open_workers
from workers.providers.base import UpstreamError

WHOLE = "We open at nine. Every day."
DRAFT = "Let me see."
ADAPTIVE: dict[str, Any] = {"when": "adaptive", "slow_ms": 800, "hedge_ms": 50}
KEY = keys.pace(DEFAULT_TENANT, DEFAULT_PROFILE)


async def noted(stores: Stores) -> list[int]:
    """The first-token times that are known, the newest first."""
    return [int(ms) for ms in await reply(stores.queue.lrange(KEY, 0, -1))]


async def known(api: Api, *times_ms: int) -> None:
    """Let the replica know these times."""
    for ms in times_ms:
        await latency.note(api.stores, DEFAULT_TENANT, DEFAULT_PROFILE, ms)
    api.pace.is_slow(DEFAULT_TENANT, DEFAULT_PROFILE, 0)  # asked for once, it is watched
    await until(lambda: api.pace._recent[DEFAULT_TENANT, DEFAULT_PROFILE] == list(reversed(times_ms)))


@in_loop
async def test_the_latest_times_are_kept(backend: Backend) -> None:
    async with open_stores(backend.settings()) as stores:
        for ms in range(KEPT + 7):
            await latency.note(stores, DEFAULT_TENANT, DEFAULT_PROFILE, ms)
        assert await noted(stores) == list(range(KEPT + 6, 6, -1))


@pytest.mark.parametrize(
    ("times_ms", "slow"),
    [
        ([], True),  # what is not known is taken for slow
        ([100], False),
        ([800] * 10, False),
        ([900] * 3 + [100] * 7, False),
        ([900] * 4 + [100] * 6, True),
        ([5_000], True),
    ],
)
@in_loop
async def test_slow_is_what_was_slow_in_more_than_three_of_ten(
    valkey: Backend, times_ms: list[int], slow: bool
) -> None:
    async with open_stores(valkey.settings()) as stores:
        for ms in times_ms:
            await latency.note(stores, DEFAULT_TENANT, DEFAULT_PROFILE, ms)
        known = FirstTokenLatency(stores)
        assert known.is_slow(DEFAULT_TENANT, DEFAULT_PROFILE, 800)
        task = asyncio.create_task(known.run())
        await until(lambda: len(known._recent[DEFAULT_TENANT, DEFAULT_PROFILE]) == len(times_ms))
        await until(lambda: known.is_slow(DEFAULT_TENANT, DEFAULT_PROFILE, 800) is slow)
        task.cancel()
        assert known.is_slow(DEFAULT_TENANT, "no such profile", 800)


@in_loop
async def test_a_store_that_is_away_only_leaves_the_pace_as_it_was(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        known = FirstTokenLatency(stores)
        asked = asyncio.Event()

        class Away:
            def lrange(self, *_: Any) -> None:
                pass

            async def execute(self) -> Any:
                asked.set()
                raise StoreUnavailable(NoConnection("away"))

        known.is_slow(DEFAULT_TENANT, DEFAULT_PROFILE, 800)
        stores.queue.pipeline = lambda **_: Away()  # type: ignore[assignment, method-assign]
        task = asyncio.create_task(known.run())
        await asked.wait()
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()


@in_loop
async def test_the_fulls_first_word_is_noted_and_nothing_else(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(
        draft=[answer(DRAFT)], full=[answer(WHOLE), [UpstreamError("upstream_refused", "no")], [*END]]
    )
    async with open_workers(settings, model), open_api(settings) as api:
        for number, times in enumerate((1, 1, 1)):
            live = await api.start.run(ask(f"s{number}"))
            await hear(live)
            await over(api, live)
            assert len(await noted(api.stores)) == times
        assert 0 <= (await noted(api.stores))[0] < 10_000


@in_loop
async def test_an_answer_is_whole_also_where_its_pace_cannot_be_noted(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise StoreUnavailable(NoConnection("away"))

    monkeypatch.setattr(latency, "note", away)
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        assert (await hear(live))[0] == WHOLE
        await over(api, live)
        assert await count(api.stores, live.turn, LaneFinished, lane="full", reason="stop") == 1


@in_loop
async def test_the_wait_for_the_draft_is_not_the_models(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[[*words(DRAFT), asyncio.Event()]], full=[answer(" We open at nine.")])
    handoff = {"join": "continue", "continue_wait_ms": 1_500}
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(handoff=handoff))
        assert (await hear(live))[0] == f"{DRAFT} We open at nine."
        (asked,) = model.of("full")
        assert asked.said == DRAFT
        assert live.fold.handover_ms is not None and live.fold.handover_ms >= 750
        await over(api, live)
        (first_ms,) = await noted(api.stores)
        assert first_ms < live.fold.handover_ms - 500


# The adaptive draft.


@in_loop
async def test_a_full_that_is_known_as_slow_is_drafted_at_once(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[[asyncio.Event()]])
    async with open_workers(settings, model), open_api(settings) as api:
        await known(api, 2_000)
        live = await api.start.run(ask(draft={**ADAPTIVE, "hedge_ms": 60_000, "style": "answer"}))
        assert live.started.drafting == "on"
        await until(lambda: heard(live.outputs) == DRAFT)
        await live.interrupt("client")
        await over(api, live)


@in_loop
async def test_a_quick_full_is_not_drafted(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        await known(api, 100)
        live = await api.start.run(ask(draft={**ADAPTIVE, "hedge_ms": 60_000, "style": "answer"}))
        assert live.started.drafting == "late"
        assert (await hear(live))[0] == WHOLE
        await over(api, live)
        assert model.of("draft") == []
        assert await count(api.stores, live.turn, LaneStarted, lane="draft") == 0


@in_loop
async def test_a_full_that_is_slow_this_time_is_hedged(real: Backend) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(draft=[answer(DRAFT)], full=[[spoken, *answer(WHOLE)]])
    async with open_workers(settings, model), open_api(settings) as api:
        await known(api, 100)
        live = await api.start.run(ask(draft=ADAPTIVE))
        await until(lambda: heard(live.outputs) == DRAFT)
        assert live.outputs[0].at_ms >= ADAPTIVE["hedge_ms"]
        spoken.set()
        assert (await hear(live))[0] == f"{DRAFT} {WHOLE}"
        await over(api, live)
        assert await count(api.stores, live.turn, LaneStarted, lane="draft") == 1


@in_loop
async def test_a_full_that_fails_at_once_is_hedged_at_once(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[[UpstreamError("upstream_refused", "no")]])
    async with open_workers(settings, model), open_api(settings) as api:
        await known(api, 100)
        live = await api.start.run(ask(draft={**ADAPTIVE, "hedge_ms": 60_000, "style": "answer"}))
        text, ending = await hear(live)
        assert (text, ending.reason, ending.degraded) == (DRAFT, "stop", True)
        await over(api, live)


@in_loop
async def test_the_sweep_hedges_a_turn_whose_replica_died(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[[asyncio.Event()]])
    async with (
        open_worker(settings, "full", model, name="w:full") as full,
        open_worker(settings, "draft", model, name="w:draft"),
        open_api(settings) as api,
    ):
        await known(api, 100)
        live = await api.start.run(ask(draft=ADAPTIVE, on_disconnect="continue"))
        live.stop()
        await until(lambda: model.of("full"))

        async def hedged() -> bool:
            await api.stores.queue.zadd(keys.LEASES, {str(live.turn): 1}, xx=True)
            await full.sweep_now()
            return bool(model.of("draft"))

        await until(hedged)
        await live.interrupt("client")
        await until(lambda: live.fold.ending)
        await full.sweep_now()
