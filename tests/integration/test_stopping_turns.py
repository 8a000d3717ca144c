"""A turn stopped: by its client, the caller who speaks, everybody's leaving, its session's deletion."""

import asyncio
from typing import Any

import pytest

from api.turns.followers import Followers
from common.events import TurnEnded, TurnInterrupted
from common.names import TurnRef
from common.sessions.deletion import delete_session
from common.store import keys
from common.store.redis import Stores
from tests.support.following import hear, over
from tests.support.replicas import SSE, Answer, asked, cursor, hear_rest, resumed, two_replicas
from tests.support.scripted_model import Scripted, answer, words
from tests.support.served_api import code_of
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events
from tests.support.waiting import end, in_loop, until
from tests.support.wiring import ask, open_api, open_workers

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event


@pytest.mark.parametrize("path", ["{turn}/cancel", "/v1/sessions/s1/cancel"])
@in_loop
async def test_cancelling_acts_from_any_replica_and_once(real: Backend, path: str) -> None:
    model = Scripted(draft=[[*words("Let me see."), HELD()]], full=[[HELD()]])
    async with two_replicas(real.settings(renew_s=600), model) as two:
        async with asked(two.first) as whole:
            await whole.read(b"see.")
            await until(lambda: len(model.calls) == 2)
            path = path.format(turn=whole.path)
            replies = await asyncio.gather(*(two.second.post(path) for _ in range(5)))
            assert {(r.status_code, r.json()["status"], r.json()["reason"]) for r in replies} == {
                (200, "ended", "interrupted")
            }
            await whole.read()
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        again = await two.first.post(path)
        assert (again.status_code, again.json()["id"]) == (200, whole.turn.turn)
        stops = await count(two.stores, whole.turn, TurnInterrupted)
        assert 1 <= stops <= 5
        assert code_of(await two.first.post("/v1/sessions/nobody/cancel")) == (404, "session_not_found")


@pytest.mark.parametrize(
    ("body", "chars"),
    [({}, -1), (None, -1), ({"heard": "we OPEN"}, 7), ({"heard_chars": 4}, 4), ({"heard_ms": 500}, 7)],
)
@in_loop
async def test_an_interruption_tells_how_much_was_heard(valkey: Backend, body: Any, chars: int) -> None:
    model = Scripted(full=[[*words("We open at nine."), HELD()]])
    async with two_replicas(valkey.settings(), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"nine.")
            reply = (
                await two.second.post(f"{whole.path}/interrupt", json=body)
                if body is not None
                else (await two.second.post("/v1/sessions/s1/interrupt"))
            )
            assert (reply.status_code, reply.json()["reason"]) == (200, "interrupted")
            await whole.read()
        (told,) = [e for e in await events(two.stores, whole.turn) if isinstance(e, TurnInterrupted)]
        assert (told.by, told.heard) == ("client", chars)
        late = await two.second.post(f"{whole.path}/interrupt", json={"heard_chars": 2})
        assert (late.status_code, late.json()["reason"]) == (200, "interrupted")
        told = [e for e in await events(two.stores, whole.turn) if isinstance(e, TurnInterrupted)][-1]
        assert told.heard == 2


