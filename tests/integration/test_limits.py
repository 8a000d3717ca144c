"""A tenant's limits: exact however many ask at once on however many replicas."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from api.requests.turn_request import TurnRequest
from api.turns.live import LiveTurn
from common.errors import FastReplyError
from common.names import SessionRef
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, StoreUnavailable
from common.tenants.config import Limits
from common.tenants.usage import day_of
from tests.support.following import hear, over, refusal
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from tests.support.wiring import Api, ask, open_api, open_worker

WHOLE = "We open at nine. Every day."
FULL, DRAFT = 20, 40  # tokens of an answer at most
QUESTION = -(-len("When do you open?user") // 3)
ONE = 2 * QUESTION + FULL + DRAFT  # what a turn that is drafted reserves, where the draft's prompt is empty


def short(session: str | None = None, *, tenant: str = "default", **policy: Any) -> TurnRequest:
    """A turn whose answers may be no longer than this, in a session of its own."""
    asked = ask(session, **policy)
    return replace(asked, tenant=tenant, body={**asked.body, "max_tokens": FULL})


def settings_of(backend: Backend, **changes: Any) -> Settings:
    prompt = {"small_model_prompt": "p", "small_model_max_tokens": DRAFT}
    return backend.settings(**{**prompt, **changes})


async def started(api: Api, request: TurnRequest) -> LiveTurn | FastReplyError:
    """The turn, or what is said instead."""
    try:
        return await api.start.run(request)
    except FastReplyError as error:
        return error


def codes(answers: list[LiveTurn | FastReplyError]) -> Counter[str | None]:
    return Counter(each.code if isinstance(each, FastReplyError) else "started" for each in answers)


async def budget(stores: Stores, tenant: str = "default") -> dict[bytes, bytes]:
    day = day_of(stores.queue_clock.now_ms())
    found: dict[bytes, bytes] = await reply(stores.queue.hgetall(keys.tokens(tenant, day)))
    return found


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"turns_per_minute": 7}, "rate_limit_exceeded"),
        ({"live_turns": 7}, "too_many_live_turns"),
        ({"tokens_per_day": 8 * (ONE + 1) - 1}, "tokens_per_day_exceeded"),
        ({"sessions_kept": 7}, "too_many_sessions"),
    ],
)
@in_loop
async def test_of_many_at_once_exactly_so_many_are_let_in(
    real: Backend, limits: dict[str, int], code: str
) -> None:
    settings = settings_of(real)
    async with AsyncExitStack() as opened:
        apis = [await opened.enter_async_context(open_api(settings, Limits(**limits))) for _ in range(3)]
        answers = await asyncio.gather(*(started(apis[n % 3], short()) for n in range(40)))
        assert codes(answers) == {"started": 7, code: 33}
        stores = apis[0].stores
        assert await stores.queue.zcard(keys.live_turns("default")) == 7
        assert await stores.queue.zcard(keys.LEASES) == 7 + 14  # the turns' and the lanes'
        assert await stores.queue.zcard(keys.UNSETTLED) == 7
        assert await stores.queue.zcard(keys.sessions("default")) == 7
        other = await started(apis[1], short(tenant="other"))
        assert isinstance(other, LiveTurn), "another tenant's limits are its own"


@in_loop
async def test_all_is_taken_or_nothing(valkey: Backend) -> None:
    """What one limit refuses costs nothing of the others."""
    limits = Limits(turns_per_minute=10, live_turns=1, tokens_per_day=10_000, sessions_kept=10)
    async with open_api(settings_of(valkey), limits) as api:
        first = await api.start.run(short())
        for _ in range(3):
            assert (await refusal(api, short())).code == "too_many_live_turns"
        queue = api.stores.queue
        assert await queue.zrange(keys.turn_starts("default"), 0, -1) == [str(first.turn).encode()]
        assert await reply(queue.hlen(keys.reserved("default"))) == 1
        assert await queue.zcard(keys.sessions("default")) == 1
        assert await budget(api.stores) == {b"reserved": str(ONE + 1).encode()}


@in_loop
async def test_a_minute_slides(valkey: Backend) -> None:
    settings, limits = settings_of(valkey), Limits(turns_per_minute=3)
    async with open_api(settings, limits) as api:
        turns = [(await api.start.run(short())).turn for _ in range(3)]
        refused = await refusal(api, short())
        assert (refused.status, refused.code, refused.kind) == (429, "rate_limit_exceeded", "requests")
        assert refused.retry_after_s in (59, 60)

        async def started_ago(*seconds: float) -> None:
            now_ms = api.stores.queue_clock.now_ms()
            starts = {str(turn): now_ms - s * 1000 for turn, s in zip(turns, seconds, strict=True)}
            await api.stores.queue.zadd(keys.turn_starts("default"), starts)

        async with open_api(settings, limits) as fresh:  # it doesn't know yet that nothing is free
            await started_ago(50, 40.5, 10)
            assert (await refusal(fresh, short())).retry_after_s == 10
        async with open_api(settings, limits) as fresh:
            await started_ago(60.1, 40, 10)
            await fresh.start.run(short())
            assert (await refusal(fresh, short())).retry_after_s == 20
        async with open_api(settings, Limits(turns_per_minute=1)) as fresh:  # it was lowered
            assert (await refusal(fresh, short())).retry_after_s in (59, 60)


@in_loop
async def test_a_live_turn_that_ends_makes_room(real: Backend) -> None:
    settings, model = settings_of(real), Scripted(full=[answer(WHOLE)])
    async with open_api(settings, Limits(live_turns=1)) as api:
        live = await api.start.run(short("s1", drafting=False))
        refused = await refusal(api, short("s2"))
        assert (refused.code, refused.retry_after_s) == ("too_many_live_turns", 1)
        async with open_worker(settings, "full", model):
            await hear(live)
            await over(api, live)
            await api.start.run(short("s2", drafting=False))


@in_loop
async def test_who_speaks_again_needs_no_other_live_turn(valkey: Backend) -> None:
    async with open_api(settings_of(valkey), Limits(live_turns=2)) as api:
        await api.start.run(short("s1"))
        await api.start.run(short("s2"))
        await api.start.run(short("s1"))  # which ends the first
        assert (await refusal(api, short("s3"))).code == "too_many_live_turns"
        beside = replace(short("s1", barge_in=False), memory=False)
        assert (await refusal(api, beside)).code == "too_many_live_turns"


@in_loop
async def test_tokens_are_reserved_for_the_day(valkey: Backend) -> None:
    limits = Limits(tokens_per_day=1_000, answer_tokens=950)
    async with open_api(settings_of(valkey), limits) as api:
        live = await api.start.run(short())
        now = datetime.fromtimestamp(api.stores.queue_clock.now_ms() / 1000, UTC)
        held = await reply(api.stores.queue.hgetall(keys.reserved("default")))
        assert held == {str(live.turn).encode(): f"{now:%Y%m%d}:{ONE + 1}".encode()}
        refused = await refusal(api, ask(None, drafting=False))  # names no maximum: 950, and its question
        await api.start.run(replace(ask(None, drafting=False), body=_asking(max_completion_tokens=690)))
        assert refused.kind == "tokens"
        left_s = 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
        assert left_s - 60 <= (refused.retry_after_s or 0) <= left_s
        assert refused.headers["x-ratelimit-remaining-tokens"] == str(1_000 - ONE - 1)
        assert (await refusal(api, replace(ask(), body=_asking(max_tokens=100, n=3)))).kind == "tokens"


def _asking(**params: Any) -> dict[str, Any]:
    return {**ask().body, **params}


@in_loop
async def test_a_new_session_takes_the_place_of_the_oldest_at_rest(real: Backend) -> None:
    settings, model = settings_of(real), Scripted(full=[[asyncio.Event()], answer(WHOLE)])
    limits = Limits(sessions_kept=3)
    async with open_api(settings, limits) as api, open_api(settings, limits) as other:
        await api.start.run(short("busy", drafting=False))
        async with open_worker(settings, "full", model):
            await until(lambda: model.calls)
            for session in ("old", "young"):
                live = await other.start.run(short(session, drafting=False))
                await hear(live)
                await over(other, live)
        await other.start.run(short("old", drafting=False))  # it is there: it costs nothing
        stores = api.stores
        assert await stores.queue.zcard(keys.sessions("default")) == 3
        await api.start.run(short("new", drafting=False))
        gone = SessionRef("default", "young")
        assert set(await stores.queue.zrange(keys.sessions("default"), 0, -1)) == {b"busy", b"old", b"new"}
        assert await Sessions(stores, None).find(gone) is None
        await until(lambda: _is_gone(stores, gone))
        assert (await refusal(api, short("more"))).code == "too_many_sessions"


async def _is_gone(stores: Stores, session: SessionRef) -> bool:
    return not await stores.log.exists(keys.log(session))


@in_loop
async def test_a_replaced_sessions_name_begins_clean(real: Backend) -> None:
    settings, model = settings_of(real), Scripted(full=[answer("One."), answer("Two."), answer("Three.")])
    async with open_api(settings, Limits(sessions_kept=1)) as api, open_worker(settings, "full", model):
        for session in ("a", "b", "a"):
            live = await api.start.run(short(session, drafting=False))
            await hear(live)
            await over(api, live)
        kept = await Sessions(api.stores, None).turns(SessionRef("default", "a"))
        assert [turn.started.turn for turn in kept] == [live.turn.turn]
        assert [len(call.body["messages"]) for call in model.calls] == [1, 1, 1]


@in_loop
async def test_a_limit_of_sessions_that_was_lowered_is_reached(valkey: Backend) -> None:
    async with open_api(settings_of(valkey), Limits(sessions_kept=5)) as api:
        old = {f"old{number}": 1_000 + number for number in range(230)}
        await api.stores.queue.zadd(keys.sessions("default"), old)
        for left in (131, 32, 5, 5):
            await api.start.run(short())
            assert await api.stores.queue.zcard(keys.sessions("default")) == left


@in_loop
async def test_with_the_store_away_nobody_is_let_in(mortal: Backend, mortal_server: Any) -> None:
    settings = settings_of(mortal, redis_timeout_s=0.2)
    async with open_api(settings, Limits(turns_per_minute=5)) as api:
        mortal_server.kill()
        with pytest.raises(StoreUnavailable):
            await api.start.run(short())
