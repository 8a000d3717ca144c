"""What a session remembers from turn to turn, wherever its log is and whichever replica asks."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio.client import Pipeline

from api.requests.turn_request import TurnRequest
from common import driver
from common.errors import BadRequest
from common.events import Delta, TurnEnded, TurnInterrupted
from common.log.stream import append_now
from common.sessions.archive import ArchiveUnavailable, open_archive
from common.store import keys
from common.store.redis import Stores
from tests.support.following import hear, over
from tests.support.scripted_model import Scripted, Step, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events, lines_of
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import Api, ask, open_api, open_worker, open_workers
from workers.providers.base import Finish, ToolCallDelta

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event
Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def spoken(text: str) -> Message:
    return {"role": "assistant", "content": text}


def says(*messages: Message | str, session: str | None = "s1", **more: Any) -> TurnRequest:
    """A request of these messages; a text is the user's."""
    own = [user(m) if isinstance(m, str) else m for m in messages]
    asked = ask(session, drafting=False, **more.pop("policy", {}))
    return replace(asked, body={"messages": own}, **more)


async def finish(api: Api, request: TurnRequest) -> str:
    """Ask, and hear the answer until it is over."""
    live = await api.start.run(request)
    text, _ = await hear(live)
    await over(api, live)
    return text


def asked(model: Scripted) -> list[Message]:
    """What the full was asked last."""
    return list(model.of("full")[-1].body["messages"])


@in_loop
async def test_any_replica_remembers_the_same(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE), answer("Yes."), answer("Bye.")])
    async with open_worker(settings, "full", model), open_api(settings) as one, open_api(settings) as two:
        await finish(one, says({"role": "system", "content": "Be brief."}, "When?"))
        await finish(two, says("Sundays too?"))
        live = await one.start.run(says("Thanks."))
        await hear(live)
        before = [{"role": "system", "content": "Be brief."}, user("When?"), spoken(WHOLE)]
        before += [user("Sundays too?"), spoken("Yes.")]
        assert asked(model) == [*before, user("Thanks.")]
        assert live.started.remembered == len(before)
        assert (await events(one.stores, live.turn))[0] == live.started


@in_loop
async def test_who_speaks_in_between_is_remembered_as_far_as_he_was_heard(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[[*words("We open at ni"), HELD()], answer("Yes.")])
    async with open_worker(settings, "full", model), open_api(settings) as one, open_api(settings) as two:
        former = await one.start.run(says("When?"))
        await until(lambda: heard(former.outputs) == "We open at ni")
        await finish(two, says("And Sundays?"))
        text, ending = await hear(former)
        assert (text, ending.reason) == ("We open at ni", "superseded")
        assert asked(model) == [user("When?"), spoken(text), user("And Sundays?")]
        assert await count(one.stores, former.turn, TurnInterrupted, by="next_turn") == 1
        assert (await over(one, former)).released == len(text)


