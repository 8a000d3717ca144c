"""Recorded answers of real models through the running gateway: each character once, cut where they may be."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import orjson
import pytest
import uvloop

from bench import data
from bench.client import ask, ask_for
from bench.data import Answered
from bench.stack import Shape, Stack
from bench.whole import FULL_ALONE, KINDS, NotWhole, judge, judge_text
from tests.support.data_sample import ALL, sample

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(bool(data.missing()), reason=data.missing() or "the data is there"),
]

AT_ONCE = 24 if ALL else 6
WRONG = "wrong"
MARKED = "X-Fast-Reply-Lanes: 1\r\n"
Check = Callable[[Answered], Coroutine[Any, Any, str]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Models quick enough for a test, the full overtaking in the middle of most drafts."""
    # The draft's limit would cut its text where no recorded answer ends, another join leave some of it out.
    env = {"SMALL_MODEL_MAX_TOKENS": "100000", "FAST_REPLY_POLICY__HANDOFF__JOIN": "append"}
    shape = Shape(answers=data.answer_files(), env=env)
    with Stack(shape) as stack:
        stack.behave("draft", ttft_ms=20, tpot_ms=5)
        stack.behave("full", ttft_ms=120, tpot_ms=3)
        yield stack


def count_cuts(rows: Sequence[Answered], check: Check, capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Check all rows, some at once; print and return how many there are of each kind of cut."""
    wrong: list[str] = []

    async def check_all() -> Counter[str]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def check_one(row: Answered) -> str:
            async with slots:
                try:
                    return await check(row)
                except NotWhole as error:
                    wrong.append(f"{row.id}: {error}")
                    return WRONG

        return Counter(await asyncio.gather(*map(check_one, rows)))

    kinds = uvloop.run(check_all())
    with capsys.disabled():
        print(f"\n{len(rows)} answers: " + ", ".join(f"{kind} {kinds[kind]}" for kind in (*KINDS, WRONG)))
    assert not wrong, "\n".join(wrong[:20])
    return kinds


def test_streamed_answers_are_whole(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    async def check(row: Answered) -> str:
        return judge(await ask(stack.port, ask_for(row.prompt), MARKED), row.draft, row.full)

    rows = sample(data.answers(), 60)
    kinds = count_cuts(rows, check, capsys)
    # Otherwise the hand-over was hardly tried.
    assert kinds[FULL_ALONE] < len(rows) / 10


def test_answers_in_one_piece_are_whole(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    async def check(row: Answered) -> str:
        reply = await ask(stack.port, ask_for(row.prompt, stream=False))
        answer = orjson.loads(reply.body)
        if reply.status != 200:
            raise NotWhole(f"status {reply.status}: {answer}")
        return judge_text(answer["choices"][0]["message"]["content"], row.draft, row.full)

    count_cuts(sample(data.answers(), 20), check, capsys)
