"""Upstreams with limits, busy and broken ones: what all workers know of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from common.names import SessionRef, TurnRef
from common.settings import Settings
from common.store import keys
from common.store.redis import Batcher, Stores, StoreUnavailable, open_stores
from common.tenants.profiles import Upstream
from tests.support.store_servers import Backend
from tests.support.stored_turns import job
from tests.support.waiting import in_loop, until
from workers.providers.base import UpstreamError
from workers.upstreams import Upstreams, name_of

BROKEN = UpstreamError("upstream_refused", "the model's server answered 500")
MODEL = Upstream("http://models/v1", SecretStr("sk-secret"), "full", max_streams=2)
LONG_S = 600.0


def jobs(count: int) -> list[Any]:
    return [job(TurnRef(SessionRef("default", "s"), f"turn{number:04}")) for number in range(count)]


@asynccontextmanager
async def two_workers(settings: Settings) -> AsyncIterator[tuple[Upstreams, Upstreams, Stores]]:
    """What two workers know, each over connections of its own."""
    async with open_stores(settings) as ours, open_stores(settings) as theirs:
        await ours.sync_clocks()
        await theirs.sync_clocks()
        both = Upstreams(settings, ours), Upstreams(settings, theirs)
        try:
            yield (*both, ours)
        finally:
            for upstreams in both:
                await upstreams.flush()


async def look(upstreams: Upstreams, stores: Stores) -> None:
    """Learn what all know, as a worker does with each job."""
    upstreams.set_state(*await stores.on_queue.run(upstreams.read_state))


async def streams(stores: Stores, model: Upstream = MODEL) -> int:
    seconds, micros = await stores.queue.time()
    now_ms = seconds * 1000 + micros // 1000
    return int(await stores.queue.zcount(keys.upstream_streams(name_of(model)), now_ms, "+inf"))


@in_loop
async def test_no_more_streams_than_the_limit_whoever_asks(backend: Backend) -> None:
    async with two_workers(backend.settings()) as (ours, theirs, stores):
        running = most = served = 0

        async def speak(upstreams: Upstreams, each: Any) -> None:
            nonlocal running, most, served
            async with upstreams.admit(MODEL, each, wait_s=LONG_S):
                running += 1
                most = max(most, running)
                assert await streams(stores) >= running
                await asyncio.sleep(0)
                running -= 1
                served += 1

        wanted = jobs(12)
        await asyncio.gather(*(speak((ours, theirs)[n % 2], each) for n, each in enumerate(wanted)))
        assert (most, served) == (2, 12)

        async def none_held() -> bool:
            return await streams(stores) == 0

        await until(none_held)


@in_loop
async def test_who_may_not_wait_is_told_at_once(backend: Backend) -> None:
    async with two_workers(backend.settings()) as (ours, theirs, _), AsyncExitStack() as held:
        one, two, three = jobs(3)
        await held.enter_async_context(ours.admit(MODEL, one, 0))
        await held.enter_async_context(theirs.admit(MODEL, two, 0))
        with pytest.raises(UpstreamError) as caught:
            async with theirs.admit(MODEL, three, 0):
                pass
        assert (caught.value.code, caught.value.retry_after_s) == ("upstream_busy", None)


@in_loop
async def test_a_dead_workers_streams_are_free_when_their_leases_lapse(backend: Backend) -> None:
    settings = backend.settings(lane_lease_s=0.3)
    async with two_workers(settings) as (dead, alive, stores), AsyncExitStack() as held:
        one, two, three, four = jobs(4)
        await held.enter_async_context(dead.admit(MODEL, one, 0))  # and is never heard of again
        await held.enter_async_context(alive.admit(MODEL, two, 0))

        async def renew() -> None:
            while True:
                pipe = stores.queue.pipeline(transaction=False)
                alive.renew(pipe)
                await pipe.execute()
                await asyncio.sleep(0.05)

        renewing = asyncio.create_task(renew())
        try:
            await held.enter_async_context(alive.admit(MODEL, three, LONG_S))
            assert await streams(stores) == 2  # the living one's is still held
            with pytest.raises(UpstreamError):
                async with alive.admit(MODEL, four, 0):
                    pass
        finally:
            renewing.cancel()


@in_loop
async def test_a_busy_upstream_is_left_alone_by_all_until_it_said(backend: Backend) -> None:
    free = Upstream(MODEL.base_url, MODEL.api_key, "free")
    async with two_workers(backend.settings()) as (ours, theirs, stores):
        ours.record_failure(free, UpstreamError("upstream_busy", "busy", retry_after_s=0.2))
        await until(lambda: stores.queue.zcard(keys.UPSTREAMS_BUSY))
        await look(theirs, stores)
        (one,) = jobs(1)
        for upstreams in (ours, theirs):
            with pytest.raises(UpstreamError) as caught:
                async with upstreams.admit(free, one, wait_s=0.01):
                    pass
            assert caught.value.code == "upstream_busy"
        async with theirs.admit(free, one, wait_s=LONG_S):
            now_ms = theirs._stores.queue_clock.now_ms()
            ((_, until_ms),) = await stores.queue.zrange(keys.UPSTREAMS_BUSY, 0, -1, withscores=True)
            assert now_ms >= until_ms
        assert not await stores.queue.exists(keys.upstream_streams(name_of(free)))


@in_loop
async def test_a_broken_upstream_is_tried_by_one_until_it_answers(backend: Backend) -> None:
    settings = backend.settings(breaker_failures=3, breaker_open_s=0.1, breaker_window_s=LONG_S)
    async with two_workers(settings) as (ours, theirs, stores):
        one, two = jobs(2)

        async def may_ask(upstreams: Upstreams) -> bool:
            await look(upstreams, stores)
            try:
                async with upstreams.admit(MODEL, two, LONG_S):
                    return True
            except UpstreamError as error:
                assert error.code == "upstream_broken"
                return False

        async def broken() -> int:
            return int(await stores.queue.zcard(keys.UPSTREAMS_BROKEN))

        for upstreams in (ours, theirs):
            upstreams.record_failure(MODEL, BROKEN)
            upstreams.record_failure(MODEL, UpstreamError("upstream_refused", "400", faulty=False))
        assert await may_ask(ours) and await may_ask(theirs)
        theirs.record_failure(MODEL, BROKEN)
        await until(broken)
        assert not await may_ask(ours) and not await may_ask(theirs)

        async def trial() -> bool:
            """Once its time is over, one gets to try, and nobody else meanwhile."""
            await look(ours, stores)
            try:
                async with ours.admit(MODEL, one, 0):
                    assert not await may_ask(theirs)
                    return True
            except UpstreamError:
                return False

        await until(trial)

        async def answers() -> bool:
            await look(ours, stores)
            try:
                async with ours.admit(MODEL, one, 0):
                    ours.record_success(MODEL)
                    return True
            except UpstreamError:
                return False

        await until(answers)  # the first trial came to nothing: the next may try
        await until(lambda: _mended(stores))
        assert await may_ask(ours) and await may_ask(theirs)


async def _mended(stores: Stores) -> bool:
    return not await stores.queue.exists(
        keys.UPSTREAMS_BROKEN, keys.upstream_failures(name_of(MODEL)), keys.upstream_trial(name_of(MODEL))
    )


async def broken_upstream(ours: Upstreams, stores: Stores) -> None:
    """A model that is broken, and may be tried by now."""
    ours.record_failure(MODEL, BROKEN)
    await until(lambda: stores.queue.exists(keys.UPSTREAMS_BROKEN))
    await ours.flush()

    async def may_be_tried() -> bool:
        await look(ours, stores)
        (until_ms,) = ours._broken.values()
        return until_ms <= stores.queue_clock.now_ms()

    await until(may_be_tried)


class Losing(Batcher):
    """A store's batcher that loses, once, the replies to what this step asks."""

    def __init__(self, real: Batcher, step: str) -> None:
        self._real, self._step, self.lost = real, step, 0

    async def run(self, build: Any) -> Any:
        replies = await self._real.run(build)
        if build.__name__ == self._step and not self.lost:
            self.lost += 1
            raise StoreUnavailable(ConnectionError("the reply was lost"))
        return replies


