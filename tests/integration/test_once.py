"""A request that is sent again: it joins its turn, whoever started it, however far that one came."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from redis.asyncio.client import Pipeline

from api.requests.idempotency import name_key
from api.requests.turn_request import TurnRequest
from common import driver
from common.errors import Conflict
from common.names import SessionRef, TurnRef
from common.sessions.deletion import delete_session
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, StoreUnavailable, open_stores
from tests.support.following import hear, over
from tests.support.killed_starts import start_and_die
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import lapse, lease_of, left_behind
from tests.support.tcp_proxy import log_behind_proxy
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event
SESSION = SessionRef("default", "s1")


def once(text: str = "When?", *, session: str | None = "s1", key: str = "k1", **policy: Any) -> TurnRequest:
    """A request that may be sent again."""
    asked = ask(session, drafting=False, **policy)
    body = {"messages": [{"role": "user", "content": text}]}
    return replace(asked, body=body, idempotency=name_key(body, key, None, in_session=session is not None))


async def turns_of(stores: Stores, session: SessionRef) -> list[str]:
    """The turns that the log of a session has seen start."""
    raw = await stores.log.xrange(keys.log(session))
    return [orjson.loads(fields[b"turn.started"])["turn"] for _, fields in raw if b"turn.started" in fields]


async def _only_what_expires(stores: Stores) -> bool:
    """Whether nothing is left but marks, and the word of who lost that its turn is followed."""
    left = await left_behind(stores)
    return all(key.startswith("fr:cancelled:") or key == keys.FOLLOWED for key in left)


@in_loop
async def test_twenty_at_once_on_two_replicas_are_one_turn(real: Backend) -> None:
    settings, model = real.settings(), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as one, open_api(settings) as two:
        lives = await asyncio.gather(*((one, two)[n % 2].start.run(once()) for n in range(20)))
        assert {(await hear(live))[0] for live in lives} == {WHOLE}
        assert len({live.turn for live in lives}) == 1
        assert await turns_of(one.stores, lives[0].turn.session) == [lives[0].turn.turn]
        assert len(model.calls) == 1
        await over(one, lives[0])
        await until(lambda: _only_what_expires(one.stores))


@in_loop
async def test_a_running_turn_is_joined_and_a_finished_one_given_again(real: Backend) -> None:
    settings, spoke = real.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoke, *answer(" at nine. Every day.")]])
    async with open_worker(settings, "full", model), open_api(settings) as one, open_api(settings) as two:
        first = await one.start.run(once())
        await until(lambda: heard(first.outputs) == "We open")
        joined = await two.start.run(once())
        assert heard(joined.outputs) == "We open" and not joined.fold.ending
        spoke.set()
        assert (await hear(first))[0] == (await hear(joined))[0] == WHOLE
        await over(one, first)
        for api in (one, two):
            again = await api.start.run(once())
            assert again.turn == first.turn and (await hear(again))[0] == WHOLE
        assert len(model.calls) == 1


@in_loop
async def test_a_turn_that_ends_as_it_is_taken_over_leaves_no_lease(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, spoke, read = real.settings(), asyncio.Event(), Sessions.turn
    model = Scripted(full=[[*words("We open"), spoke, *answer(" at nine. Every day.")]])
    async with open_worker(settings, "full", model), open_api(settings) as one, open_api(settings) as two:
        first = await one.start.run(once())

        async def read_early(self: Sessions, turn: TurnRef) -> Any:
            entries = await read(self, turn)
            spoke.set()
            await hear(first)
            await over(one, first)
            return entries

        monkeypatch.setattr(Sessions, "turn", read_early)
        assert (await hear(await two.turns.attach(first.turn)))[0] == WHOLE
        await until(lambda: _only_what_expires(one.stores))


@in_loop
async def test_an_interrupted_turn_is_given_again_as_it_was(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[[*words("We open"), HELD()], answer("Yes.")])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        first = await api.start.run(once())
        await until(lambda: heard(first.outputs) == "We open")
        await driver.interrupt(api.stores, first.turn, "client", heard=2)
        await over(api, first)
        text, ending = await hear(await api.start.run(once()))
        assert (text, ending.reason) == ("We open", "interrupted")
        other = await api.start.run(once("And?", key="k2"))
        assert (await hear(other))[0] == "Yes."
        assert model.calls[-1].body["messages"][1]["content"] == "We"


@in_loop
async def test_a_retry_stops_nothing(real: Backend) -> None:
    """It is no next turn of its session, whose memory it doesn't touch."""
    settings, model = real.settings(), Scripted(full=[answer("Yes."), [*words("We open"), HELD()]])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        await hear(await api.start.run(once("One?")))
        last = await api.start.run(once("Two?", key="k2"))
        await until(lambda: heard(last.outputs) == "We open")
        former = await api.start.run(once("One?"))
        assert (await hear(former))[0] == "Yes."
        again = await api.start.run(once("Two?", key="k2"))
        assert again.turn == last.turn and again.fold.ending is None
        assert len(await turns_of(api.stores, last.turn.session)) == 2


