"""The bytes that a tenant's sessions keep: counted as they are written, given back as they go, bounded."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.requests.turn_request import TurnRequest
from api.turns.live import LiveTurn
from common.errors import FastReplyError, RateLimited
from common.events import TurnStarted
from common.log import kept_bytes
from common.log.stream import append_now
from common.names import SessionRef
from common.sessions.deletion import delete_session
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.config import Limits
from tests.support.ended_turns import add_turn, keep, keeping
from tests.support.following import hear, over, refusal
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.settlement import bring_on, call, have_ended, have_turn, open_settler
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer
from tests.support.stored_turns import turn_entries
from tests.support.waiting import in_loop, until
from tests.support.wiring import Api, ask, open_api, open_worker
from workers.accounting.settlement import SettlementJob

MB = 1_000_000


def saying(session: str, size: int = 10_000, **about: Any) -> TurnRequest:
    asked = ask(session, drafting=False)
    return replace(asked, body={"messages": [{"role": "user", "content": "x" * size}]}, **about)


async def counted(stores: Stores, tenant: str = "default") -> dict[str, int]:
    """What each session keeps; the sum is theirs, and each is to be forgotten."""
    found = await reply(stores.queue.hgetall(keys.kept_bytes(tenant)))
    by_session = {name.decode(): int(size) for name, size in found.items()}
    assert by_session.pop("", 0) == sum(by_session.values())
    assert set(await stores.queue.zrange(keys.kept_until(tenant), 0, -1)) == {s.encode() for s in by_session}
    return by_session


async def size_of_start(api: Api, live: LiveTurn) -> int:
    entries = await turn_entries(api.stores, live.turn)
    assert isinstance(entries[0].event, TurnStarted)
    return kept_bytes.size_of([entries[0].event])


@in_loop
async def test_of_many_at_once_those_are_let_in_that_there_is_room_for(real: Backend) -> None:
    async with open_api(real.settings(), Limits(kept_bytes=10**9)) as api:
        size = await size_of_start(api, await api.start.run(saying("a0", tenant="measured")))
    limits = Limits(kept_bytes=3 * size + size // 2)
    async with open_api(real.settings(), limits) as one, open_api(real.settings(), limits) as two:
        starts = [(one, two)[n % 2].start.run(saying(f"s{n}")) for n in range(10)]
        answers = await asyncio.gather(*starts, return_exceptions=True)
        codes = [each.code for each in answers if isinstance(each, FastReplyError)]
        assert codes == ["storage_limit"] * 7
        sizes = await counted(one.stores)
        assert len(sizes) == 3 and all(abs(each - size) < 50 for each in sizes.values())
        assert isinstance(await one.start.run(saying("a1", tenant="other")), LiveTurn)


@in_loop
async def test_a_refusal_says_why_and_takes_nothing(valkey: Backend) -> None:
    settings = valkey.settings(retention_s=600)
    async with open_api(settings, Limits(kept_bytes=15_000, live_turns=9, turns_per_minute=9)) as api:
        await api.start.run(saying("first"))
        before = await counted(api.stores)
        refused = await refusal(api, saying("second"))
        assert (refused.status, refused.code, refused.kind) == (429, "storage_limit", "requests")
        assert "15000 bytes" in str(refused)
        assert 600 <= (refused.retry_after_s or 0) <= 661  # when the first one's log is gone
        assert await counted(api.stores) == before
        assert await api.stores.queue.zcard(keys.turn_starts("default")) == 1
        assert await reply(api.stores.queue.hlen(keys.held_bytes("default"))) == 1
        with pytest.raises(RateLimited):
            await api.start.run(saying("first"))  # what is there already may not grow either
        api.directory.limits = Limits(kept_bytes=0, live_turns=9)
        await api.start.run(saying("second"))


@in_loop
async def test_a_settled_turn_counts_about_as_the_store_holds_it(real: Backend) -> None:
    settings, long = real.settings(), "We open at nine, every day. " * 400
    model = Scripted(full=[answer(long)] * 4)
    async with (
        open_api(settings, Limits(kept_bytes=100 * MB)) as api,
        open_worker(settings, "full", model),
        open_settler(settings) as (stores, settler),
    ):
        for size in (10, 1_000, 100_000, MB):
            live = await api.start.run(saying(f"call {size}", size))
            held = (await counted(stores))[live.turn.session.quoted]
            assert held >= size
            await hear(live)
            await over(api, live)
            await settle_all(settler, stores)
            kept = (await counted(stores))[live.turn.session.quoted]
            there = await stores.log.memory_usage(keys.log(live.turn.session), samples=0)
            assert kept > held and 0.6 <= kept / there <= 1.7, (size, kept, there)
        assert not await stores.queue.exists(keys.held_bytes("default"))


async def settle_all(settler: SettlementJob, stores: Stores) -> None:
    async def done() -> bool:
        for member in await stores.queue.zrange(keys.UNSETTLED, 0, -1):
            await stores.queue.zadd(keys.UNSETTLED, {member: 1}, xx=True)
        await settler.settle()
        return not await stores.queue.zcard(keys.UNSETTLED)

    await until(done)


@in_loop
async def test_without_a_limit_it_is_counted_all_the_same(valkey: Backend) -> None:
    async with open_settler(valkey.settings()) as (stores, settler):
        turn = await have_ended(stores)
        await settler.settle()
        events = [entry.event for entry in await turn_entries(stores, turn)]
        assert await counted(stores, "acme") == {turn.session.quoted: kept_bytes.size_of(events)}
        assert await stores.queue.ttl(keys.kept_bytes("acme")) > 36_000
        await settler.settle()
        assert len(await counted(stores, "acme")) == 1
    async with open_api(valkey.settings(), Limits(kept_bytes=100)) as api:
        assert (await refusal(api, saying("new", 10, tenant="acme"))).code == "storage_limit"


@pytest.mark.parametrize(("record", "keeps"), [("full", True), ("redacted", True), ("none", False)])
@in_loop
async def test_words_that_are_not_kept_count_for_nothing(valkey: Backend, record: str, keeps: bool) -> None:
    async with open_settler(valkey.settings()) as (stores, settler):
        request = {"messages": [{"role": "user", "content": "x" * 50_000}]}
        await have_ended(stores, request=request, record=record)
        await settler.settle()
        (size,) = (await counted(stores, "acme")).values()
        assert (size > 50_000) is keeps and (size < 2_000) is not keeps


@in_loop
async def test_a_session_lapses_with_its_log_and_lives_with_its_last_turn(valkey: Backend) -> None:
    async with open_api(valkey.settings(), Limits(kept_bytes=40_000)) as api:
        queue = api.stores.queue
        for session in ("old", "used"):
            await api.start.run(saying(session))
        await queue.zadd(keys.kept_until("default"), {"old": 1})
        soon_ms = api.stores.queue_clock.now_ms() + 5_000
        await queue.zadd(keys.kept_until("default"), {"used": soon_ms})
        await api.start.run(saying("used", 10))
        assert set(await counted(api.stores)) == {"used"}
        later_ms = await queue.zscore(keys.kept_until("default"), "used")
        assert later_ms > soon_ms + 30_000_000  # its log stays as long after its last turn
        await api.start.run(saying("new"))


@in_loop
async def test_many_lapse_in_few_counts(valkey: Backend) -> None:
    async with open_api(valkey.settings(), Limits(kept_bytes=25_000)) as api:
        queue, old = api.stores.queue, {f"s{number}": 1_000 for number in range(250)}
        await reply(queue.hset(keys.kept_bytes("default"), mapping={**old, "": 250_000}))
        await queue.zadd(keys.kept_until("default"), dict.fromkeys(old, 1))
        for _ in range(2):  # so many at once at most that nobody waits for it
            assert (await refusal(api, saying("new"))).code == "storage_limit"
        await api.start.run(saying("new"))
        assert set(await counted(api.stores)) == {"new"}


@in_loop
async def test_what_is_deleted_or_replaced_makes_room(real: Backend) -> None:
    settings, model = real.settings(), Scripted(full=[answer("Nine.")] * 3)
    async with (
        open_api(settings, Limits(kept_bytes=25_000, sessions_kept=2)) as api,
        open_worker(settings, "full", model),
    ):
        for session in ("a", "b"):
            live = await api.start.run(saying(session))
            await hear(live)
            await over(api, live)
        assert (await refusal(api, saying("a"))).code == "storage_limit"
        assert await delete_session(api.stores, None, SessionRef("default", "a"))
        assert set(await counted(api.stores)) == {"b"}
        live = await api.start.run(saying("c"))
        await hear(live)
        await over(api, live)
        await api.start.run(saying("d", 10))  # takes the place of the oldest
        assert set(await counted(api.stores)) == {"c", "d"}


@in_loop
async def test_a_turn_that_comes_to_nothing_gives_it_back(real: Backend) -> None:
    async with open_api(real.settings(), Limits(kept_bytes=50_000)) as api:
        await api.start.run(saying("s1", 10))
        before = await counted(api.stores)
        live = await api.start.run(saying("s1"))
        assert (await counted(api.stores))["s1"] > before["s1"] + 10_000
        for _ in range(2):
            await api.admissions.release(live.turn)
            assert await counted(api.stores) == before
        gone = await api.start.run(saying("s2"))
        await api.admissions.release(gone.turn)
        assert await counted(api.stores) == before


@in_loop
async def test_a_deleted_sessions_turn_takes_nothing_from_a_new_one_of_its_name(real: Backend) -> None:
    """Else who deletes and begins anew would keep what he likes."""
    settings = real.settings()
    async with open_api(settings, Limits(kept_bytes=50_000)) as api, open_settler(settings) as (_, settler):
        await api.start.run(saying("s1", 20_000))
        assert await delete_session(api.stores, None, SessionRef("default", "s1"))
        assert await counted(api.stores) == {}
        await api.start.run(saying("s1"))
        before = await counted(api.stores)
        for member in await api.stores.queue.zrange(keys.UNSETTLED, 0, -1):
            await api.stores.queue.zadd(keys.UNSETTLED, {member: 1}, xx=True)
        await settler.settle()
        assert await counted(api.stores) == before
        assert await reply(api.stores.queue.hlen(keys.held_bytes("default"))) == 1


@in_loop
async def test_a_turn_of_which_nothing_is_known_counts_for_nothing(valkey: Backend) -> None:
    async with open_settler(valkey.settings()) as (stores, settler):
        turn = await have_turn(stores)
        await stores.log.delete(keys.log(turn.session))
        await bring_on(stores)
        await settler.settle()
        assert await counted(stores, "acme") == {} and turn == call()


@pytest.mark.parametrize("archived", [False, True])
@in_loop
async def test_trimmed_turns_are_given_back(
    real: Backend, session: SessionRef, tmp_path: Path, archived: bool
) -> None:
    settings = real.settings(archive_url=str(tmp_path) if archived else "", retention_events=4)
    async with keeping(settings) as (eyes, keeper), open_settler(settings) as (_, settler):
        for _ in range(4):
            await add_turn(eyes, session)
        await settle_all(settler, eyes)
        before = (await counted(eyes))[session.quoted]
        await keep(keeper, eyes)
        after = (await counted(eyes))[session.quoted]
        raw = await eyes.log.xrange(keys.log(session))
        assert len(raw) == 4 and 0.4 * before < after < 0.6 * before


@in_loop
async def test_archived_sessions_are_given_back(real: Backend, session: SessionRef, tmp_path: Path) -> None:
    settings = real.settings(archive_url=str(tmp_path), archive_after_s=0)
    async with keeping(settings) as (eyes, keeper), open_settler(settings) as (_, settler):
        await add_turn(eyes, session)
        await settle_all(settler, eyes)
        assert set(await counted(eyes)) == {session.quoted}
        assert await eyes.queue.zscore(keys.kept_until("default"), session.quoted) == 2**52
        await keep(keeper, eyes)
        assert await counted(eyes) == {} and not await eyes.log.exists(keys.log(session))


@in_loop
async def test_a_client_is_told_in_openais_shape(valkey: Backend) -> None:
    settings = Settings.model_validate(valkey.settings().model_dump())
    async with open_stores(settings) as stores, serving(settings) as client:
        await stores.sync_clocks()
        await add_tenant(stores, "default", profiles={}, limits={"kept_bytes": 5_000})
        client.headers.update(bearer(await add_key(stores, "default")))
        body = {"messages": [{"role": "user", "content": "x" * 6_000}], "stream": True}

        async def refused() -> Any:
            answer = await client.post("/v1/chat/completions", json=body)
            return answer if answer.status_code == 429 else None

        answer = await until(refused)
        error = answer.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("requests", "storage_limit", None)
        assert int(answer.headers["retry-after"]) >= 1


@in_loop
async def test_a_session_that_is_read_by_pages_stays_readable_at_its_largest(valkey: Backend) -> None:
    async with open_settler(valkey.settings()) as (stores, _):
        turn = await have_turn(stores)
        for number in range(20):
            request = {"messages": [{"role": "user", "content": "x" * MB}]}
            event = TurnStarted(f"turn1{number:03}", "p", request, {}, {}, "off", 1, 4)
            await append_now(stores, turn.session, event)
        sizes = [
            kept_bytes.size_of(entry.event for entry in page)
            async for page in Sessions(stores, None).entries(turn.session)
        ]
        assert sum(sizes) > 20 * MB and max(sizes[1:]) < 3 * MB