@pytest.mark.parametrize(
    "body",
    [
        {"heard_chars": 17},
        {"heard_chars": -1},
        {"heard_chars": "3"},
        {"heard_chars": True},
        {"heard_ms": -0.5},
        {"heard_ms": 1e12},
        {"heard": "x" * 1_000_001},
        {"heard": "We", "heard_chars": 2},
        {"heard_chars": 1, "heard_ms": 2},
        {"what": 1},
        [],
    ],
)
@in_loop
async def test_what_cannot_have_been_heard_is_refused(valkey: Backend, body: Any) -> None:
    async with two_replicas(valkey.settings(), Scripted(full=[answer("We open at nine.")])) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read()
        reply = await two.second.post(f"{whole.path}/interrupt", json=body)
        assert reply.status_code == 400, reply.text
        assert not await count(two.stores, whole.turn, TurnInterrupted)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What replicas were told that asked whether a turn is followed elsewhere."""
    told: list[float] = []
    elsewhere_s = Followers.elsewhere_s

    async def looking(self: Followers, turn: TurnRef) -> float:
        told.append(await elsewhere_s(self, turn))
        return told[-1]

    monkeypatch.setattr(Followers, "elsewhere_s", looking)
    return told


@in_loop
async def test_none_stops_a_turn_that_is_followed_elsewhere(real: Backend, looked: list[float]) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with two_replicas(real.settings(resume_grace_s=0.05), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            resuming = two.second.stream("GET", whole.path, headers=SSE)
            response = await resuming.__aenter__()
        await until(lambda: looked)
        assert looked[0] > 0
        assert not await count(two.stores, whole.turn, TurnInterrupted)
        assert await Answer(response).read(b"open")
        await resuming.__aexit__(None, None, None)
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        assert await count(two.stores, whole.turn, TurnInterrupted, by="disconnect")
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        await until(lambda: _none_followed(two.stores))


@in_loop
async def test_a_client_that_leaves_the_second_replica_takes_nothing_from_the_first(
    real: Backend, looked: list[float]
) -> None:
    """The first has said from the start that the turn is followed there, long before its next renewal."""
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with two_replicas(real.settings(resume_grace_s=0), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            async with resumed(two.second, whole.path) as other:
                await other.read(b"open")
            await until(lambda: looked)
            spoken.set()
            assert b"[DONE]" in (await whole.read())[-1]
        assert min(looked) > 0 and not await count(two.stores, whole.turn, TurnInterrupted)


@in_loop
async def test_a_turn_that_was_followed_at_a_replica_that_died_is_stopped(valkey: Backend) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    settings = valkey.settings(resume_grace_s=0.01, turn_lease_s=0.5)
    async with open_workers(settings, model), open_api(settings) as api, open_api(settings) as other:
        live = await api.start.run(ask(drafting=False))
        there = await other.turns.attach(live.turn)
        following = asyncio.create_task(hear(there))
        await until(lambda: there.followers)
        await other.kill()
        api.turns.client_left(live)
        assert (await over(api, live)).reason == "interrupted"
        await end(following)


@in_loop
@pytest.mark.parametrize(
    "platform", [{}, {"context": {"channel": "c"}, "turn_id": 1}, {"X-Request-Id": "r1"}]
)
async def test_a_client_that_leaves_stops_the_turn_at_once(valkey: Backend, platform: dict[str, Any]) -> None:
    """Whatever grace there is for others; who closes the stream to cut in sends such ids, too."""
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with two_replicas(valkey.settings(resume_grace_s=600), model) as two:
        two.first.headers.update({k: v for k, v in platform.items() if k.startswith("X-")})
        fields = {k: v for k, v in platform.items() if not k.startswith("X-")}
        async with asked(two.first, useProgressiveResponse=False, **fields) as whole:
            await whole.read(b"open")
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        assert await count(two.stores, whole.turn, TurnInterrupted, by="disconnect")
        await until(lambda: all(call.ended == "closed" for call in model.calls))


@pytest.mark.parametrize("sign", ["says so", "an Idempotency-Key", "went on by GET", "went on at the other"])
@in_loop
async def test_a_client_that_comes_back_has_a_grace(valkey: Backend, sign: str) -> None:
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with two_replicas(valkey.settings(resume_grace_s=600), model) as two:
        if sign == "an Idempotency-Key":
            two.first.headers["Idempotency-Key"] = "k1"
        says = {"fast_reply": {"on_disconnect": "resume"}} if sign == "says so" else {}
        async with asked(two.first, useProgressiveResponse=False, **says) as whole:
            frames = list(await whole.read(b"open"))
            if sign.startswith("went on"):
                async with resumed(two.first if "GET" in sign else two.second, whole.path) as other:
                    await other.read(b"open")
        until_ms = await until(lambda: two.stores.queue.zrange(keys.FOLLOWED, 0, -1, withscores=True))
        assert max(ms for _, ms in until_ms) > two.stores.queue_clock.now_ms() + 60_000
        spoken.set()
        rest = await hear_rest(two.second, whole.path, cursor(frames[-1]))
        assert b"[DONE]" in rest[-1]
        assert not await count(two.stores, whole.turn, TurnInterrupted)


@in_loop
async def test_the_last_of_several_clients_stops_the_turn(valkey: Backend) -> None:
    """Two pages read along by the same retry key of a platform; the turn goes on for whoever is left."""
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *words(" at nine."), HELD()]])
    async with two_replicas(valkey.settings(resume_grace_s=600), model) as two:
        for each in (two.first, two.second):
            each.headers["X-Request-Id"] = "r1"
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            async with asked(two.second, useProgressiveResponse=False) as again:
                assert again.turn == whole.turn
                await again.read(b"open")
            spoken.set()
            await whole.read(b"nine")
            assert not await count(two.stores, whole.turn, TurnInterrupted)
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        assert len(model.calls) == 1


@in_loop
async def test_a_request_may_say_that_its_turn_goes_on_without_its_client(valkey: Backend) -> None:
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with two_replicas(valkey.settings(resume_grace_s=0), model) as two:
        going_on = {"on_disconnect": "continue"}
        async with asked(two.first, useProgressiveResponse=False, fast_reply=going_on) as whole:
            frames = list(await whole.read(b"open"))
        spoken.set()
        rest = await hear_rest(two.second, whole.path, cursor(frames[-1]))
        assert b"[DONE]" in rest[-1]
        assert not await count(two.stores, whole.turn, TurnInterrupted)


@pytest.mark.parametrize("told", ["in order", "only by the log"])
@in_loop
async def test_a_deleted_sessions_clients_hear_the_end_everywhere(real: Backend, told: str) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with two_replicas(real.settings(), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            async with resumed(two.second, whole.path) as other:
                await other.read(b"open")
                if told == "in order":
                    await delete_session(two.stores, None, whole.session)
                else:
                    await two.stores.log.delete(keys.log(whole.session))
                ends = [(await each.read())[-3:] for each in (whole, other)]
        for error, _, done in ends:
            assert b"[DONE]" in done
            if told != "in order":
                assert b"session_deleted" in error
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        assert not await two.stores.log.exists(keys.log(whole.session))


async def _none_followed(stores: Stores) -> bool:
    return not await stores.queue.zcard(keys.FOLLOWED)
