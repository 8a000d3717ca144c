"""The queue's server comes back empty, the logs are there: live turns go on, and sessions are found again."""

import asyncio
from pathlib import Path

import pytest

from common.events import LaneFinished, LaneStarted, TurnEnded
from common.names import SessionRef
from common.sessions.archive import open_archive
from common.sessions.sessions import SessionEntry, Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.following import hear
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer, going_on, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, ended, job, lease_of, start, turn_entries
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker, open_workers
from workers.upkeep.retention import RetentionJob

WHOLE = "We open at nine. Every day."
SHORT = {"lane_lease_s": 0.6, "turn_lease_s": 0.8, "redis_timeout_s": 0.5, "renew_s": 0.1, "sweep_s": 0.02}


async def _empty_queue(stores: Stores) -> None:
    await stores.queue.flushdb()


@in_loop
async def test_a_lane_that_is_spoken_goes_on_and_is_asked_once(two_servers: Backend) -> None:
    settings, more = two_servers.settings(**SHORT, max_attempts=1), asyncio.Event()
    model = Scripted(full=[[*words("We open"), more, *answer(" at nine. Every day.")]])
    async with open_workers(settings, model, patient=True) as (_, full), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs) == "We open")
        for _ in range(3):
            await _empty_queue(api.stores)
            await until(lambda: lease_of(api.stores, job(live.turn)))
            await until(lambda: lease_of(api.stores, live.turn))
            await until(lambda: api.stores.queue.zcard(keys.sessions("default")))
        assert full.running.count == 1
        more.set()
        text, end = await hear(live)
        assert (text, end.reason, end.error) == (WHOLE, "stop", None)
        assert await count(api.stores, live.turn, LaneStarted) == len(model.calls) == 1
        await until(lambda: live.closed.is_set())
        await until(lambda: _no_jobs(api.stores))


async def _no_jobs(stores: Stores) -> bool:
    return not await stores.queue.zcard(keys.queue("full")) and not await stores.queue.zcard(keys.LEASES)


@in_loop
async def test_a_job_that_waited_is_put_again(two_servers: Backend) -> None:
    settings, model = two_servers.settings(**SHORT), Scripted(full=[answer(WHOLE)])
    async with open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        await until(lambda: lease_of(api.stores, live.turn))
        await _empty_queue(api.stores)
        async with open_worker(settings, "full", model):
            text, end = await hear(live)
            assert (text, end.reason) == (WHOLE, "stop")
            assert await count(api.stores, live.turn, LaneStarted, attempt=1) == 1


@in_loop
async def test_a_lane_whose_worker_went_with_it_is_given_to_another(two_servers: Backend) -> None:
    settings = two_servers.settings(**SHORT)
    model = Scripted(full=[[*words("We open"), asyncio.Event()], going_on(WHOLE)])
    async with (
        open_api(settings) as api,
        open_worker(settings, "draft", model, name="w:a", sweeping=True, patient=True),
    ):
        async with open_worker(settings, "full", model, name="w:1") as dying:
            live = await api.start.run(ask(drafting=False))
            await until(lambda: heard(live.outputs) == "We open")
            await dying.kill()
            await _empty_queue(api.stores)
        async with open_worker(settings, "full", model, name="w:2"):
            text, end = await hear(live)
        assert (text, end.reason) == (WHOLE, "stop")
        assert await count(api.stores, live.turn, LaneStarted, attempt=2) == 1


@in_loop
async def test_a_session_that_is_asked_for_is_found_by_its_log_at_once(two_servers: Backend) -> None:
    settings, model = two_servers.settings(), Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model) as worker:
        turn = await start(eyes, settings, "call 7:{a}")
        await until(lambda: count(eyes, turn, LaneFinished))
        sessions = Sessions(eyes, None)
        await _empty_queue(eyes)
        assert await sessions.find(SessionRef("default", "no such")) is None
        (begun, *_) = await turn_entries(eyes, turn)
        assert await sessions.find(turn.session) == SessionEntry(begun.ms, 0)
        assert [t.started.turn for t in await sessions.turns(turn.session)] == [turn.turn]
        # Nobody drives it any more: the sweep does, once a driver had the time to say that it does.
        assert (await lease_of(eyes, turn) or 0) > eyes.queue_clock.now_ms()
        await eyes.queue.zadd(keys.LEASES, {str(turn): 1})
        await worker.sweep_now()
        assert await ended(eyes, turn)


@pytest.mark.parametrize("archived", [False, True])
@in_loop
async def test_all_sessions_are_put_back_into_the_index(
    two_servers: Backend, tmp_path: Path, archived: bool
) -> None:
    url = str(tmp_path / "calls") if archived else ""
    settings = two_servers.settings(archive_url=url, archive_after_s=0)
    model = Scripted(full=[answer(WHOLE)])
    names = ["s1", "call 7:{a}", "Äpfel/../x", "n" * 100, "S1"]
    async with open_stores(settings) as eyes, open_workers(settings, model, sweeping=False) as (sweeper, _):
        await eyes.sync_clocks()
        for name in names:
            turn = await start(eyes, settings, name)
            await until(lambda turn=turn: count(eyes, turn, LaneFinished))
            await eyes.queue.zadd(keys.LEASES, {str(turn): 1})
            await sweeper.sweep_now()
            assert await count(eyes, turn, TurnEnded) == 1
        archive = open_archive(url)
        keeper = RetentionJob(settings, eyes, "w:k", archive)
        if archived:
            await until(lambda: _keep(eyes, keeper))
            await until(lambda: _moved(eyes, keeper))
        gone = SessionRef("default", names[0])
        assert await Sessions(eyes, archive).delete(gone)
        await _empty_queue(eyes)
        assert await _keep(eyes, keeper)
        assert await eyes.queue.exists(keys.INDEXED)
        quoted = {SessionRef("default", name).quoted.encode() for name in names[1:]}
        assert set(await eyes.queue.zrange(keys.sessions("default"), 0, -1)) == quoted
        assert set(await reply(eyes.queue.smembers(keys.KEPT))) == {b"default"}
        for name in names[1:]:
            assert len(await Sessions(eyes, archive).turns(SessionRef("default", name))) == 1
        assert await Sessions(eyes, archive).find(gone) is None


async def _keep(stores: Stores, keeper: RetentionJob) -> bool:
    await stores.queue.delete(keys.KEEPING)
    return await keeper.run_once()


async def _moved(stores: Stores, keeper: RetentionJob) -> bool:
    await _keep(stores, keeper)
    return not [key async for key in stores.log.scan_iter(match="fr:{*}:log")]
