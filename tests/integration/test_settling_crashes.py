"""Settling by several, any of whom may die at any step: each turn is settled once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.store.redis import Stores, TimedPipeline
from tests.support.killable import mortal
from tests.support.settlement import SETTLED, bring_on, budget, have_ended, open_settler, unsettled, usage
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop, until
from workers.accounting.settlement import SettlementJob

# Who dies, and who is beside.


class Dead(Exception):
    """This process was killed."""


@pytest.mark.parametrize("after", [False, True])
@in_loop
async def test_killed_at_any_step_it_settles_once(
    real: Backend, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    async with (
        open_settler(real.settings()) as (stores, settler),
        open_settler(real.settings()) as (_, next_),
    ):
        steps, died = 0, True
        while died:
            name, steps = f"turn{steps:04}", steps + 1
            await have_ended(stores, name, reserved=500)
            died = await _settle_and_die(monkeypatch, settler, steps, after=after)
            await bring_on(stores)  # as time does
            await next_.settle()
            assert await budget(stores) == {"reserved": 0, "spent": 106 * steps}
            assert (await usage(stores))["fast-reply"]["turns"] == steps
        assert steps > 3  # taking, finding, settling; and one that came to its end


async def _settle_and_die(
    monkeypatch: pytest.MonkeyPatch, settler: SettlementJob, die_at: int, *, after: bool
) -> bool:
    """Settle up to the so manieth round trip; whether it came to that."""
    done, died, execute = 0, asyncio.Event(), TimedPipeline.execute

    async def step(self: TimedPipeline, *args: Any, **kwargs: Any) -> Any:
        nonlocal done
        done += 1
        if done < die_at:
            return await execute(self, *args, **kwargs)
        if done == die_at and after:
            await execute(self, *args, **kwargs)
        died.set()
        return await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(TimedPipeline, "execute", step)
        settling = asyncio.create_task(settler.settle())
        await until(lambda: settling.done() or died.is_set())
        await end(settling)
    for batcher in (settler._stores.on_log, settler._stores.on_queue):
        if batcher._flushing:
            await end(batcher._flushing)  # its process is gone
            batcher._flushing, batcher._waiting = None, []
    return died.is_set()


@in_loop
async def test_settlers_share_the_work_and_double_nothing(real: Backend) -> None:
    async with (
        open_settler(real.settings()) as (stores, first),
        open_settler(real.settings()) as (_, second),
    ):
        for number in range(20):
            await have_ended(stores, f"turn{number:04}", reserved=500)
        assert sum(await asyncio.gather(first.settle(), second.settle())) == 20
        assert await budget(stores) == {"reserved": 0, "spent": 20 * 106}
        assert (await usage(stores))["fast-reply"]["turns"] == 20


@in_loop
async def test_processes_that_are_killed_settle_every_turn_once(two_servers: Backend) -> None:
    async with (
        open_settler(two_servers.settings()) as (stores, last),
        started_settler(two_servers, stores) as first,
        started_settler(two_servers, stores) as second,
    ):
        names = [f"turn{number:04}" for number in range(150)]
        having = [asyncio.create_task(have_ended(stores, name, reserved=500)) for name in names]
        for process, settled in ((first, 20), (second, 60)):
            await until(lambda settled=settled: is_counted(stores, settled))
            process.kill()
            await process.wait()
        await asyncio.gather(*having)
        await bring_on(stores)  # as time does for what the dead held
        while await last.settle():
            pass
        assert not await unsettled(stores)
        assert await budget(stores) == {"reserved": 0, "spent": 106 * len(names)}
        assert await usage(stores) == {"fast-reply": {name: len(names) * n for name, n in SETTLED.items()}}


async def is_counted(stores: Stores, turns: int) -> bool:
    """Whether so many turns are settled."""
    return (await usage(stores)).get("fast-reply", {}).get("turns", 0) >= turns


@asynccontextmanager
async def started_settler(backend: Backend, stores: Stores) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that settles until it is killed."""
    async with mortal("dying_settler.py", backend) as process:
        await until(lambda: stores.queue.getdel(f"test:ready:{process.pid}"))
        yield process


@in_loop
async def test_two_that_look_at_the_same_turn_settle_it_once(real: Backend) -> None:
    async with (
        open_settler(real.settings()) as (stores, first),
        open_settler(real.settings()) as (_, second),
    ):
        turn = await have_ended(stores, reserved=500)
        await asyncio.gather(*(settler._look(turn) for settler in (first, second) for _ in range(5)))
        assert await budget(stores) == {"reserved": 0, "spent": 106}
        assert await usage(stores) == {"fast-reply": SETTLED}
