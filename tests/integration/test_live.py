"""A live turn on a replica, with workers behind it: what is released, to whom, and how it ends."""

import asyncio
from typing import Any

import pytest

from common import driver
from common.events import LaneFinished, LaneStarted, TimerFired, TurnEnded, TurnInterrupted
from common.names import TurnRef
from common.store.redis import Stores
from common.turn.commands import Command, StopLane
from common.turn.fold import Fold
from common.turn.outputs import Output, TurnEnding
from tests.support.following import hear, nothing_left, only_marks_left, over, stopped
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker, open_workers

WHOLE = "We open at nine. Every day."
DRAFT = "Let me see."
HELD = asyncio.Event


@in_loop
async def test_a_turn_is_drafted_handed_over_and_ended_once(real: Backend) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(draft=[answer(DRAFT)], full=[[spoken, *answer(WHOLE)]])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask())
        await until(lambda: heard(live.outputs) == DRAFT)
        spoken.set()
        text, ending = await hear(live)
        assert text == f"{DRAFT} {WHOLE}"
        assert (ending.reason, ending.degraded, ending.error) == ("stop", False, None)
        found = await over(api, live)
        assert found.usage["sum"]["total_tokens"] == 14
        assert await count(api.stores, live.turn, TurnEnded) == 1
        assert not api.reader._sessions
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_handing_over_stops_the_draft(real: Backend) -> None:
    settings, spoken = real.settings(renew_s=600), asyncio.Event()
    model = Scripted(draft=[[*words(DRAFT), HELD()]], full=[[spoken, *answer(WHOLE)]])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask())
        await until(lambda: heard(live.outputs) == DRAFT)
        spoken.set()
        await until(lambda: all(map(stopped, model.of("draft"))))
        assert (await hear(live))[0] == f"{DRAFT} {WHOLE}"
        await until(lambda: count(api.stores, live.turn, LaneFinished, lane="draft", reason="cancelled"))
        await over(api, live)
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_all_followers_get_the_same_whenever_they_come(real: Backend) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(
        draft=[answer(DRAFT)], full=[[*words("We open at nine."), spoken, *answer(" Every day.")]]
    )
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask())
        early = [asyncio.create_task(hear(live)) for _ in range(3)]
        await until(lambda: "nine." in heard(live.outputs))
        midway = asyncio.create_task(hear(live))
        spoken.set()
        answers = [await each for each in (*early, midway)]
        await over(api, live)
        answers.append(await hear(live))
        assert all(each == answers[0] for each in answers)
        assert answers[0][0].endswith(WHOLE)
        assert live.followers == 0


@in_loop
async def test_a_stalled_follower_holds_nobody_up(real: Backend) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine. Every day.")]])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        stalled = live.follow()
        got: list[Output] = list(await anext(aiter(stalled)))
        spoken.set()
        assert (await hear(live))[0] == WHOLE
        await over(api, live)
        assert heard(got) != WHOLE
        async for batch in stalled:
            got += batch
        assert heard(got) == WHOLE and isinstance(got[-1], TurnEnding)