@in_loop
async def test_the_same_key_with_another_request_is_refused(real: Backend) -> None:
    async with open_api(real.settings()) as api:
        first = await api.start.run(once())
        with pytest.raises(Conflict) as refused:
            await api.start.run(once("And Sundays?"))
        assert (refused.value.status, refused.value.code) == (409, "idempotency_key_reused")
        assert await turns_of(api.stores, first.turn.session) == [first.turn.turn]
        elsewhere = await api.start.run(once("And Sundays?", session="s2"))
        assert elsewhere.turn.session.session == "s2"
        assert first.fold.ending is None


@in_loop
async def test_without_a_session_the_key_names_one(real: Backend) -> None:
    async with open_api(real.settings()) as one, open_api(real.settings()) as two:
        first = await one.start.run(once(session=None))
        again = await two.start.run(once(session=None))
        other = await two.start.run(once(session=None, key="k2"))
        assert again.turn == first.turn and other.turn.session != first.turn.session
        with pytest.raises(Conflict):
            await two.start.run(once("Another?", session=None))


@in_loop
async def test_a_start_whose_answer_was_lost_is_found_again(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, model = real.settings(), Scripted(full=[answer(WHOLE)])
    execute = Pipeline.execute

    async def lose(pipe: Any, *args: Any, **more: Any) -> Any:
        begins = any(command[0] == "XADD" and "turn.started" in command for command, _ in pipe.command_stack)
        replies = await execute(pipe, *args, **more)
        if begins:
            raise ConnectionError("lost")
        return replies

    async with open_api(settings) as api:
        with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
            patch.setattr(Pipeline, "execute", lose)
            await api.start.run(once())
        async with open_worker(settings, "full", model):
            again = await api.start.run(once())
            assert (await hear(again))[0] == WHOLE
            assert await turns_of(api.stores, again.turn.session) == [again.turn.turn]


@in_loop
async def test_an_index_that_was_asked_too_early_starts_nothing_twice(
    two_servers: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api(two_servers.settings()) as api:
        first, find, asked = await api.start.run(once()), Sessions.find, list[SessionRef]()

        async def early(sessions: Sessions, session: SessionRef) -> Any:
            asked.append(session)
            return None if len(asked) == 1 else await find(sessions, session)

        monkeypatch.setattr(Sessions, "find", early)
        assert (await api.start.run(once())).turn == first.turn


@in_loop
async def test_a_deleted_sessions_keys_are_free(real: Backend) -> None:
    settings, model = real.settings(), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        for number in range(3):
            live = await api.start.run(once(f"Call {number}"))
            assert (await hear(live))[0] == WHOLE
            second = await api.start.run(once(f"Call {number}!", key="k2"))
            assert (await hear(second))[0] == WHOLE
            await over(api, live)
            await over(api, second)
            now_ms = api.stores.log_clock.now_ms()
            await until(lambda ms=now_ms: api.stores.log_clock.now_ms() > ms)
            await delete_session(api.stores, None, live.turn.session)
            now_ms = api.stores.log_clock.now_ms()
            await until(lambda ms=now_ms: api.stores.log_clock.now_ms() > ms + 2)
        assert len(model.calls) == 6


@in_loop
async def test_a_key_is_kept_as_long_as_its_log(valkey: Backend) -> None:
    settings = valkey.settings(retention_s=100)
    async with open_api(settings) as api:
        live = await api.start.run(once())
        assert 90 < await api.stores.log.ttl(keys.idempotency(live.turn.session, "Idempotency-Key:k1")) <= 100
        request = once()
        counted = name_key({**request.body, "turn_id": 1}, None, None, in_session=True)
        assert counted is not None
    async with open_api(valkey.settings()) as api:  # the next call in Agora's channel counts anew
        live = await api.start.run(replace(request, idempotency=counted))
        assert 590 < await api.stores.log.ttl(keys.idempotency(live.turn.session, counted.key)) <= 600


async def retry_after_death(backend: Backend, round_trips: int, started_by: int) -> None:
    settings = backend.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    session = SessionRef("default", "s1")
    async with open_stores(settings) as eyes:
        dead = (await start_and_die(backend, round_trips, key="k1")).turn
        began = await turns_of(eyes, session)
        assert began == ([dead] if round_trips >= started_by else [])
        asked = ask("s1")
        request = replace(asked, idempotency=name_key(asked.body, "k1", None, in_session=True))
        async with (
            open_worker(settings, "full", model) as sweeper,
            open_worker(settings, "draft", model, name="w:2"),
            open_api(settings) as api,
        ):
            live = await api.start.run(request)
            assert (await hear(live))[0].endswith(WHOLE)
            assert await turns_of(eyes, session) == [live.turn.turn]
            assert (live.turn.turn == dead) == bool(began)
            assert len(model.of("full")) == 1 and len(model.of("draft")) <= 1  # a quick full needs none
            await over(api, live)
            if await lease_of(eyes, TurnRef(session, dead)) is not None:
                await lapse(eyes, TurnRef(session, dead))
                await sweeper.sweep_now()
            await until(lambda: _only_what_expires(eyes))


@pytest.mark.parametrize("round_trips", range(5))
@in_loop
async def test_on_one_server_a_retry_goes_on_where_its_starter_died(
    valkey: Backend, round_trips: int
) -> None:
    await retry_after_death(valkey, round_trips, started_by=4)


@pytest.mark.parametrize("round_trips", range(8))
@in_loop
async def test_on_two_servers_a_retry_goes_on_where_its_starter_died(
    two_servers: Backend, round_trips: int
) -> None:
    await retry_after_death(two_servers, round_trips, started_by=6)


@pytest.mark.parametrize("memory", [False, True])
@in_loop
async def test_the_retry_of_a_start_that_nobody_heard_of_starts_anew(real: Backend, memory: bool) -> None:
    """The reply to it was lost, and nobody came again before the sweep stopped it."""
    model = Scripted(full=[answer(WHOLE)])
    async with log_behind_proxy(real) as (proxy, settings), open_api(settings) as api:
        asked = replace(once(), memory=memory)
        proxy.lose_reply_to(b"turn.started", and_go=True)
        with pytest.raises(StoreUnavailable):
            await api.start.run(asked)
        proxy.mend()
        (lost,) = await turns_of(api.stores, SESSION)
        async with open_worker(settings, "draft", model, name="w:sweeps") as sweeper:
            await lapse(api.stores, TurnRef(SESSION, lost))
            await sweeper.sweep_now()
        async with open_worker(settings, "full", model):
            live = await api.start.run(asked)
            assert live.turn.turn != lost
            assert (await hear(live))[0] == WHOLE
            again = await api.start.run(asked)
            assert again.turn == live.turn
        assert all(call.body["messages"] == asked.body["messages"] for call in model.calls)


@pytest.mark.parametrize(
    "by, spoken", [("client", ""), ("next_turn", ""), ("sweep", "We open"), ("disconnect", "We")]
)
@in_loop
async def test_what_was_heard_or_stopped_on_purpose_is_not_asked_again(
    valkey: Backend, by: str, spoken: str
) -> None:
    settings, model = valkey.settings(), Scripted(full=[[*words(spoken), HELD()]])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(once())
        await until(lambda: model.calls and live.text == spoken)
        await live.interrupt(by)
        await until(lambda: live.closed.is_set())
        assert (await api.start.run(once())).turn == live.turn
        assert len(model.calls) == 1
