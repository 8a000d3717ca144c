"""Models' servers that a tenant runs itself, and that mean harm: they harm that tenant's turn alone."""

from typing import Any

import pytest
from parts import open_worker
from reading_turns import events, start
from scripted import Scripted, answer
from store_servers import Backend
from waiting import in_loop, until

from common.events import LaneFinished
from common.stores import open_stores
from workers.providers.base import Other, Piece, ToolPiece, Usage

HELLO = "We open at nine."
MEGABYTE = 2**20
DEEP: Any = []
for _ in range(252):
    DEEP = [DEEP]

UNWRITABLE: dict[str, Piece] = {
    "a call's number of many digits": ToolPiece(10**30, "c1", "find", "{}"),
    "a call's number below zero": ToolPiece(-1, "c1", "find", "{}"),
    "a call's name that is none": ToolPiece(0, "c1", DEEP, "{}"),
    "arguments that are no text": ToolPiece(0, "c1", "find", 7),  # type: ignore[arg-type]
    "a nest in a chunk": Other({"delta": {"reasoning": DEEP}}),
    "a nest in the usage": Usage({"prompt_tokens": DEEP}),
}


@pytest.mark.parametrize("piece", UNWRITABLE.values(), ids=UNWRITABLE)
@in_loop
async def test_what_cant_be_written_down_fails_its_own_turn(real: Backend, piece: Piece) -> None:
    settings = real.settings()
    model = Scripted(full=[["Let me ", piece, *answer("look.")], answer(HELLO)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        assert await ending(eyes, await start(eyes, settings, "one")) == "upstream_garbled"
        assert await ending(eyes, await start(eyes, settings, "two")) == ""  # the worker works on


@pytest.mark.parametrize("piece", ["x" * MEGABYTE, Other({"delta": {"reasoning": "x" * MEGABYTE}})])
@in_loop
async def test_an_answer_without_end_is_cut_off(real: Backend, piece: Piece) -> None:
    settings = real.settings()
    model = Scripted(full=[["Let me look. ", *[piece] * 100], answer(HELLO)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        await start(eyes, settings)
        await until(lambda: model.calls and model.calls[0].ended == "closed")


async def ending(eyes: Any, turn: Any) -> str:
    """The code of the error with which the full's lane ended, empty without one."""

    async def found() -> LaneFinished | None:
        return next((e for e in await events(eyes, turn) if isinstance(e, LaneFinished)), None)

    finished: LaneFinished = await until(found)
    return finished.error["code"] if finished.error else ""