@pytest.mark.parametrize("step", ["try_", "take"])
@in_loop
async def test_a_trial_is_not_locked_out_by_itself(backend: Backend, step: str) -> None:
    """Whoever has taken it on, and lost the reply or a stream's, goes on with it."""
    settings = backend.settings(breaker_failures=1, breaker_open_s=0.05, first_token_timeout_s=LONG_S)
    async with two_workers(settings) as (ours, theirs, stores):
        await broken_upstream(ours, stores)
        losing = Losing(stores.on_queue, step)
        ours._stores = replace(stores, on_queue=losing)
        async with ours.admit(MODEL, jobs(1)[0], LONG_S):
            assert losing.lost == 1
            await look(theirs, stores)
            with pytest.raises(UpstreamError):
                async with theirs.admit(MODEL, jobs(2)[1], 0):
                    pass


@in_loop
async def test_a_trial_that_comes_to_nothing_is_left_to_others(backend: Backend) -> None:
    """Also one that waits for a stream in vain, or is cancelled as it waits."""
    settings = backend.settings(breaker_failures=1, breaker_open_s=0.05, first_token_timeout_s=LONG_S)
    async with two_workers(settings) as (ours, theirs, stores), AsyncExitStack() as held:
        for each in jobs(4)[2:]:
            await held.enter_async_context(theirs.admit(MODEL, each, 0))
        await broken_upstream(ours, stores)
        one, two = jobs(2)
        with pytest.raises(UpstreamError) as caught:
            async with ours.admit(MODEL, one, 0):
                pass
        assert caught.value.code == "upstream_busy"
        await ours.flush()
        waits = asyncio.create_task(ours.admit(MODEL, two, LONG_S).__aenter__())
        await until(lambda: stores.queue.exists(keys.upstream_trial(name_of(MODEL))))
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        await ours.flush()
        assert not await stores.queue.exists(keys.upstream_trial(name_of(MODEL)))


