"""The stores: what many ask at once goes as one, each gets its own reply, and nobody waits for ever."""

import asyncio
from typing import Any

import pytest

from common.store.redis import Batcher, StoreUnavailable, open_stores
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.tcp_proxy import log_behind_proxy
from tests.support.waiting import end, in_loop, until


def counting(number: int) -> Any:
    """Asks for a counter of its own, as many times as its number says."""

    def build(pipe: Any) -> None:
        for _ in range(number):
            pipe.incr(f"count:{number}")

    return build


@in_loop
async def test_each_request_gets_its_own_replies(backend: Backend) -> None:
    async with open_stores(backend.settings()) as stores:
        replies = await asyncio.gather(*(stores.on_log.run(counting(number)) for number in range(1, 90)))
        assert replies == [list(range(1, number + 1)) for number in range(1, 90)]
        assert await stores.on_queue.run(lambda pipe: None) == []


@in_loop
async def test_what_is_asked_at_once_goes_as_one(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores:
        await stores.log.ping()
        (before,) = await stores.on_log.run(lambda pipe: pipe.info("commandstats"))
        await asyncio.gather(*(stores.on_log.run(lambda pipe: pipe.set("a", b"1")) for _ in range(150)))
        (after,) = await stores.on_log.run(lambda pipe: pipe.info("commandstats"))
        transactions = after["cmdstat_exec"]["calls"] - before.get("cmdstat_exec", {"calls": 0})["calls"]
        assert after["cmdstat_set"]["calls"] - before.get("cmdstat_set", {"calls": 0})["calls"] == 150
        assert transactions <= 4


@in_loop
async def test_a_request_that_can_not_be_built_spoils_no_other(backend: Backend) -> None:
    def broken(pipe: Any) -> None:
        pipe.incr("count:broken")
        raise KeyError("a bug")

    async with open_stores(backend.settings()) as stores:
        asked = [stores.on_log.run(build) for build in (counting(2), broken, counting(3), broken)]
        one, bug, two, bug_too = await asyncio.gather(*asked, return_exceptions=True)
        assert (one, two) == ([1, 2], [1, 2, 3])
        assert isinstance(bug, KeyError) and isinstance(bug_too, KeyError)
        with pytest.raises(KeyError):
            await stores.on_log.run(broken)
        assert await stores.on_log.run(counting(1)) == [1]
        assert not await stores.log.exists("count:broken")


@in_loop
async def test_a_request_that_the_server_refuses_spoils_no_other(backend: Backend) -> None:
    async with open_stores(backend.settings()) as stores:
        await stores.log.set("text", b"no number")
        asked = [
            stores.on_log.run(build)
            for build in (counting(2), lambda pipe: (pipe.incr("text"), pipe.incr("one")), counting(3))
        ]
        one, refused, two = await asyncio.gather(*asked, return_exceptions=True)
        assert (one, two) == ([1, 2], [1, 2, 3])
        assert isinstance(refused, StoreUnavailable)


@in_loop
async def test_a_request_whose_asker_has_gone_spoils_no_other(backend: Backend) -> None:
    async with open_stores(backend.settings()) as stores:
        asked = [asyncio.create_task(stores.on_log.run(counting(number))) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        asked[1].cancel()
        assert await asked[0] == [1, 2]
        assert await asked[2] == [1, 2, 3, 4]
        with pytest.raises(asyncio.CancelledError):
            await asked[1]


@in_loop
async def test_a_server_that_falls_silent_ends_every_request_in_time(valkey: Backend) -> None:
    """And whoever asks next gets no reply to what was asked before."""
    async with log_behind_proxy(valkey) as (proxy, settings):
        hasty = settings.model_copy(update={"redis_timeout_s": 0.1})
        async with open_stores(hasty) as stores:
            assert await stores.on_log.run(counting(1)) == [1]
            proxy.silence()
            asked: list[Any] = [stores.on_log.run(counting(number)) for number in (5, 6)]
            asked += [stores.log.get("count:1"), stores.log.blmpop(600, 1, ["nothing"], direction="LEFT")]
            for reply in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(reply, StoreUnavailable)
            proxy.speak()
            assert await until(lambda: _try(stores.on_log)) == [1, 2, 3, 4, 5, 6, 7]
            assert await stores.log.get("count:1") == b"1"


async def _try(batcher: Batcher) -> Any:
    try:
        return await batcher.run(counting(7))
    except StoreUnavailable:
        return None


@in_loop
async def test_requests_wait_for_no_server_that_is_away(mortal: Backend, mortal_server: ValkeyServer) -> None:
    async with open_stores(mortal.settings()) as stores:
        await stores.sync_clocks()
        mortal_server.kill()
        asked = [stores.on_log.run(counting(number)) for number in range(1, 5)]
        for reply in await asyncio.gather(*asked, stores.try_to_write(), return_exceptions=True):
            assert isinstance(reply, StoreUnavailable)
        await asyncio.to_thread(mortal_server.start)
        assert await until(lambda: _try(stores.on_log)) == [1, 2, 3, 4, 5, 6, 7]


@in_loop
async def test_a_cancelled_command_is_cancelled_at_any_moment(valkey: Backend) -> None:
    """Python 3.11's wait_for may pass a cancellation over; whoever loops over commands would never end."""

    async with open_stores(valkey.settings()) as stores:

        async def loop() -> None:
            while True:
                pipe = stores.queue.pipeline(transaction=False)
                pipe.publish("nobody", b"")
                await pipe.execute()
                await stores.queue.get("nothing")
                await stores.on_queue.run(counting(1))
                await stores.queue.connection_pool.disconnect()

        for turns in range(120):
            task = asyncio.create_task(loop())
            for _ in range(turns):
                await asyncio.sleep(0)
            await end(task)
            assert task.cancelled()
