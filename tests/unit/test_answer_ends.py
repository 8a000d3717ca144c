"""When a model's answer is over: what its server says of the end, and what its silence says."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from pydantic import SecretStr

from common.events import LaneStarted
from common.names import JobRef, SessionRef, TurnRef
from common.settings import Settings
from common.tenants.profiles import Upstream
from tests.support import virtual_time
from tests.support.generation_fakes import Free, Nowhere
from tests.support.turn_events import TURN, started
from workers.lanes.generation import Generation, GenerationResult
from workers.lanes.publisher import LaneWriter, Publisher
from workers.providers.base import Finish, StreamPart, UpstreamError, Usage
from workers.upstreams import Upstreams

CUT = UpstreamError("upstream_cut", "cut")
STOP, WITH_TEXT = Finish("stop"), Finish("stop", alone=False)
COST = Usage({"total_tokens": 1})
FOR_EVER = 1e6
FIRST, SECOND = (Upstream("http://m/v1", SecretStr(""), model) for model in ("first", "second"))

Step = StreamPart | float | UpstreamError
"""What a model does: gives a piece, is silent for so long, breaks."""


class Model:
    """Plays a script for each model."""

    def __init__(self, **scripts: list[Step]) -> None:
        self._scripts = scripts

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        for step in self._scripts[upstream.model]:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, UpstreamError):
                raise step
            else:
                yield step


def ask(*steps: Step, fallback: list[Step] | None = None) -> tuple[str, GenerationResult, float]:
    """What is said, how it ended, and when."""
    free, answer = Free(), GenerationResult()
    job = JobRef(TurnRef(SessionRef("default", "s"), TURN), "full", 1)
    writer = LaneWriter(cast(Publisher, Nowhere()), LaneStarted(TURN, "full", 1, "w"), job, 0)
    writer.state.attempt = 1
    upstreams = [FIRST, *([SECOND] if fallback is not None else [])]

    async def run() -> float:
        model = Model(first=list(steps), second=fallback or [])
        asker = Generation(Settings(), model, cast(Upstreams, free), writer, answer, lambda: None)
        await asker.run(upstreams, started(draft=False), "")
        return asyncio.get_running_loop().time()

    return (lambda end_s: (str(writer.state.text), answer, end_s))(virtual_time.run(run()))


@pytest.mark.parametrize("pause_s", [0.0, 1.5, 5.0, 14.0])
def test_a_word_for_the_end_with_each_piece_ends_nothing(pause_s: float) -> None:
    text, answer, end_s = ask(
        "We ", WITH_TEXT, pause_s, "open ", WITH_TEXT, pause_s, "at nine.", WITH_TEXT, COST
    )
    assert (text, answer.reason, answer.error, answer.usage) == (
        "We open at nine.",
        "stop",
        None,
        COST.tokens,
    )
    assert end_s == 2 * pause_s


@pytest.mark.parametrize(
    "steps", [("Wait. ", STOP, 2.5, "It is nine.", STOP), (STOP, 9.0, "Wait. It is nine.", STOP)]
)
def test_text_behind_a_word_for_the_end_goes_on(steps: tuple[Step, ...]) -> None:
    text, answer, _ = ask(*steps)
    assert (text, answer.reason, answer.error) == ("Wait. It is nine.", "stop", None)


@pytest.mark.parametrize(
    ("steps", "end_s"),
    [(("Yes.", STOP), 3.0), (("Yes.", WITH_TEXT), 15.0), (("Y", STOP, "es.", STOP), 15.0)],
)
def test_a_silence_behind_a_word_for_the_end_is_one(steps: tuple[Step, ...], end_s: float) -> None:
    text, answer, ended_s = ask(*steps, FOR_EVER)
    assert (text, answer.reason, answer.error, ended_s) == ("Yes.", "stop", None, end_s)


def test_what_breaks_behind_the_end_is_whole_and_in_the_middle_is_not() -> None:
    _, answer, _ = ask("Yes.", STOP, CUT)
    assert (answer.reason, answer.error) == ("stop", None)
    _, answer, _ = ask("Yes.", WITH_TEXT, CUT)
    assert (answer.reason, answer.error) == ("stop", None)
    _, answer, _ = ask("We ", WITH_TEXT, "open ", WITH_TEXT, CUT)
    assert answer.error is CUT
    text, answer, _ = ask("We ", WITH_TEXT, "open", WITH_TEXT, CUT, fallback=[" at nine.", Finish("length")])
    assert (text, answer.reason, answer.error) == ("We open at nine.", "length", None)
