"""A turn that costs its processes: parked after the second, told to all, and harmless ever after."""

import asyncio
from typing import Any

import orjson
import pytest

from common.errors import Unavailable
from common.events import Delta, LaneStarted, TurnEnded, TurnStarted
from common.log.stream import append_now
from common.names import SessionRef, TurnRef
from common.queue import parked
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.following import hear
from tests.support.killable import mortal
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_turns import age, count, ended, events, job, lapse, lease_of, replay, start
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_api, open_worker
from workers.accounting.settlement import SettlementJob

GOING_ON: dict[str, Any] = {"on_disconnect": "continue"}
LEASE_S = 0.3
DEADLY, HARMLESS = "a deadly word", "Good day."


async def _speaking(stores: Stores, settings: Any, session: str, text: str) -> TurnRef:
    """A turn whose full has begun, and whose worker and driver are gone."""
    turn = await start(stores, settings, session, **GOING_ON)
    await append_now(
        stores,
        turn.session,
        LaneStarted(turn.turn, "full", 1, "w:gone"),
        Delta(turn.turn, "full", 1, 0, text, 0),
    )
    return turn


async def _deaths(backend: Backend, stores: Stores) -> int:
    """How many sweepers it takes until a turn is parked."""
    deaths = 0
    while True:
        async with mortal("dying_sweeper.py", backend, str(LEASE_S)) as sweeper:
            while sweeper.returncode is None and not await parked.read_parked(stores):
                await asyncio.sleep(0.01)
            if sweeper.returncode is None:
                return deaths
            deaths += 1
            assert deaths < 5, "passed on and on"


@pytest.mark.parametrize("held", ["driver", "worker", "sweep"])
@in_loop
async def test_a_turn_whose_fold_kills_is_parked_after_two_deaths_and_others_go_on(
    valkey: Backend, held: str
) -> None:
    settings = valkey.settings(turn_lease_s=LEASE_S)
    async with open_stores(settings) as eyes:
        deadly = await _speaking(eyes, settings, "deadly", DEADLY)
        others = [await _speaking(eyes, settings, f"other {number}", HARMLESS) for number in range(6)]
        for turn in (*others[:3], deadly, *others[3:]):
            if held == "sweep":
                await reply(eyes.queue.hset(keys.FOLDING, f"{turn}|sweep", "1"))
            await reply(eyes.queue.lrem(keys.ready("full", "default"), 0, str(job(turn))))
            await eyes.queue.set(f"arq:in-progress:{job(turn)}", b"1")
            await lapse(eyes, job(turn) if held == "worker" else turn)
        # Its driver, or worker, was the first that it has cost.
        assert await _deaths(valkey, eyes) == (2 if held == "sweep" else 1)
        over = await ended(eyes, deadly)
        assert over and (over.reason, over.error and over.error["code"]) == ("error", "turn_parked")
        (listed,) = await parked.read_parked(eyes)
        assert (listed.tenant, listed.turn, listed.reason) == ("default", deadly.turn, "folding")
        # Nobody who reads it later meets what has killed.
        assert [type(event) for event in await events(eyes, deadly)] == [TurnStarted, TurnEnded]
        text, ending = await replay(eyes, deadly)
        assert text == "" and ending and ending.error and ending.error["code"] == "turn_parked"
        for left in (deadly, job(deadly)):
            assert await lease_of(eyes, left) is None
        assert str(deadly).encode() not in await reply(eyes.queue.hkeys(keys.FOLDING))
        for turn in others:
            assert await ended(eyes, turn) is None
            assert (await replay(eyes, turn))[0] == HARMLESS
        await _is_settled(eyes, settings, deadly)


async def _is_settled(stores: Stores, settings: Any, turn: TurnRef) -> None:
    settler = SettlementJob(settings, stores, Sessions(stores, None))

    async def gone() -> bool:
        await settler.settle()
        return await stores.queue.zscore(keys.UNSETTLED, str(turn)) is None

    await until(gone)


@in_loop
async def test_a_client_that_follows_a_parked_turn_is_told_and_one_that_comes_back(valkey: Backend) -> None:
    settings = valkey.settings(turn_lease_s=30)
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", Scripted()) as sweeper,
        open_api(settings) as api,
    ):
        turn = await _speaking(eyes, settings, "s1", HARMLESS)
        live = await api.turns.attach(turn)
        hearing = asyncio.create_task(hear(live))
        await reply(eyes.queue.hset(keys.FOLDING, str(turn), "2:1"))
        await lapse(eyes, turn)
        await sweeper.sweep_now()
        _, ending = await hearing
        assert ending.error and ending.error["code"] == "turn_parked"
        again = await api.turns.attach(turn)
        assert again.fold.ending and again.fold.ending.error
        assert again.fold.ending.error["code"] == "turn_parked"


