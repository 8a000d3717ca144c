"""Workers that can't keep up: drafts are shed first, then turns refused, those of who fills the queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from api.limits import overload
from api.limits.overload import LoadShedder
from api.requests.turn_request import TurnRequest
from api.turns.starter import TurnStarter
from common.errors import Overloaded
from common.events import TurnStarted
from common.names import LANES_OF_WORKERS, JobRef, TurnRef, parse_lease
from common.queue import fair_share, job_queue
from common.queue.fair_share import Load
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.config import Limits
from common.tenants.latency import FirstTokenLatency
from common.tenants.tenant import Tenant
from tests.support.limited_tenants import LimitedDirectory
from tests.support.replicas import CHAT
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, ended, job
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_workers


class Several(LimitedDirectory):
    """A directory of two tenants, unlimited."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        super().__init__(settings, stores, Limits())

    def all(self) -> list[Tenant]:
        return [tenant for name in ("a", "b") if (tenant := self.tenant(name))]


def asked(tenant: str, session: str = "s1", **policy: Any) -> TurnRequest:
    return replace(ask(session, **policy), tenant=tenant)


@dataclass
class Replica:
    """What starts turns, and what it knows of the workers."""

    stores: Stores
    load_shedder: LoadShedder
    starter: TurnStarter

    async def start(
        self, tenant: str = "a", session: str = "s1", **policy: Any
    ) -> tuple[TurnRef, TurnStarted]:
        planned = self.starter.plan(asked(tenant, session, **policy))
        turn, started = planned.turn, planned.started
        await self.starter.commit(planned)
        return turn, started

    async def flood(self, most: int = 200) -> list[str]:
        """Start turns until one is refused: how each was drafted."""
        drafted = []
        for _ in range(most):
            try:
                _, started = await self.start()
            except Overloaded:
                break
            drafted.append(started.drafting)
        return drafted


