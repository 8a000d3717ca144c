"""The two processes' parts, put together in the test's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from api.limits.admission import Admissions
from api.limits.overload import LoadShedder
from api.requests.turn_request import TurnRequest
from api.services import assemble
from api.turns.recall import Recall
from api.turns.registry import LiveTurns
from api.turns.start import TurnStart
from api.turns.starter import TurnStarter
from common.log.reader import LogReader
from common.names import Lane
from common.sessions.archive import open_archive
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.config import Limits
from common.tenants.directory import Directory
from common.tenants.latency import FirstTokenLatency
from tests.support.limited_tenants import LimitedDirectory
from tests.support.waiting import end, until
from workers.assembly import open_lanes, open_runner
from workers.knowledge.retrieval import Retrieval, Search
from workers.lanes.publisher import Publisher
from workers.leases import LaneLeases
from workers.providers.base import Provider
from workers.runner import JobRunner
from workers.upkeep.sweep import Sweep

_ANSWER_S = 20.0


@dataclass
class Worker:
    """One worker's parts over connections of its own, so that it can die alone."""

    settings: Settings
    stores: Stores
    publisher: Publisher
    running: LaneLeases
    runner: JobRunner
    sweep: Sweep
    tasks: list["asyncio.Task[None]"]
    killed: bool = False

    async def kill(self) -> None:
        """End it so that the stores see what they see when a process is killed: nothing more."""
        self.killed = True
        stores = self.stores
        for client in (stores.log, stores.queue):
            client.connection_pool.get_connection = _killed
            await client.connection_pool.disconnect(inuse_connections=True)
        self.runner.abandon()
        for task in self.tasks:
            task.cancel()

    async def sweep_now(self) -> int:
        """One step of the sweep, whoever swept a moment ago; how many leases it looked at."""
        await self.stores.queue.delete(keys.SWEEPING)
        return await self.sweep.sweep()

    async def drain(self) -> None:
        """End it as a deploy does: hand over what runs."""
        await self.runner.stop_taking(0)
        self.running.drain()
        await self.runner.stop_taking(_ANSWER_S)


@asynccontextmanager
async def open_worker(
    settings: Settings,
    lane: Lane,
    provider: Provider,
    *,
    name: str = "w:1",
    sweeping: bool = False,
    patient: bool = False,
    search: Search | None = None,
) -> AsyncIterator[Worker]:
    """A working worker of one lane. It sweeps only if told to: most tests take that step by hand."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        running, directory = LaneLeases(settings, stores, lane, name), Directory(settings, stores)
        retrieval = Retrieval(settings, stores, search) if search else None
        run, publisher = open_lanes(settings, stores, directory, running, provider, retrieval)
        runner = open_runner(settings, stores, directory, running, run)
        sweep = Sweep(settings, stores, name)
        if not patient:  # what a test lets lapse is lapsed
            sweep.patience = 0
        work = [publisher.run(), running.run(), runner.main()]
        tasks = [asyncio.create_task(each) for each in (*work, *([sweep.run()] if sweeping else []))]
        worker = Worker(settings, stores, publisher, running, runner, sweep, tasks)
        try:
            yield worker
            if not worker.killed:  # behind a lane that is over arq tidies up, shielded from any cancellation
                await until(lambda: runner.job_counter <= min(running.count, publisher.speaking))
            if not worker.killed and runner.allow_pick_jobs:
                _assert_alive(tasks)
        finally:
            await end(*tasks, *runner.tasks.values())
            await running.upstreams.flush()


@asynccontextmanager
async def open_workers(
    settings: Settings, provider: Provider, *, sweeping: bool = True, patient: bool = False
) -> AsyncIterator[tuple[Worker, Worker]]:
    """A draft worker and a full worker, which sweep."""
    async with (
        open_worker(settings, "draft", provider, name="w:draft", sweeping=sweeping, patient=patient) as draft,
        open_worker(settings, "full", provider, name="w:full", sweeping=sweeping, patient=patient) as full,
    ):
        yield draft, full


@dataclass
class Api:
    """One API replica's parts."""

    stores: Stores
    directory: LimitedDirectory
    starter: TurnStarter
    reader: LogReader
    admissions: Admissions
    turns: LiveTurns
    start: TurnStart
    pace: FirstTokenLatency
    tasks: list["asyncio.Task[None]"]

    async def kill(self) -> None:
        """End it so that the stores see nothing more of it."""
        for task in self.tasks:
            task.cancel()
        self.turns.close()


@asynccontextmanager
async def open_api(settings: Settings, limits: Limits | None = None) -> AsyncIterator[Api]:
    """A working replica, to which every tenant has these limits."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        directory = LimitedDirectory(settings, stores, limits or Limits())
        services = assemble(settings, stores, stores, directory)
        reader, turns, pace = services.reader, services.turns, services.pace
        tasks = [asyncio.create_task(work) for work in (reader.run(), turns.leases.run(), pace.run())]
        start, admissions = services.start, services.admissions
        api = Api(stores, directory, start.starter, reader, admissions, turns, start, pace, tasks)
        try:
            yield api
            if not any(task.cancelled() or task.cancelling() for task in tasks):
                _assert_alive(tasks)
        finally:
            turns.close()
            admissions.close()
            await end(*tasks)


def open_starter(settings: Settings, stores: Stores) -> TurnStarter:
    """What starts turns, where nothing is known of the models' pace."""
    directory = Directory(settings, stores)
    return TurnStarter(
        settings, stores, directory, FirstTokenLatency(stores), LoadShedder(settings, stores, directory)
    )


def open_past(settings: Settings, stores: Stores) -> Recall:
    """What looks back from a turn."""
    return Recall(
        settings, stores, Sessions(stores, open_archive(settings.archive_url)), Directory(settings, stores)
    )


def ask(session: str | None = "s1", *, drafting: bool | None = None, **policy: Any) -> TurnRequest:
    """A turn as a door reads it."""
    return TurnRequest(
        session=session,
        model=None,
        body={"messages": [{"role": "user", "content": "When do you open?"}]},
        stream=True,
        include_usage=False,
        drafting=drafting,
        lanes=False,
        state="",
        policy=policy,
    )


async def _killed(*_: object, **__: object) -> NoReturn:
    raise ConnectionError("this process was killed")


def _assert_alive(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        if task.done():
            task.result()
            raise AssertionError("background work ended")