@in_loop
async def test_a_turn_that_has_just_cost_two_is_not_gone_on_with(valkey: Backend) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_api(settings) as api:
        turn = await _speaking(eyes, settings, "s1", HARMLESS)
        await reply(eyes.queue.hset(keys.FOLDING, str(turn), f"2:{eyes.queue_clock.now_ms()}"))
        with pytest.raises(Unavailable):
            await api.turns.attach(turn)
        await reply(eyes.queue.hdel(keys.FOLDING, str(turn)))
        assert (await api.turns.attach(turn)).text == HARMLESS


@in_loop
async def test_a_turn_that_loses_a_second_replica_is_parked(valkey: Backend) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turn = await _speaking(eyes, settings, "s1", HARMLESS)
        for _ in range(3):  # the sweep's own looks are no losses
            await lapse(eyes, turn)
            await sweeper.sweep_now()
            assert await ended(eyes, turn) is None
        async with open_api(settings) as api:
            await api.turns.attach(turn)
            await api.kill()
        await lapse(eyes, turn)
        await sweeper.sweep_now()
        over = await ended(eyes, turn)
        assert over and over.error and over.error["code"] == "turn_parked"
        assert [each.reason for each in await parked.read_parked(eyes)] == ["driving"]


@in_loop
async def test_the_operator_is_shown_what_was_parked(valkey: Backend) -> None:
    settings = valkey.settings(operator_token="operators-token-0123456789")
    async with open_stores(settings) as eyes, serving(settings) as client:
        turn = TurnRef(SessionRef("acme", "a name"), "turn0001")
        await eyes.on_queue.run(lambda pipe: parked.record(pipe, turn, "folding", 1_000))
        assert (await client.get("/admin/parked")).status_code == 401
        operator = {"Authorization": "Bearer operators-token-0123456789"}
        listed = (await client.get("/admin/parked", headers=operator)).json()
        row = {"at": "1970-01-01T00:00:01.000Z", "tenant": "acme", "turn": "turn0001", "reason": "folding"}
        assert listed == {"object": "list", "data": [row]}


# Past the deadline, whatever the driver does.


async def _is_past_its_deadline(stores: Stores, turn: TurnRef) -> None:
    """Its driver lives and does nothing."""
    await stores.queue.zadd(keys.LEASES, {str(turn): stores.queue_clock.now_ms() + 60_000})
    assert await stores.queue.zadd(keys.DEADLINES, {str(turn): 1}, xx=True, ch=True)


@pytest.mark.parametrize("fold", [None, 9_999])
@in_loop
async def test_a_turn_whose_driver_is_stuck_ends_past_its_deadline(valkey: Backend, fold: int | None) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        turn = await start(eyes, settings, **GOING_ON)
        if fold:
            (raw,) = await eyes.log.xrange(keys.log(turn.session))
            body = orjson.loads(raw[1][b"turn.started"]) | {"fold": fold}
            await eyes.log.delete(keys.log(turn.session))
            await eyes.log.xadd(keys.log(turn.session), {"turn.started": orjson.dumps(body)})
        await _is_past_its_deadline(eyes, turn)
        await sweeper.sweep_now()
        assert await ended(eyes, turn) is None  # the server's clock says so, and not the turn's time
        assert (await eyes.queue.zscore(keys.DEADLINES, str(turn)) or 0) > eyes.queue_clock.now_ms()
        await age(eyes, turn)
        await _is_past_its_deadline(eyes, turn)
        await sweeper.sweep_now()
        over = await ended(eyes, turn)
        assert over and over.error and over.error["code"] == "turn_deadline"
        assert await lease_of(eyes, turn) is None
        assert await eyes.queue.zscore(keys.DEADLINES, str(turn)) is None
        assert await count(eyes, turn, TurnEnded) == 1


@in_loop
async def test_what_names_no_turn_goes_from_the_deadlines(valkey: Backend) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as eyes, open_worker(settings, "draft", Scripted()) as sweeper:
        await eyes.queue.zadd(keys.DEADLINES, {"nonsense": 1, "default:s1:turn0001": 1})
        await sweeper.sweep_now()
        assert not await eyes.queue.exists(keys.DEADLINES)