@asynccontextmanager
async def replica(settings: Settings, *, slots: int, alone: bool = True) -> AsyncIterator[Replica]:
    """A replica that has looked, where workers have so many slots a lane, and nobody takes jobs."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        await beat(stores, slots)
        directory = LimitedDirectory(settings, stores, Limits()) if alone else Several(settings, stores)
        known = LoadShedder(settings, stores, directory)
        await known.refresh()
        yield Replica(
            stores, known, TurnStarter(settings, stores, directory, FirstTokenLatency(stores), known)
        )


async def beat(stores: Stores, slots: int) -> None:
    if slots:
        for lane in LANES_OF_WORKERS:
            now_ms = stores.queue_clock.now_ms() + 600_000  # alive throughout the test
            await stores.queue.zadd(keys.workers(lane), {fair_share.beat("w:1", slots): now_ms})


@in_loop
async def test_a_burst_that_finds_free_slots_is_drafted_and_answered(real: Backend) -> None:
    async with replica(real.settings(), slots=250) as one:
        turns = await asyncio.gather(*(one.start(session=f"s{n}") for n in range(200)))
        await one.load_shedder.refresh()  # all of them wait still, and there are slots for all
        turns += await asyncio.gather(*(one.start(session=f"t{n}") for n in range(50)))
        assert {started.drafting for _, started in turns} == {"on"}


@pytest.mark.parametrize("looking", ["never", "each time"])
@in_loop
async def test_drafts_are_shed_and_then_turns_refused(real: Backend, looking: str) -> None:
    """20 slots: over 2 jobs without a slot no drafts, over 10 no turns."""
    async with replica(real.settings(), slots=20) as one:
        drafted = []
        with pytest.raises(Overloaded) as refused:
            for _ in range(100):
                _, started = await one.start()
                drafted.append(started.drafting)
                if looking == "each time":
                    await one.load_shedder.refresh()
        assert drafted == ["on"] * 23 + ["shed"] * 8
        assert (refused.value.status, refused.value.retry_after_s, refused.value.code) == (
            503,
            1,
            "overloaded",
        )
        assert await one.stores.queue.zcard(keys.queue("draft")) == 23
        assert await one.stores.queue.zcard(keys.queue("full")) == 31


@in_loop
async def test_another_tenant_is_served_while_one_fills_the_queue(real: Backend) -> None:
    async with replica(real.settings(), slots=20, alone=False) as one:
        assert len(await one.flood()) < 100
        for _ in range(2):  # by what it has begun itself, and by what it sees
            turn, started = await one.start("b")
            assert started.drafting == "on"
            assert await one.stores.queue.zscore(keys.queue("full"), str(job(turn))) is not None
            await one.load_shedder.refresh()
        with pytest.raises(Overloaded):
            await one.start("a")


@in_loop
async def test_without_workers_turns_wait_for_some_to_come(valkey: Backend) -> None:
    async with replica(valkey.settings(), slots=0) as one:
        assert await one.flood(50) == ["on"] * 50


@in_loop
async def test_who_was_refused_is_let_in_when_the_jobs_are_gone(valkey: Backend) -> None:
    async with replica(valkey.settings(), slots=2) as one:
        await one.flood()
        assert not await one.flood()
        watching = asyncio.create_task(one.load_shedder.run())
        try:
            for lane in ("draft", "full"):
                for name in await one.stores.queue.zrange(keys.queue(lane), 0, -1):
                    await one.stores.on_queue.run(partial(job_queue.forget_job, job=_job(name)))
            await until(lambda: one.flood(1))
        finally:
            watching.cancel()


def _job(name: bytes) -> JobRef:
    parsed = parse_lease(name.decode())
    assert isinstance(parsed, JobRef)
    return parsed


@in_loop
async def test_a_replica_sees_what_others_have_begun(valkey: Backend) -> None:
    settings = valkey.settings()
    async with replica(settings, slots=20) as one, replica(settings, slots=20) as other:
        await one.flood()
        watching = asyncio.create_task(other.load_shedder.run())
        try:
            await until(lambda: other.load_shedder.sheds_draft("a"))
            assert not await other.flood()
        finally:
            watching.cancel()


@in_loop
async def test_a_start_that_came_to_nothing_counts_for_a_moment_only(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(overload, "monotonic", lambda: now_s)
    async with replica(valkey.settings(), slots=20) as one:
        for _ in range(31):
            turn = one.starter.plan(asked("a")).turn
            one.load_shedder.admit(turn, ["full"])
        assert not await one.flood()
        await one.load_shedder.refresh()
        assert not await one.flood()
        now_s += 3
        await one.load_shedder.refresh()
        assert await one.flood(1) == ["on"]


@in_loop
async def test_no_late_draft_is_begun_for_a_turn_that_shed_its_own(valkey: Backend) -> None:
    adaptive: dict[str, Any] = {"draft": {"when": "adaptive", "slow_ms": 1, "hedge_ms": 1}}
    async with replica(valkey.settings(), slots=20) as one:
        await one.flood(24)
        started = one.starter.plan(asked("a", **adaptive)).started
        assert (started.drafting, list(started.lanes)) == ("shed", ["full"])


@pytest.mark.parametrize(
    ("waiting", "running", "share", "backlog"),
    [
        ({}, {}, 1.0, 0),
        ({"a": 10}, {}, 1.0, 0),
        ({"a": 15}, {}, 1.0, 5),
        ({"a": 5}, {"a": 10}, 1.0, 5),
        ({"a": 5}, {"a": 8}, 0.8, 5),  # the two free slots are not for it
        ({"a": 5, "b": 1}, {"a": 8}, 0.8, 5),
        ({"a": 5, "b": 5}, {"a": 8}, 0.8, 8),
        ({"a": 5}, {"a": 12}, 1.0, 5),  # of workers that are gone
    ],
)
def test_a_backlog_is_what_finds_no_slot(
    waiting: dict[str, int], running: dict[str, int], share: float, backlog: int
) -> None:
    load = Load(10, sum(waiting.values()) + sum(running.values()), waiting, running)
    assert load.backlog(share) == backlog


@pytest.mark.parametrize(
    ("waiting", "refused"), [({"a": 12}, "a"), ({"a": 12, "b": 5}, "a"), ({"a": 9, "b": 9}, "ab")]
)
def test_who_waits_for_less_than_its_part_is_not_refused(waiting: dict[str, int], refused: str) -> None:
    load = Load(10, sum(waiting.values()) + 10, waiting, {"a": 5, "b": 5})
    assert "".join(tenant for tenant in "abc" if load.presses(tenant, 0.8, 0.5)) == refused


@in_loop
async def test_a_client_is_told_when_to_come_again_and_a_retry_joins_all_the_same(valkey: Backend) -> None:
    settings = valkey.settings(llm_base_url="http://127.0.0.1:9/v1", worker_slots=2)
    question = {"model": "full", "messages": [{"role": "user", "content": "When?"}]}
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        await beat(stores, 2)
        async with serving(settings) as client:
            once = {"Idempotency-Key": "k1", "X-Session-ID": "s1"}
            streaming = {**question, "stream": True}
            async with client.stream("POST", CHAT, json=streaming, headers=once) as first:
                assert first.status_code == 200
                held = [asyncio.create_task(client.post(CHAT, json=question)) for _ in range(3)]
                await until(lambda: _queued(stores, 4))
                refused = await client.post(CHAT, json=question)
                assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
                assert refused.json()["error"]["code"] == "overloaded"
                async with client.stream("POST", CHAT, json=streaming, headers=once) as again:
                    assert again.status_code == 200
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)


async def _queued(stores: Stores, jobs: int) -> bool:
    return bool(await stores.queue.zcard(keys.queue("full")) == jobs)


@in_loop
async def test_of_a_client_that_left_while_its_jobs_waited_no_model_is_asked(real: Backend) -> None:
    settings = real.settings(resume_grace_s=0)
    model = Scripted(draft=[answer("Let me see.")], full=[answer("We open at nine.")])
    async with open_api(settings) as api:
        live = await api.start.run(ask())
        api.turns.client_left(live)
        await until(lambda: ended(api.stores, live.turn))
        assert await count(api.stores, live.turn, TurnStarted) == 1
        async with open_workers(settings, model):
            await until(lambda: _nothing_waits(api.stores))
        assert not model.calls


async def _nothing_waits(stores: Stores) -> bool:
    return not await stores.queue.exists(keys.queue("draft"), keys.queue("full"))
