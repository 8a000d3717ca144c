"""A store's clock that is set by an hour, either way, ends no turn and takes no lease."""

import asyncio

import pytest

from common import driver
from common.events import TimerFired
from common.store import keys
from common.store.clocks import ServerClock
from common.store.redis import open_stores
from common.turn.outputs import DEADLINE
from tests.support.following import hear
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, job, lease_of, start
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker
from workers.upkeep.sweep import Sweep

WHOLE = "We open at nine. Every day."
HOUR_S = 3_600


def _set(clock: ServerClock, by_s: int) -> None:
    """What a process sees where its server's clock is set: the next TIME is off by so much."""
    now_ms = clock.now_ms() + by_s * 1000
    assert clock.set_from((now_ms // 1000, now_ms % 1000 * 1000), clock.asked_at())


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
@in_loop
async def test_no_live_turn_reaches_its_deadline_by_a_step(valkey: Backend, by_s: int) -> None:
    settings, more = valkey.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *answer(" at nine. Every day.")]])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs) == "We open")
        _set(api.stores.log_clock, by_s)
        await api.turns.leases.renew()
        deadline = next(due for due in live.fold.dues() if due.due == DEADLINE.due)
        assert 0 < driver.wait_ms(api.stores, live.start_ms, deadline) <= 120_000
        await asyncio.sleep(0)  # a timer that is due would run now
        more.set()
        text, end = await hear(live)
        assert (text, end.reason, end.error) == (WHOLE, "stop", None)
        assert await count(api.stores, live.turn, TimerFired) == 0


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
@in_loop
async def test_a_deadline_comes_when_its_time_has_passed_whatever_the_clock_says(
    valkey: Backend, by_s: int
) -> None:
    settings = valkey.settings()
    model = Scripted(full=[[*words("We open"), asyncio.Event()]])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False, deadline_ms=1_000))
        await until(lambda: heard(live.outputs) == "We open")
        _set(api.stores.log_clock, by_s)
        await api.turns.leases.renew()
        _, end = await hear(live)
        assert end.error and end.error["code"] == "turn_deadline"
        assert await count(api.stores, live.turn, TimerFired, due="deadline") == 1


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
@in_loop
async def test_who_sees_a_step_condemns_nobody_until_all_had_the_time_to_renew(
    valkey: Backend, by_s: int
) -> None:
    settings, now_s = valkey.settings(lane_lease_s=2.0, turn_lease_s=5.0, redis_timeout_s=1.5), 100.0
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        sweep = Sweep(settings, eyes, "w:a")
        sweep.contact._steady = lambda: now_s
        turn = await start(eyes, settings)
        member = str(job(turn)).encode()
        for _ in range(40):
            now_s += 0.25
            await sweep._look()
        assert sweep._is_condemned(member)
        _set(eyes.queue_clock, by_s)  # and with the next look it is back: a step once more
        await sweep._look()
        assert not sweep._is_condemned(member)
        assert eyes.queue_clock.steps == 2
        for _ in range(16):
            now_s += 0.25
            await sweep._look()
        assert sweep._is_condemned(member)


@in_loop
async def test_leases_from_before_the_clock_was_set_back_are_looked_at_all_the_same(valkey: Backend) -> None:
    settings = valkey.settings(lane_lease_s=2.0)
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        turn = await start(eyes, settings)
        later_ms = eyes.queue_clock.now_ms() + HOUR_S * 1000
        await eyes.queue.zadd(keys.LEASES, {str(turn): later_ms, str(job(turn)): later_ms})
        await eyes.queue.set(keys.SWEEPING, b"w:dead", px=HOUR_S * 1000)
        await Sweep(settings, eyes, "w:a")._look()
        for held in (turn, job(turn)):
            assert (await lease_of(eyes, held) or 0) <= later_ms - 3_000_000
        assert not await eyes.queue.exists(keys.SWEEPING)
