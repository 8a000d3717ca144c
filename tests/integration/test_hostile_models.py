"""Models' servers that a tenant runs itself, and that mean harm: they harm that tenant's turn alone."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from common.events import LaneFinished
from common.store.redis import open_stores
from common.tenants.profiles import Upstream
from tests.support.raw_server import answering, chunk
from tests.support.raw_server import events as events_of
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend
from tests.support.stored_turns import events, start
from tests.support.waiting import PATIENCE_S, in_loop, until
from tests.support.wiring import open_worker
from workers.providers.base import PassThrough, StreamPart, ToolCallDelta, Usage
from workers.providers.registry import Providers

HELLO = "We open at nine."
MEGABYTE = 2**20
DEEP: Any = []
for _ in range(252):
    DEEP = [DEEP]

UNWRITABLE: dict[str, StreamPart] = {
    "a call's number of many digits": ToolCallDelta(10**30, "c1", "find", "{}"),
    "a call's number below zero": ToolCallDelta(-1, "c1", "find", "{}"),
    "a call's name that is none": ToolCallDelta(0, "c1", DEEP, "{}"),
    "arguments that are no text": ToolCallDelta(0, "c1", "find", 7),  # type: ignore[arg-type]
    "a nest in a chunk": PassThrough({"delta": {"reasoning": DEEP}}),
    "a nest in the usage": Usage({"prompt_tokens": DEEP}),
}


@pytest.mark.parametrize("piece", UNWRITABLE.values(), ids=UNWRITABLE)
@in_loop
async def test_what_cant_be_written_down_fails_its_own_turn(real: Backend, piece: StreamPart) -> None:
    settings = real.settings()
    model = Scripted(full=[["Let me ", piece, *answer("look.")], answer(HELLO)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        assert await ending(eyes, await start(eyes, settings, "one")) == "upstream_garbled"
        assert await ending(eyes, await start(eyes, settings, "two")) == ""  # the worker works on


@pytest.mark.parametrize("piece", ["x" * MEGABYTE, PassThrough({"delta": {"reasoning": "x" * MEGABYTE}})])
@in_loop
async def test_an_answer_without_end_is_cut_off(real: Backend, piece: StreamPart) -> None:
    settings = real.settings()
    model = Scripted(full=[["Let me look. ", *[piece] * 100], answer(HELLO)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model):
        await start(eyes, settings)
        await until(lambda: model.calls and model.calls[0].ended == "closed")


FLOODS = {
    "tokens": events_of(chunk("word "), end=b"") * 50,
    "empty deltas": events_of(chunk(), end=b"") * 50,
    "comments": b": hi\n\n" * 500,
    "blank lines": b"\n" * 5_000,
    "one line": b"data: " + b"x" * 50_000,
    "calls": events_of(chunk(tool_calls=[{"index": 0, "function": {"arguments": "x"}}]), end=b"") * 50,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@in_loop
async def test_a_flood_ends_its_own_turn_and_no_other(real: Backend, flood: bytes) -> None:
    """Beside it another turn is spoken from its first word to its last."""
    settings = real.settings()
    quiet = Scripted(full=[answer(HELLO)])
    async with answering([b"HTTP/1.1 200 OK\r\n\r\n"]) as line, open_stores(settings) as eyes:
        line.server.flood = flood

        class Both:
            """The first turn's model floods."""

            flooding = True

            def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
                if not self.flooding:
                    return quiet.stream(upstream, body)
                self.flooding = False
                url = f"http://127.0.0.1:{line.server.port}/v1"
                return Providers(line.client, line.client, eyes, None).stream(
                    replace(upstream, base_url=url), body
                )

        async with open_worker(settings, "full", Both()):
            one = await start(eyes, settings, "one")
            await until(lambda: line.server.asked)
            assert await ending(eyes, await start(eyes, settings, "two")) == ""
            assert await ending(eyes, one, within_s=60) == "upstream_garbled"


async def ending(eyes: Any, turn: Any, within_s: float = PATIENCE_S) -> str:
    """The code of the error with which the full's lane ended, empty without one."""

    async def found() -> LaneFinished | None:
        return next((e for e in await events(eyes, turn) if isinstance(e, LaneFinished)), None)

    finished: LaneFinished = await until(found, within_s)
    return finished.error["code"] if finished.error else ""
