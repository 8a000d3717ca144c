"""What ends while a server is away leaves nothing there, and is said once."""

import asyncio

from common.events import LaneFinished, TurnEnded
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.following import hear, nothing_left
from tests.support.scripted_model import END, Scripted, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, job, lapse
from tests.support.tcp_proxy import log_behind_proxy, queue_behind_proxy
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker, open_workers


async def _queued(stores: Stores) -> list[bytes]:
    found: list[bytes] = await stores.queue.zrange(keys.queue("full"), 0, -1)
    return found


@in_loop
async def test_a_job_that_ends_while_the_queue_is_away_leaves_nothing_there(two_servers: Backend) -> None:
    more = asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *END]])
    async with (
        queue_behind_proxy(two_servers) as (proxy, settings),
        open_workers(settings, model, sweeping=False),
        open_api(settings) as api,
    ):
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs) == "We open")
        proxy.cut()
        more.set()
        await until(lambda: count(api.stores, live.turn, LaneFinished))
        refused = proxy.refused
        await until(lambda: proxy.refused > refused + 20)
        proxy.mend()
        assert (await hear(live))[0] == "We open"
        await until(lambda: live.closed.is_set())
        await until(lambda: nothing_left(api.stores))
        assert not await _queued(api.stores)
        # However often its driver has tried meanwhile.
        assert await count(api.stores, live.turn, TurnEnded) == 1


@in_loop
async def test_a_worker_that_dies_before_it_could_tidy_up_leaves_that_to_the_sweep(
    two_servers: Backend,
) -> None:
    more = asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *END]])
    async with (
        open_stores(two_servers.settings()) as eyes,
        queue_behind_proxy(two_servers) as (proxy, settings),
        open_worker(settings, "full", model) as worker,
        open_api(two_servers.settings()) as api,
    ):
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs) == "We open")
        proxy.cut()
        more.set()
        await until(lambda: live.closed.is_set())
        await worker.kill()
        assert await _queued(eyes)
        await lapse(eyes, job(live.turn))
        async with open_worker(two_servers.settings(), "draft", model, name="w:sweeps") as sweeper:
            await sweeper.sweep_now()
        await until(lambda: nothing_left(eyes))
        assert not await _queued(eyes)


@in_loop
async def test_an_ending_whose_reply_was_lost_is_not_written_again(real: Backend) -> None:
    model = Scripted(full=[[*words("We open"), *END]])
    async with (
        log_behind_proxy(real) as (proxy, through),
        open_worker(real.settings(), "full", model),
        open_api(through) as api,
    ):
        proxy.lose_reply_to(b"turn.ended")
        live = await api.start.run(ask(drafting=False))
        await until(lambda: live.closed.is_set())
        await until(lambda: proxy.lost)
        await until(lambda: not live._acts)
        assert await count(api.stores, live.turn, TurnEnded) == 1
