"""What a turn was let in with comes back where the turn is not to be, whoever dies on the way."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio.client import Pipeline

from api.limits import admission as api_admission
from api.limits import admission_script
from api.limits.admission_script import AdmissionRequest
from api.requests.idempotency import name_key
from api.requests.turn_request import TurnRequest
from api.turns.live import LiveTurn
from common.errors import BadRequest, RateLimited
from common.names import SessionRef, TurnRef
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.config import Limits
from common.tenants.usage import day_of
from tests.support.ended_turns import add_turn, in_log, keep, open_keeper
from tests.support.following import hear, over
from tests.support.killed_starts import start_and_die
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend
from tests.support.stored_turns import lapse, lease_of
from tests.support.waiting import in_loop, until
from tests.support.wiring import Api, ask, open_api, open_worker
from workers.accounting.settlement import SettlementJob

ALL = Limits(turns_per_minute=20, live_turns=20, tokens_per_day=100_000, sessions_kept=20)


def asking(session: str | None = "s1", key: str = "", **body: Any) -> TurnRequest:
    asked = ask(session, drafting=False)
    whole = {**asked.body, "max_tokens": 100, **body}
    once = name_key(whole, key, None, in_session=True) if key else None
    return replace(asked, body=whole, idempotency=once)


async def taken(stores: Stores) -> tuple[int, int, int, int]:
    """What is taken of the limits: live turns, a minute's starts, reservations, their tokens."""
    day = day_of(stores.queue_clock.now_ms())
    return (
        await stores.queue.zcard(keys.live_turns("default")),
        await stores.queue.zcard(keys.turn_starts("default")),
        await reply(stores.queue.hlen(keys.reserved("default"))),
        int(await reply(stores.queue.hget(keys.tokens("default", day), "reserved")) or 0),
    )


async def settle(settings: Settings, stores: Stores) -> None:
    """Let a worker settle what is due, until nothing is."""
    impatient = settings.model_copy(update={"lane_lease_s": 0.0})
    settler = SettlementJob(impatient, stores, Sessions(stores, None))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("workers.accounting.settlement._PATIENCE_MS", 0)
        await until(lambda: _is_settled(stores, settler))


async def _is_settled(stores: Stores, settler: SettlementJob) -> bool:
    await settler.settle()
    return not await stores.queue.zcard(keys.UNSETTLED)


# A start that is not to be.


@in_loop
async def test_retries_at_once_are_charged_once(real: Backend) -> None:
    settings = real.settings()
    async with open_api(settings, ALL) as one, open_api(settings, ALL) as two:
        lives = await asyncio.gather(*((one, two)[n % 2].start.run(asking(key="k1")) for n in range(20)))
        assert len({live.turn for live in lives}) == 1
        live, starts, turns, tokens = await taken(one.stores)
        assert (live, starts, turns) == (1, 1, 1) and 100 < tokens < 120
        await two.start.run(asking(key="k1"))  # nor is a later one
        assert await taken(one.stores) == (live, starts, turns, tokens)
        assert await one.stores.queue.zcard(keys.UNSETTLED) == 1


@in_loop
async def test_a_start_that_cannot_be_written_costs_nothing(real: Backend) -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    async with open_api(real.settings(), ALL) as api:
        with pytest.raises(BadRequest):
            await api.start.run(asking(metadata=deep))
        assert await taken(api.stores) == (0, 0, 0, 0)
        for key in (keys.LEASES, keys.UNSETTLED):
            assert not await api.stores.queue.zcard(key)


@in_loop
async def test_who_was_settled_meanwhile_gives_nothing_back_twice(valkey: Backend) -> None:
    async with open_api(valkey.settings(), ALL) as api:
        live = await api.start.run(asking(None))
        other = await api.start.run(asking(None))
        await api.stores.queue.zrem(keys.UNSETTLED, str(other.turn))
        for turn in (live.turn, live.turn, other.turn):
            await admission_script.release(api.stores, turn)
        _, starts, turns, tokens = await taken(api.stores)
        assert (starts, turns) == (0, 1) and 100 < tokens < 120


# A process that dies.


async def _give_back_after_death(backend: Backend, round_trips: int, key: str = "") -> bool:
    """Whether the turn came to be; either way nothing of it is held in the end."""
    settings = backend.settings()
    turn = await start_and_die(backend, round_trips, key=key, limits=ALL)
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        admitted = await taken(eyes) != (0, 0, 0, 0)
        if admitted:
            live, starts, turns, tokens = await taken(eyes)
            assert (live, starts, turns) == (1, 1, 1) and tokens > 1_000
            assert await lease_of(eyes, turn) is not None
        model = Scripted(draft=[answer("Let me see.")], full=[answer("Yes.")])
        async with open_worker(settings, "full", model) as sweeper, open_worker(settings, "draft", model):
            while await lease_of(eyes, turn) is not None:
                await lapse(eyes, turn)
                await sweeper.sweep_now()
            await settle(settings, eyes)
        live, starts, turns, tokens = await taken(eyes)
        assert (live, starts, turns, tokens) == (0, int(admitted), 0, 0)
        return bool(await eyes.log.exists(keys.log(turn.session)))


