"""Filler phrases as the driver picks them: in the caller's language, and not the one that was heard last."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

from common import driver
from common.events import Delta, LaneStarted, TimerFired, TurnStarted
from common.log.stream import append_now
from common.names import SessionRef, TurnRef
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.commands import FireTimer
from common.turn.fold import Fold
from common.turn.outputs import FILLER, Due
from tests.support.following import hear, over
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events, turn_entries
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_starter, open_workers

TWO = {"en": ["One moment.", "Let me look."]}
NOW = Due(FILLER.number, FILLER.due, 0)
WHOLE = "We open at nine. Every day."
LONG = 1_200  # entries: several pages of those that the driver looks through


async def begin(
    settings: Settings,
    stores: Stores,
    phrases: dict[str, Any],
    said: str = "When do you open?",
    call: str = "s1",
) -> tuple[TurnRef, TurnStarted]:
    """A turn in which a filler is due at once."""
    asked = ask(call, drafting=False, filler={"phrases": phrases, "delay_ms": 0, "maximum": 3})
    asked.body["messages"][-1]["content"] = said
    starter = open_starter(settings, stores)
    planned = starter.plan(asked)
    turn, started = planned.turn, planned.started
    await starter.commit(planned)
    return turn, started


async def fill(stores: Stores, turn: TurnRef, started: TurnStarted) -> str:
    """Let a filler's time come; the phrase that was picked."""
    await driver.perform(stores, turn, Fold(started), FireTimer(NOW), 0)
    fired = [event for event in await events(stores, turn) if isinstance(event, TimerFired)]
    return fired[-1].phrase


async def answer_begins(stores: Stores, turn: TurnRef, entries: int = 1) -> None:
    """The full speaks: from now on no filler is heard."""
    full = [Delta(turn.turn, "full", 1, at, "a", 0) for at in range(entries)]
    await append_now(stores, turn.session, LaneStarted(turn.turn, "full", 1, "w"), *full)


@in_loop
async def test_a_phrase_is_in_the_language_of_the_turn(real: Backend) -> None:
    settings = real.settings()
    phrases = {"en": ["One moment."], "ru": ["Минуту.", "Секунду."], "*": ["…"]}
    async with open_stores(settings) as stores:
        for said, allowed in (
            ("When do you open?", {"One moment."}),
            ("Когда вы открываетесь?", {"Минуту.", "Секунду."}),
            ("你们几点开门？", {"…"}),
        ):
            assert await fill(stores, *await begin(settings, stores, phrases, said)) in allowed
        assert await fill(stores, *await begin(settings, stores, {"ru": ["Минуту."]})) == ""


@in_loop
async def test_no_phrase_is_heard_twice_running_in_a_session(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as stores:
        picked = [await fill(stores, *await begin(settings, stores, TWO)) for _ in range(8)]
        assert set(picked) == set(TWO["en"])
        assert all(one != other for one, other in pairwise(picked))


@in_loop
async def test_a_phrase_that_came_too_late_was_not_heard(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as stores:
        for call in range(8):
            name = f"call {call}"
            first = await fill(stores, *await begin(settings, stores, TWO, call=name))
            turn, started = await begin(settings, stores, TWO, call=name)
            await answer_begins(stores, turn)
            late = await fill(stores, turn, started)
            assert late != first
            assert await fill(stores, *await begin(settings, stores, TWO, call=name)) == late


@in_loop
async def test_the_last_phrase_is_found_behind_a_long_answer(valkey: Backend) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as stores:
        for call in range(4):
            turn, started = await begin(settings, stores, TWO, call=f"call {call}")
            first = await fill(stores, turn, started)
            await answer_begins(stores, turn, LONG)
            assert await fill(stores, *await begin(settings, stores, TWO, call=f"call {call}")) != first


@in_loop
async def test_another_session_knows_nothing_of_it_and_one_phrase_is_better_than_none(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as stores:
        for call in ("s1", "s1", "s2"):
            turn = await begin(settings, stores, {"en": ["One moment."]}, call=call)
            assert await fill(stores, *turn) == "One moment."


@in_loop
async def test_a_deleted_session_stays_deleted(real: Backend) -> None:
    settings = real.settings()
    async with open_stores(settings) as stores:
        turn, started = await begin(settings, stores, TWO)
        await stores.log.delete(keys.log(turn.session))
        await driver.perform(stores, turn, Fold(started), FireTimer(NOW), 0)
        assert await turn_entries(stores, turn) == []
        assert not await stores.log.exists(keys.log(SessionRef("default", "s1")))


@in_loop
async def test_in_a_live_turn_each_filler_is_written_and_heard_once(real: Backend) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(full=[[spoken, *answer(WHOLE)]])
    filler = {"phrases": TWO, "delay_ms": 100, "interval_ms": 500, "maximum": 2}
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False, filler=filler))
        await until(lambda: live.fold.fillers_said == 2)
        first, second = (r.text for r in live.outputs)  # type: ignore[union-attr]
        assert {first, second.strip()} == set(TWO["en"])
        assert live.outputs[1].at_ms - live.outputs[0].at_ms >= 500
        spoken.set()
        assert (await hear(live))[0] == f"{first}{second} {WHOLE}"
        await over(api, live)
        assert await count(api.stores, live.turn, TimerFired) == 2


@in_loop
async def test_an_answer_in_time_is_not_filled(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(draft=[answer("Let me see.")], full=[answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask(filler={"phrases": TWO, "delay_ms": 5_000}))
        await hear(live)
        await over(api, live)
        assert await count(api.stores, live.turn, TimerFired) == 0
        assert heard(live.outputs).endswith(WHOLE)


@in_loop
async def test_on_a_door_that_speaks_a_first_token_is_no_sound(real: Backend) -> None:
    settings, on = real.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open at"), on, *answer(" nine. Every day.")]])
    filler = {"phrases": {"en": ["One moment."]}, "delay_ms": 300}
    async with open_workers(settings, model), open_api(settings) as api:
        asked = replace(ask(drafting=False, filler=filler), reply={"calls_event": "functionCall"})
        live = await api.start.run(asked)
        await until(lambda: live.fold.full.text == "We open at")
        await until(lambda: live.outputs)
        on.set()
        assert (await hear(live))[0] == f"One moment. {WHOLE}"
        await over(api, live)
        again = Fold(live.started)
        entries = await turn_entries(api.stores, live.turn)
        out = [r for e in entries[1:] for r in again.feed(e.event, e.ms - entries[0].ms)]
        assert out == live.outputs