@in_loop
async def test_a_later_turn_of_the_session_ends_the_former(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[[*words("Let me see."), HELD()]], full=[[HELD()], answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        former = await api.start.run(ask("s1"))
        await until(lambda: heard(former.outputs) == DRAFT)
        await until(lambda: len(model.calls) == 2)
        later = await api.start.run(ask("s1", drafting=False))
        assert (await hear(former))[1].reason == "superseded"
        assert (await hear(later))[0] == WHOLE
        assert (await over(api, former)).reason == "superseded"
        assert (await over(api, later)).reason == "stop"
        await until(lambda: all(map(stopped, model.calls[:2])))
        assert not api.reader._sessions
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_turns_started_at_once_all_get_their_endings(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to the first one's start comes after those to the later ones'."""
    settings, all_began = real.settings(redis_timeout_s=60), asyncio.Event()
    spoken = asyncio.Event()
    model = Scripted(full=[[HELD()], [HELD()], [*words("We open"), spoken, *answer(" at nine. Every day.")]])
    async with open_workers(settings, model), open_api(settings) as api:
        write = api.starter.commit

        async def slow(*turn: Any, **also: Any) -> Any:
            entry = await write(*turn)
            await all_began.wait()
            return entry

        monkeypatch.setattr(api.starter, "commit", slow)
        starting = asyncio.create_task(api.start.run(ask("s1", drafting=False)))
        await until(lambda: len(model.calls) == 1)
        monkeypatch.setattr(api.starter, "commit", write)
        second = await api.start.run(ask("s1", drafting=False))
        await until(lambda: len(model.calls) == 2)
        third = await api.start.run(ask("s1", drafting=False))
        await until(lambda: heard(third.outputs))
        all_began.set()
        first = await starting
        for former in (first, second):
            assert (await hear(former))[1].reason == "superseded"
        spoken.set()
        assert (await hear(third))[0] == WHOLE
        for live in (first, second, third):
            await over(api, live)
        await until(lambda: all(map(stopped, model.calls[:2])))
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_a_lane_is_told_to_stop_once_though_it_does_not_hear(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    perform = driver.perform

    async def telling(stores: Stores, turn: TurnRef, fold: Fold, command: Command, lease_ms: int) -> None:
        if isinstance(command, StopLane):
            told.append(command.lane)
        await perform(stores, turn, fold, command, lease_ms)

    monkeypatch.setattr(driver, "perform", telling)
    settings = valkey.settings()
    steps = [asyncio.Event() for _ in range(4)]
    script = [piece for step in steps for piece in (WHOLE, step)]
    model = Scripted(full=[[*script, *answer("Bye.")]])
    async with open_worker(settings, "full", model), open_api(settings) as api:  # and nobody drafts
        live = await api.start.run(ask())
        for number, step in enumerate(steps, start=1):
            await until(lambda number=number: heard(live.outputs) == WHOLE * number)
            step.set()
        await hear(live)
        await over(api, live)
    assert told == ["draft"]


@in_loop
async def test_a_client_that_does_not_come_back_ends_the_turn(real: Backend) -> None:
    settings = real.settings(resume_grace_s=600)
    model = Scripted(draft=[[*words(DRAFT), HELD()]], full=[[HELD()]])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask())
        await until(lambda: len(model.calls) == 2 and heard(live.outputs) == DRAFT)
        api.turns.client_left(live)
        assert (await over(api, live)).reason == "interrupted"
        assert await hear(live) == (DRAFT, live.fold.ending)
        assert await count(api.stores, live.turn, TurnInterrupted, by="disconnect") == 1
        await until(lambda: all(map(stopped, model.calls)))
        await until(lambda: nothing_left(api.stores))


@pytest.mark.parametrize("why", ["came back", "is to go on", "had all"])
@in_loop
async def test_a_client_that_leaves_does_not_end_a_turn_which(real: Backend, why: str) -> None:
    settings, spoken = real.settings(resume_grace_s=0.05), asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine. Every day.")]])
    async with open_workers(settings, model), open_api(settings) as api:
        policy = {"on_disconnect": "continue" if why == "is to go on" else "resume"}
        live = await api.start.run(ask(drafting=False, **policy))
        await until(lambda: heard(live.outputs))
        back = asyncio.create_task(hear(live)) if why == "came back" else None
        if why == "had all":
            spoken.set()
            await over(api, live)
        await asyncio.sleep(0)
        api.turns.client_left(live)
        await until(lambda: not any("_grant_grace" in repr(task) for task in api.turns._minded))
        spoken.set()
        assert (await over(api, live)).reason == "stop"
        assert heard(live.outputs) == WHOLE
        assert await count(api.stores, live.turn, TurnInterrupted) == 0
        if back:
            assert (await back)[0] == WHOLE


@in_loop
async def test_an_explicit_stop_acts_at_once_and_only_once(real: Backend) -> None:
    settings = real.settings(renew_s=600)
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs) == "We open")
        await live.interrupt("client")
        assert (await hear(live))[1].reason == "interrupted"
        await live.interrupt("client")
        await over(api, live)
        assert await count(api.stores, live.turn, TurnInterrupted, by="client") == 1
        await until(lambda: all(map(stopped, model.calls)))


@in_loop
async def test_a_turn_ends_at_its_deadline(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False, deadline_ms=1_000))
        text, ending = await hear(live)
        assert (text, ending.reason) == ("We open", "error")
        assert ending.error and ending.error["code"] == "turn_deadline"
        assert ending.at_ms >= 1_000
        await over(api, live)
        assert await count(api.stores, live.turn, TimerFired) == 1
        await until(lambda: all(map(stopped, model.calls)))
        await until(lambda: nothing_left(api.stores))


@in_loop
async def test_many_turns_at_once_each_hear_their_own(valkey: Backend) -> None:
    settings = valkey.settings()
    model = Scripted(draft=[answer(DRAFT)], full=[lambda body: answer(f"Number {body['number']}. Good day.")])
    async with open_workers(settings, model), open_api(settings) as api:

        async def one(number: int) -> None:
            asked = ask(f"s{number}")
            asked.body["number"] = number
            live = await api.start.run(asked)
            text, ending = await hear(live)
            assert text.endswith(f"Number {number}. Good day.") and ending.reason == "stop"
            await over(api, live)
            kinds = [type(event) for event in await events(api.stores, live.turn)]
            assert kinds.count(LaneStarted) == 2 and kinds.count(TurnEnded) == 1

        await asyncio.gather(*map(one, range(60)))
        assert not api.reader._sessions
        await until(lambda: only_marks_left(api.stores))
