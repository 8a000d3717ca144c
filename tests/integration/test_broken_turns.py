"""A turn that meets a bug ends with an error, for its clients and in the log; no other turn feels it."""

import asyncio
from typing import Any, NoReturn

import pytest

from tests.support.following import hear, only_marks_left, stopped
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import ended
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker

WHOLE = "We open at nine. Every day."


def _raise(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("words of a caller")


async def _raise_later(*_: Any, **__: Any) -> NoReturn:
    _raise()


async def _ends_broken(backend: Backend, breaks: Any, ending: str = "error") -> None:
    """One turn is broken once it speaks, another beside it goes on to its end."""
    settings = backend.settings()
    held = asyncio.Event()
    model = Scripted(full=[[*words("We open"), held, *answer(" at nine. Every day.")] for _ in range(2)])
    async with open_worker(settings, "full", model), open_api(settings) as api, open_api(settings) as other:
        broken = await api.start.run(ask("broken", drafting=False))
        whole = await other.start.run(ask("whole", drafting=False))
        hearing = [asyncio.create_task(hear(live)) for live in (broken, whole)]
        await until(lambda: heard(broken.outputs) == heard(whole.outputs) == "We open")
        breaks(broken)
        held.set()
        async with asyncio.timeout(10):
            (text, end), (whole_text, whole_end) = await asyncio.gather(*hearing)
        code = "internal_error" if ending == "error" else None
        assert (end.reason, (end.error or {}).get("code")) == (ending, code)
        assert text.startswith("We open")
        assert (whole_text, whole_end.reason) == (WHOLE, "stop")
        await until(lambda: ended(api.stores, broken.turn))
        (said,) = [await ended(api.stores, broken.turn)]
        assert said and (said.reason, (said.error or {}).get("code")) == (ending, code)
        await until(lambda: only_marks_left(api.stores))
        again = await other.turns.attach(broken.turn)
        assert again.fold.ending and again.closed.is_set()


@pytest.mark.parametrize("asked", ["dues", "unwanted", "unstarted", "feed"])
@in_loop
async def test_a_fold_that_breaks_its_driver_ends_its_turn(valkey: Backend, asked: str) -> None:
    await _ends_broken(valkey, lambda live: setattr(live.fold, asked, _raise))


@in_loop
async def test_a_cost_that_can_not_be_told_ends_its_turn_as_its_client_heard_it(valkey: Backend) -> None:
    await _ends_broken(valkey, lambda live: setattr(live.fold, "usage", _raise), "stop")


@in_loop
async def test_an_act_that_breaks_ends_its_turn(valkey: Backend) -> None:
    await _ends_broken(valkey, lambda live: live._perform(_raise_later))


@in_loop
async def test_a_turn_that_was_ended_by_force_is_so_wherever_it_is_read(valkey: Backend) -> None:
    settings, held = valkey.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), held]])
    async with open_worker(settings, "full", model), open_api(settings) as api, open_api(settings) as other:
        live = await api.start.run(ask(drafting=False))
        follows = await other.turns.attach(live.turn)
        hearing = asyncio.create_task(hear(follows))
        await until(lambda: heard(live.outputs) == "We open")
        live._perform(_raise_later)
        text, end = await asyncio.wait_for(hearing, 10)
        assert (text, end.error and end.error["code"]) == ("We open", "internal_error")
        await until(lambda: stopped(model.calls[0]))


@in_loop
async def test_a_broken_turn_whose_ending_breaks_too_leaves_its_client_not_waiting(valkey: Backend) -> None:
    settings, held = valkey.settings(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), held]])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        hearing = asyncio.create_task(hear(live))
        await until(lambda: heard(live.outputs) == "We open")
        live._end_broken = _raise_later  # type: ignore[method-assign]
        live._perform(_raise_later)
        _, end = await hearing
        assert end.error and end.error["code"] == "internal_error"
        await asyncio.wait_for(live.closed.wait(), 10)