@pytest.mark.parametrize("round_trips", range(3))
@in_loop
async def test_on_one_server_what_a_dead_start_held_comes_back(valkey: Backend, round_trips: int) -> None:
    assert await _give_back_after_death(valkey, round_trips) == (round_trips == 2)


@pytest.mark.parametrize("round_trips", range(5))
@in_loop
async def test_on_two_servers_what_a_dead_start_held_comes_back(
    two_servers: Backend, round_trips: int
) -> None:
    assert await _give_back_after_death(two_servers, round_trips) == (round_trips >= 3)


@in_loop
async def test_a_turn_that_ended_is_charged_what_it_used(real: Backend) -> None:
    settings, model = real.settings(), Scripted(full=[answer("Yes.")])
    async with open_api(settings, ALL) as api, open_worker(settings, "full", model):
        live = await api.start.run(asking())
        await hear(live)
        await over(api, live)
        await settle(settings, api.stores)
        assert await taken(api.stores) == (0, 1, 0, 0)
        day = day_of(api.stores.queue_clock.now_ms())
        assert await reply(api.stores.queue.hget(keys.tokens("default", day), "spent")) == b"7"


@in_loop
async def test_a_replaced_session_whose_deleter_died_is_buried(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = real.settings()
    async with open_stores(settings) as stores, open_keeper(settings) as keeper:
        await stores.sync_clocks()
        old = SessionRef("default", "old")
        await add_turn(stores, old)
        await stores.queue.delete(keys.live_turns("default"))
        last_ms = int((await in_log(stores, old))[-1].partition("-")[0])
        await until(lambda: stores.log_clock.now_ms() >= last_ms)  # two servers' clocks are known by estimate
        asked = AdmissionRequest(
            TurnRef(SessionRef("default", "new"), "turn0000"), Limits(sessions_kept=1), 0, True
        )
        standing = await admission_script.admit(stores, asked, 5_000)
        assert standing.replaced == ("old",)
        assert await Sessions(stores, None).find(old) is None
        assert await stores.log.exists(keys.log(old))
        monkeypatch.setattr("workers.upkeep.retention._TOMBSTONE_MS", -1_000)
        await keep(keeper, stores)
        assert not await stores.log.exists(keys.log(old))


# A flood, and no limits.


class Counted:
    """Counts the batches that are about starting turns, and the scripts in them."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.batches = self.scripts = 0
        execute = Pipeline.execute

        async def counted(pipe: Any, *args: Any, **more: Any) -> Any:
            names = [command[0] for command, _ in pipe.command_stack]
            if "s1" in repr(pipe.command_stack) and names != ["XRANGE"]:  # that reads a turn that is there
                self.batches += 1
                self.scripts += names.count("EVAL")
            return await execute(pipe, *args, **more)

        patched.setattr(Pipeline, "execute", counted)


@in_loop
async def test_without_limits_nobody_is_asked(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 1 if real.queue_url is None else 3
    for limits, batches, scripts in ((Limits(), steps, 0), (ALL, steps + 1, 1)):
        async with open_api(real.settings(turn_lease_s=600), limits) as api:  # that is not renewed meanwhile
            with monkeypatch.context() as patched:
                counted = Counted(patched)
                await api.start.run(replace(asking(), memory=False))
            assert (counted.batches, counted.scripts) == (batches, scripts)


@in_loop
async def test_a_flood_is_refused_without_asking(valkey: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(valkey.settings(), Limits(turns_per_minute=1)) as api:
        await api.start.run(asking())
        clock = Clock(monkeypatch)
        assert await _refused_after(api, lambda: clock.step(0)) in (59, 60)
        counted = Counted(monkeypatch)
        assert await _refused_after(api, lambda: clock.step(30)) in (29, 30)
        assert counted.scripts == 0
        await _refused_after(api, lambda: clock.step(31))  # by then there may be room: the server is asked
        assert counted.scripts == 1


@in_loop
async def test_what_is_taken_back_here_is_free_at_once(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api(valkey.settings(), Limits(turns_per_minute=1)) as api:
        live = await api.start.run(asking())
        await _refused_after(api, lambda: None)
        await api.admissions.release(live.turn)
        assert isinstance(await api.start.run(asking(None)), LiveTurn)


@in_loop
async def test_other_limits_make_a_refusal_forgotten(valkey: Backend) -> None:
    async with open_api(valkey.settings(), Limits(turns_per_minute=1)) as api:
        await api.start.run(asking())
        await _refused_after(api, lambda: None)
        api.directory.limits = Limits(turns_per_minute=2)
        await api.start.run(asking(None))


class Clock:
    """The process's own clock, stepped by the test."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self._now_s = 1_000.0
        patched.setattr(api_admission, "time", self)

    def monotonic(self) -> float:
        return self._now_s

    def step(self, seconds: float) -> None:
        self._now_s += seconds


async def _refused_after(api: Api, step: Callable[[], None]) -> int | None:
    step()
    with pytest.raises(RateLimited) as refused:
        await api.start.run(replace(asking(), memory=False))
    return refused.value.retry_after_s
