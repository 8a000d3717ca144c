"""After a store was away, nobody who is alive is taken for dead: turns with clients end whole."""

import asyncio

import pytest

from api.turns.live import LiveTurn
from common.events import LaneStarted, TurnEnded, TurnInterrupted
from tests.support.following import hear
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.stored_turns import count
from tests.support.tcp_proxy import Proxy, log_behind_proxy, queue_behind_proxy
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_workers

WHOLE = "We open at nine. Every day."
SHORT = {"lane_lease_s": 0.6, "turn_lease_s": 0.8, "redis_timeout_s": 0.5, "renew_s": 0.1, "sweep_s": 0.02}


async def _lapsed(seconds: float) -> bool:
    """Let leases lapse: the clock that they are kept by can't be moved."""
    end_s = asyncio.get_running_loop().time() + seconds
    await until(lambda: asyncio.get_running_loop().time() > end_s)
    return True


@pytest.mark.parametrize("away_s", [0.7, 1.2, 2.0])
@in_loop
async def test_live_turns_outlast_an_outage_longer_than_any_lease(
    mortal: Backend, mortal_server: ValkeyServer, away_s: float
) -> None:
    settings, more = mortal.settings(**SHORT, max_attempts=1), asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *answer(" at nine. Every day.")]])
    async with open_workers(settings, model, patient=True) as _, open_api(settings) as api:
        lives = [await api.start.run(ask(f"s{number}", drafting=False)) for number in range(8)]
        hearing = [asyncio.create_task(hear(live)) for live in lives]
        await until(lambda: all(heard(live.outputs) == "We open" for live in lives))
        mortal_server.kill()
        await _lapsed(away_s)
        await asyncio.to_thread(mortal_server.start)
        await _lapsed(2.5)  # the sweep's patience is over, and all have renewed
        more.set()
        for live, (text, end) in zip(lives, await asyncio.gather(*hearing), strict=True):
            assert (text, end.reason, end.error) == (WHOLE, "stop", None)
            assert await count(api.stores, live.turn, TurnInterrupted) == 0
            assert await count(api.stores, live.turn, LaneStarted) == 1
        assert len(model.calls) == len(lives)


@pytest.mark.parametrize("away", ["log", "queue"])
@in_loop
async def test_of_two_servers_the_one_that_is_there_goes_on_being_renewed(
    two_servers: Backend, away: str
) -> None:
    behind_proxy, more = log_behind_proxy if away == "log" else queue_behind_proxy, asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *answer(" at nine. Every day.")]])
    async with behind_proxy(two_servers) as (proxy, through):
        settings = through.model_copy(update={**SHORT, "max_attempts": 1})
        async with open_workers(settings, model, patient=True), open_api(settings) as api:
            live = await api.start.run(ask(drafting=False))
            hearing = asyncio.create_task(hear(live))
            await until(lambda: heard(live.outputs) == "We open")
            proxy.cut()
            await _lapsed(2.5)
            proxy.mend()
            await _lapsed(2.0)
            more.set()
            text, end = await hearing
            assert (text, end.reason, end.error) == (WHOLE, "stop", None)
            assert await count(api.stores, live.turn, TurnInterrupted) == 0
            assert await count(api.stores, live.turn, LaneStarted) == len(model.calls) == 1
            await until(lambda: count(api.stores, live.turn, TurnEnded))


@in_loop
async def test_a_dead_log_server_ends_no_lease_on_a_healthy_queue(two_servers: Backend) -> None:
    async with log_behind_proxy(two_servers) as (proxy, through):
        settings = through.model_copy(update=SHORT)
        model = Scripted(full=[[*words("We open"), asyncio.Event()]])
        async with open_workers(settings, model, sweeping=False), open_api(settings) as api:
            live = await api.start.run(ask(drafting=False))
            await until(lambda: heard(live.outputs) == "We open")
            proxy.cut()
            for _ in range(4):
                await _lapsed(settings.turn_lease_s / 2)
                now_ms = api.stores.queue_clock.now_ms()
                leases = await api.stores.queue.zrange("fr:leases", 0, -1, withscores=True)
                assert len(leases) == 2 and all(until_ms > now_ms for _, until_ms in leases)
            proxy.mend()
            await live.interrupt("client")
            await until(lambda: live.closed.is_set())


@in_loop
async def test_connections_cut_again_and_again_cost_no_attempt_and_no_word(valkey: Backend) -> None:
    text = "".join(f" word{number}" for number in range(60)).strip()
    paced = [step for word in words(text) for step in (word, _soon())]
    model = Scripted(full=[lambda _: [*paced, *answer("")]])
    async with log_behind_proxy(valkey) as (proxy, through):
        settings = through.model_copy(update={**SHORT, "lane_lease_s": 2.0, "max_attempts": 1})
        async with open_workers(settings, model, patient=True), open_api(settings) as api:
            cutting = asyncio.create_task(_cut_often(proxy))
            try:
                lives: list[LiveTurn] = []
                while len(lives) < 12:
                    try:
                        lives.append(await api.start.run(ask(f"s{len(lives)}", drafting=False)))
                    except Exception as error:
                        assert type(error).__name__ == "StoreUnavailable"
                ends = await asyncio.gather(*(hear(live) for live in lives))
            finally:
                cutting.cancel()
                proxy.mend()
            assert {(said, end.reason, str(end.error)) for said, end in ends} == {(text, "stop", "None")}
            for live in lives:
                assert await count(api.stores, live.turn, LaneStarted, attempt=2) == 0


class _Soon(asyncio.Event):
    """An event that comes by itself a moment after it is waited for."""

    async def wait(self) -> bool:  # type: ignore[override]
        await asyncio.sleep(0.01)
        return True


def _soon() -> asyncio.Event:
    return _Soon()


async def _cut_often(proxy: Proxy) -> None:
    while True:
        proxy.cut()
        proxy.mend()
        await asyncio.sleep(0.1)
