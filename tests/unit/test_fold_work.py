"""What a fold costs: in proportion to what it is fed, whatever that says. Counted, not timed."""

from typing import Any

import pytest

from common.events import Event, LaneFinished, LaneStarted, ToolPart, TurnStarted
from common.text.growing_text import GrowingText, is_among
from common.text.repeats import RepeatFilter
from common.turn.fold import Fold
from common.turn.outputs import TextReleased
from tests.support.counted_work import PIECES, counting
from tests.support.turn_events import TURN, say, started

POLICIES: dict[str, Any] = {
    "usual": {},
    "long": {"handoff": {"when": "length", "overrun_chars": 10_000}},
    "all of it": {"handoff": {"min_chars": 10_000, "overrun_chars": 10_000}},
    "by sentence": {"draft": {"release": "sentence"}, "handoff": {"when": "length"}},
    "append": {"handoff": {"join": "append", "min_chars": 10_000}},
    "continue": {"handoff": {"join": "continue"}},
}


def turn_under(policy: Any) -> TurnStarted:
    handoff = {"join": "skip_repeat", **policy.get("handoff", {})}
    return started(
        max_chars=1_000_000, draft={"max_chars": 10_000, **policy.get("draft", {})}, handoff=handoff
    )


def fold_work(draft: str, full: str, count: int, policy: Any) -> int:
    """What it takes to fold so many pieces of each lane, side by side; not what is begun and ended once."""
    fold = Fold(turn_under(policy))
    events: list[Event] = [LaneStarted(TURN, "draft", 1, "w"), LaneStarted(TURN, "full", 1, "w")]
    for at in range(count):
        events.append(say("draft", at * len(draft), draft))
        events.append(say("full", at * len(full), full))
    with counting() as work:
        for event in events:
            fold.feed(event, 1)
    return work[0]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("piece", PIECES)
def test_a_turn_twice_as_long_is_twice_the_work(piece: str, policy: str) -> None:
    text, settings = PIECES[piece], POLICIES[policy]
    once, twice = (fold_work(text, text, count, settings) for count in (300, 600))
    assert twice < 2.6 * once + 20_000


@pytest.mark.parametrize("full", ["Grow. ", "well ", "我们。", "    ", "well!"])
def test_a_draft_without_a_stop_is_no_more_work_beside_another_full(full: str) -> None:
    once, twice = (fold_work("grow well ", full, count, {}) for count in (400, 800))
    assert twice < 2.6 * once + 20_000


def test_a_full_that_says_the_same_again_and_again_is_compared_only_so_often() -> None:
    fold = Fold(turn_under({}))
    draft, full = "Yes. No. Ok. " * 200, "Yes. No. Ok. "
    fold.feed(LaneStarted(TURN, "draft", 1, "w"), 1)
    fold.feed(LaneStarted(TURN, "full", 1, "w"), 1)
    fold.feed(say("draft", 0, draft), 1)
    fold.feed(LaneFinished(TURN, "draft", 1, len(draft), "stop", None, None, 1), 1)
    with counting() as work:
        for at in range(1_000):
            fold.feed(say("full", at * len(full), full), 2)
    assert work[0] < 5_000_000
    opening = fold.full_gate.opening
    assert isinstance(opening, RepeatFilter) and opening.decided


def test_the_arguments_of_a_call_are_put_together_once() -> None:
    fold, part = Fold(started(draft=False)), "x" * 20
    fold.feed(LaneStarted(TURN, "full", 1, "w"), 1)
    with counting() as once:
        _call(fold, part, 0, 500)
    with counting() as again:
        _call(fold, part, 500, 1_000)
    assert again[0] < 1.3 * once[0]
    assert fold.full.calls[0].arguments == part * 1_000


def _call(fold: Fold, part: str, begin: int, end: int) -> None:
    for at in range(begin, end):
        fold.feed(ToolPart(TURN, "full", 1, 0, at * len(part), "c", "look", part, 1), 1)


def test_a_draft_ends_where_its_policy_says() -> None:
    fold = Fold(started(draft={"max_chars": 20, "style": "answer"}))
    out = fold.feed(LaneStarted(TURN, "draft", 1, "w"), 1)
    for at in range(9):
        out += fold.feed(say("draft", at * 5, "well "), 1)
    assert not fold.draft.over
    out += fold.feed(LaneFinished(TURN, "draft", 1, 45, "stop", None, None, 1), 1)
    assert "".join(r.text for r in out if isinstance(r, TextReleased)) == "well well well well "
    assert fold.draft.finished and fold.draft.finished.reason == "length"


@pytest.mark.parametrize(
    "text", ["", "a", " a \n", "我 們", "\ud800 x", "a" * 200 + " " * 200 + "b", " " * 300]
)
def test_a_growing_text_is_the_text(text: str) -> None:
    growing = GrowingText()
    for char in text:
        growing.append(char)
    assert str(growing) == text == growing and len(growing) == len(text)
    assert growing.solid == len(text.rstrip())
    assert growing.first == (len(text) - len(text.lstrip()) if text.strip() else -1)
    for place in range(len(text) + 2):
        assert growing.solid_before(place) == len(text[:place].rstrip())
        assert growing[place:] == text[place:] and growing[:place] == text[:place]
    assert not text or growing[-1] == text[-1]
    with pytest.raises(IndexError):
        growing[len(text)]


def test_a_place_is_found_among_places_in_order() -> None:
    assert [place for place in range(9) if is_among([2, 3, 7], place)] == [2, 3, 7]
