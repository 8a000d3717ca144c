"""A job may wait for as long as it likes, and a live worker may be late: its model is asked once."""

import asyncio

from common.events import LaneFinished, LaneStarted
from common.names import TurnRef
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.scripted_model import END, Scripted
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, job, lapse, lease_of, start, turn_entries
from tests.support.waiting import in_loop, until
from tests.support.wiring import Worker, open_worker
from workers.upkeep.sweep import Sweep

TURNS = 24


@in_loop
async def test_with_full_slots_each_of_many_waiting_jobs_is_asked_once(real: Backend) -> None:
    """Every lease lapses while its job waits, and is swept, before and after it is picked up."""
    settings = real.settings(worker_slots=3, lane_lease_s=0.3, renew_s=0.05, max_attempts=1, sweep_s=0.02)
    ends = [asyncio.Event() for _ in range(TURNS)]
    model = Scripted(full=[["We", end, *END] for end in ends])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", model, name="w:sweeps", sweeping=True, patient=True) as sweeper,
    ):
        turns = [await start(eyes, settings, f"s{number}") for number in range(TURNS)]
        await until(lambda: _all_lapsed_once(eyes, turns))
        async with open_worker(settings, "full", model, name="w:full"):
            for number, end in enumerate(ends):
                await until(lambda number=number: len(model.calls) > number)
                await _a_sweep_later(sweeper)
                end.set()
            await until(lambda: _all_finished(eyes, turns))
        assert len(model.calls) == TURNS
        for turn in turns:
            assert (
                await count(eyes, turn, LaneStarted) == await count(eyes, turn, LaneStarted, attempt=1) == 1
            )
            assert await count(eyes, turn, LaneFinished, reason="stop") == 1


async def _all_lapsed_once(stores: Stores, turns: list[TurnRef]) -> bool:
    """Whether the sweep has renewed the leases of all of these jobs: they lapsed."""
    await stores.sync_clocks()
    leases = await stores.queue.zmscore(keys.LEASES, [str(job(turn)) for turn in turns])
    starts = [await turn_entries(stores, turn) for turn in turns]
    return all((lease or 0) - start[0].ms > 350 for lease, start in zip(leases, starts, strict=True))


async def _a_sweep_later(sweeper: Worker) -> None:
    done = asyncio.Event()
    look = sweeper.sweep._look

    async def looked() -> tuple[list[bytes], list[bytes]]:
        done.set()
        return await look()

    sweeper.sweep._look = looked  # type: ignore[method-assign]
    await until(done.is_set)
    sweeper.sweep._look = look  # type: ignore[method-assign]


async def _all_finished(stores: Stores, turns: list[TurnRef]) -> bool:
    return all([await count(stores, turn, LaneFinished) for turn in turns])


@in_loop
async def test_a_lease_begins_anew_as_its_job_is_picked_up(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[[asyncio.Event()]])
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        turn = await start(eyes, settings)
        await lapse(eyes, job(turn))
        async with open_worker(settings, "full", model):
            await until(lambda: eyes.queue.exists(f"arq:in-progress:{job(turn)}"))
            assert (await lease_of(eyes, job(turn)) or 0) > eyes.queue_clock.now_ms() + 500_000


@in_loop
async def test_a_job_taken_after_the_sweep_has_read_its_lapsed_lease_is_left_to_its_worker(
    real: Backend,
) -> None:
    settings = real.settings(max_attempts=1)
    more = asyncio.Event()
    model = Scripted(full=[[more, "We open at nine.", *END]])
    async with open_stores(settings) as eyes, open_worker(settings, "draft", model, name="w:a") as sweeper:
        turn = await start(eyes, settings)
        await lapse(eyes, job(turn))
        (stale,), _ = await sweeper.sweep._look()
        async with open_worker(settings, "full", model) as worker:
            await until(lambda: model.calls)
            await sweeper.sweep._mend_all([stale], [])
            assert await lease_of(eyes, job(turn)) is not None
            more.set()
            await until(lambda: count(eyes, turn, LaneFinished, reason="stop"))
            assert await count(eyes, turn, LaneStarted) == len(model.calls) == 1
            await until(lambda: not worker.running.count)


@in_loop
async def test_an_attempt_that_still_writes_is_alive_whatever_its_lease_says(real: Backend) -> None:
    """Its worker is too busy to renew, as on a machine with far more to do than it can."""
    settings = real.settings(renew_s=600)
    more = asyncio.Event()
    model = Scripted(full=[["We open", more, " at nine.", *END]])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", model, name="w:a") as sweeper,
        open_worker(settings, "full", model),
    ):
        turn = await start(eyes, settings)
        await until(lambda: count(eyes, turn, LaneStarted))
        sweeper.sweep.patience = 1.0  # as one who judges, but was there all the while
        await lapse(eyes, job(turn))
        await sweeper.sweep._mend_all([str(job(turn)).encode()], [])
        assert (await lease_of(eyes, job(turn)) or 0) > 1
        more.set()
        await until(lambda: count(eyes, turn, LaneFinished, reason="stop"))
        assert await count(eyes, turn, LaneStarted) == len(model.calls) == 1


@in_loop
async def test_who_judges_has_listened_for_a_lease_and_a_commands_time(valkey: Backend) -> None:
    """A sweeper that has just begun, that stood still, or whose server was away, condemns nobody."""
    settings = valkey.settings(lane_lease_s=2.0, turn_lease_s=5.0, redis_timeout_s=1.5)
    now_s = 100.0
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        sweep = Sweep(settings, eyes, "w:a")
        sweep.contact._steady = lambda: now_s
        turn = await start(eyes, settings)
        await lapse(eyes, job(turn), turn)
        lane, whole = str(job(turn)).encode(), str(turn).encode()

        async def judged(after_s: float, *, step_s: float = 0.25) -> list[bytes]:
            nonlocal now_s
            until_s = now_s + after_s
            while now_s < until_s:
                now_s += step_s
                await sweep._look()
            return [member for member in (lane, whole) if sweep._is_condemned(member)]

        assert await judged(3.5) == []
        assert await judged(0.5) == [lane]
        assert await judged(2.0) == [lane]
        assert await judged(1.0) == [lane, whole]
        assert await judged(9.0, step_s=9.0) == []  # it stood still
        assert await judged(3.0) == []
        assert await judged(4.0) == [lane, whole]
        sweep.contact.lost()  # the server was away, however shortly
        assert await judged(3.5) == []
        assert await judged(3.5) == [lane, whole]