@in_loop
async def test_no_word_is_said_behind_the_back_of_the_next_turn(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that speaks while the next turn looks back: what is remembered is what was heard."""
    settings, interrupt = real.settings(), driver.interrupt
    model = Scripted(full=[[*words("We open"), HELD()], answer("Yes.")])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        former = await api.start.run(says("When?"))
        await until(lambda: heard(former.outputs) == "We open")

        async def late(stores: Stores, *args: Any) -> bool:
            text = Delta(former.turn.turn, "full", 1, len("We open"), " at nine.", 0)
            await append_now(stores, former.turn.session, text)
            return await interrupt(stores, *args)

        monkeypatch.setattr(driver, "interrupt", late)
        await finish(api, says("And?"))
        assert (await hear(former))[0] == "We open at nine."
        assert asked(model) == [user("When?"), spoken("We open at nine."), user("And?")]


@in_loop
async def test_turns_that_may_both_go_on_do(real: Backend) -> None:
    settings, spoke = real.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoke, *answer(" at nine.")], answer("Yes.")])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        former = await api.start.run(says("When?", policy={"barge_in": False}))
        await until(lambda: heard(former.outputs) == "We open")
        await finish(api, says("And?", policy={"barge_in": False}))
        assert asked(model) == [user("When?"), spoken("We open"), user("And?")]
        spoke.set()
        text, ending = await hear(former)
        assert (text, ending.reason) == ("We open at nine.", "stop")


@in_loop
async def test_what_was_heard_may_be_told_after_the_end(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask("s1"))
        text, _ = await hear(live)
        await over(api, live)
        await driver.interrupt(api.stores, live.turn, "client", heard=20)
        await finish(api, says("What?"))
        assert asked(model)[1:] == [spoken(text[:20].strip()), user("What?")]


@pytest.mark.parametrize(
    "mode, own, wish, remembers",
    [
        ("auto", [user("And?")], None, True),
        ("auto", [spoken("Hi."), user("And?")], None, False),
        ("auto", [spoken("Hi."), user("And?")], True, True),
        ("auto", [user("And?")], False, False),
        ("off", [user("And?")], None, False),
        ("off", [user("And?")], True, True),
        ("on", [spoken("Hi."), user("And?")], None, True),
        ("on", [user("And?")], False, False),
    ],
)
@in_loop
async def test_it_is_remembered_where_it_is_wanted(
    valkey: Backend, mode: str, own: list[Message], wish: bool | None, remembers: bool
) -> None:
    settings, model = valkey.settings(memory=mode), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        await finish(api, says("When?"))
        await finish(api, says(*own, memory=wish))
        past = [user("When?"), spoken(WHOLE)] if remembers else []
        assert asked(model) == [*past, *own]


@in_loop
async def test_only_so_much_and_only_so_long(valkey: Backend) -> None:
    model = Scripted(full=[answer("Yes.")])
    brief, late = valkey.settings(max_context_messages=3), valkey.settings(context_expiry_hours=0)
    async with open_worker(brief, "full", model), open_api(brief) as api, open_api(late) as forgetful:
        for text in ("One?", "Two?", "Three?"):
            await finish(api, says(text))
        assert asked(model) == [user("Two?"), spoken("Yes."), user("Three?")]
        await finish(api, says("Hello?", session="s2"))
        assert asked(model) == [user("Hello?")]
        await finish(forgetful, says("Four?"))
        assert asked(model) == [user("Four?")]


@in_loop
async def test_tools_answers_go_on_with_the_session(real: Backend) -> None:
    settings = real.settings()
    calls: list[Step] = [ToolCallDelta(0, "c1", "pay", "{}"), Finish("tool_calls")]
    model = Scripted(full=[calls, answer("Paid.")])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        await finish(api, says("Pay."))
        done = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
        await finish(api, says(done))
        function = {"name": "pay", "arguments": "{}"}
        called = [{"id": "c1", "type": "function", "function": function}]
        asked_for = {"role": "assistant", "content": None, "tool_calls": called}
        assert asked(model) == [user("Pay."), asked_for, done]


@in_loop
async def test_a_long_answer_is_remembered_whole(real: Backend) -> None:
    settings, long = real.settings(), "".join(f" word{number}" for number in range(600)).strip()
    model = Scripted(full=[answer("Yes.")])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(says("One?"))
        await hear(live)
        await over(api, live)
        again = replace(live.started, turn="bbbbbbbbbbbb")
        text = [Delta(again.turn, "full", 0, at, long[at : at + 6], 0) for at in range(0, len(long), 6)]
        ended = TurnEnded(again.turn, "stop", len(long), {}, "", False, None)
        await append_now(api.stores, live.turn.session, again, *text, ended)
        await finish(api, says("Two?"))
        assert asked(model)[-2:] == [spoken(long), user("Two?")]


async def archive_it(api: Api, url: str, request: TurnRequest) -> None:
    """Let a turn pass, and move its session to the archive."""
    live = await api.start.run(request)
    await hear(live)
    await over(api, live)
    archive = open_archive(url)
    assert archive
    lines = await lines_of(api.stores, live.turn.session)
    await archive.write(live.turn.session, lines)
    await api.stores.log.delete(keys.log(live.turn.session))


@in_loop
async def test_an_archived_session_is_remembered(real: Backend, tmp_path: Path) -> None:
    settings, model = real.settings(archive_url=str(tmp_path)), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        await finish(api, says("Before."))
        await archive_it(api, str(tmp_path), says("When?"))
        past = [user("Before."), spoken(WHOLE), user("When?"), spoken(WHOLE)]
        await finish(api, says("And?"))
        assert asked(model) == [*past, user("And?")]


@in_loop
async def test_without_its_archive_a_session_goes_on_without_memory(
    valkey: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, model = valkey.settings(archive_url=str(tmp_path)), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        await archive_it(api, str(tmp_path), says("When?"))

        async def away(*_: Any) -> list[bytes]:
            raise ArchiveUnavailable(OSError("away"))

        monkeypatch.setattr("common.sessions.archive.Archive.read", away)
        await finish(api, says("And?"))
        assert asked(model) == [user("And?")]


@in_loop
async def test_nothing_comes_back_of_a_deleted_session(real: Backend, tmp_path: Path) -> None:
    settings, model = real.settings(archive_url=str(tmp_path)), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(says("When?"))
        await hear(live)
        await over(api, live)
        session, queue = live.turn.session, api.stores.queue
        await queue.zrem(keys.sessions(session.tenant), session.quoted)  # and killed before the log was gone
        now_ms = api.stores.log_clock.now_ms()
        await queue.zadd(keys.deleted(session.tenant), {session.quoted: now_ms + 1_000})
        await finish(api, says("And?"))
        assert asked(model) == [user("And?")]
        await finish(api, says("And?"))
        assert asked(model) == [user("And?")]


@in_loop
async def test_a_turn_of_an_unknown_fold_leaves_what_was_asked(valkey: Backend) -> None:
    settings, model = valkey.settings(), Scripted(full=[answer(WHOLE)])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(says("One?"))
        await hear(live)
        await over(api, live)
        await append_now(api.stores, live.turn.session, replace(live.started, turn="bbbbbbbbbbbb", fold=99))
        await finish(api, says("Two?"))
        assert asked(model) == [user("One?"), user("Two?")]


@contextmanager
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[str]]]:
    """The batches that go to the log meanwhile, each with its commands."""
    taken, execute = list[set[str]](), Pipeline.execute

    async def noted(pipe: Any, *args: Any, **more: Any) -> Any:
        commands = {command[0] for command, _ in pipe.command_stack}
        if commands & {"XADD", "XREVRANGE", "ZSCORE"}:
            taken.append(commands)
        return await execute(pipe, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", noted)
        yield taken


@in_loop
async def test_remembering_costs_one_round_trip(valkey: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(valkey.settings()) as api:
        for session, count_ in ((None, 1), ("s1", 2), ("s1", 2)):
            with round_trips(monkeypatch) as taken:
                await api.start.run(says("When?", session=session, policy={"barge_in": False}))
            assert len(taken) == count_, taken
            if session:
                assert {"XREVRANGE", "ZSCORE"} <= taken[0]


@in_loop
async def test_a_request_without_messages_goes_on_with_its_session(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[answer(WHOLE), answer("And at six we close.")])
    async with open_workers(settings, model), open_api(settings) as api:
        await finish(api, says("When do you open?"))
        await finish(api, says())
        assert asked(model) == [user("When do you open?"), spoken(WHOLE)]
        for nothing in (says(session="s2"), says(session="s1", memory=False)):
            with pytest.raises(BadRequest, match="messages"):
                await api.start.run(nothing)