@in_loop
async def test_what_answers_in_between_is_not_broken(backend: Backend) -> None:
    settings = backend.settings(breaker_failures=2, breaker_window_s=LONG_S)
    async with two_workers(settings) as (ours, _, stores):
        for _ in range(3):
            ours.record_failure(MODEL, BROKEN)
            await until(lambda: stores.queue.exists(keys.upstream_failures(name_of(MODEL))))
            ours.record_success(MODEL)
            await until(lambda: _mended(stores))


@in_loop
async def test_a_store_that_is_away_is_not_taken_for_a_free_stream(
    mortal: Backend, mortal_server: Any
) -> None:
    async with two_workers(mortal.settings()) as (ours, _, _):
        mortal_server.kill()
        with pytest.raises(UpstreamError) as caught:
            async with ours.admit(MODEL, jobs(1)[0], 0):
                pass
        assert caught.value.code == "upstream_busy"
        # Where there is no limit nothing is asked, so nothing is missed.
        async with ours.admit(replace(MODEL, max_streams=0), jobs(1)[0], 0):
            pass


@in_loop
async def test_a_tenant_breaks_no_upstream_for_another(backend: Backend) -> None:
    open_model = Upstream("http://models/v1", SecretStr(""), "full", max_streams=1, guarded=True)
    first, second = replace(open_model, tenant="first"), replace(open_model, tenant="second", max_streams=9)
    one, two = jobs(2)
    async with two_workers(backend.settings(breaker_failures=1)) as (ours, theirs, stores):
        async with ours.admit(second, two, 0), ours.admit(first, one, 0):
            pass
        ours.record_failure(second, UpstreamError("upstream_busy", "busy", retry_after_s=LONG_S))
        ours.record_failure(second, BROKEN)
        await until(lambda: stores.queue.exists(keys.UPSTREAMS_BUSY))
        await until(lambda: stores.queue.exists(keys.UPSTREAMS_BROKEN))
        for upstreams in (ours, theirs):
            await look(upstreams, stores)
            async with upstreams.admit(first, one, 0):
                pass
