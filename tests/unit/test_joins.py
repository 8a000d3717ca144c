"""How the full's text follows the draft's: repeats left out, answers that go on, a draft in the shadow."""

from pathlib import Path
from typing import get_args

import pytest

from common.events import TurnInterrupted
from common.turn.joins.registry import JOINS, JoinName
from common.turn.outputs import CUT
from tests.support.told_turn import Turn
from tests.support.turn_events import TURN, begin, end, endings, say, spoken

CONTINUE = {"join": "continue"}
WAIT_MS = 700


OPENINGS = {
    "en": (
        "Our shop opens early on weekdays. Let me see what else",
        "Our shop opens early on weekdays.",
        "Parking is behind the house. It is free.",
        " I can find.",
    ),
    "zh": (
        "我们的商店早上开门。我再看看",
        "我们的商店早上开门。",
        "停车场在楼后面。不收费。",
        "别的情况。",
    ),
    "ru": (
        "Наш магазин открывается рано утром. Сейчас посмотрю",
        "Наш магазин открывается рано утром.",
        "Парковка за домом. Она бесплатна.",
        " остальное.",
    ),
}


@pytest.mark.parametrize(("draft", "again", "new", "more"), OPENINGS.values(), ids=OPENINGS.keys())
def test_an_opening_that_says_again_is_left_out(draft: str, again: str, new: str, more: str) -> None:
    turn = Turn()
    space = " " if draft.isascii() or "Н" in draft else ""
    turn.says("draft", draft)
    turn.says("full", again + space + new)
    assert turn.text == draft  # it is in mid-sentence
    turn.says("draft", f"{more}{space}Not")
    turn.ends("full")
    assert spoken(turn.out) == [("draft", draft + more), ("full", space + new)]
    assert (turn.reason, turn.degraded) == ("stop", False)


ADDS = {
    "a number": ("The room has two beds.", "The room has three beds."),
    "a negation": ("You can return opened boxes.", "You cannot return opened boxes."),
    "a fact": ("The shop is open.", "The shop is open, and its garden stays so until dusk."),
    "a number, zh": ("房间每晚八十欧元。", "房间每晚九十欧元。"),
    "a negation, zh": ("您可以退回打开的箱子。", "您不可以退回打开的箱子。"),
    "a fact, zh": ("作者是张三。", "作者是李四。"),
    "a number, ru": ("Номер стоит 80 евро.", "Номер стоит 95 евро."),
    "a negation, ru": ("Коробку можно вернуть.", "Коробку нельзя вернуть."),
    "a fact, ru": ("Поезд идёт утром.", "Поезд идёт вечером."),
}


@pytest.mark.parametrize(("draft", "full"), ADDS.values(), ids=ADDS.keys())
@pytest.mark.parametrize("over", [True, False])
def test_an_opening_that_adds_something_is_said(draft: str, full: str, over: bool) -> None:
    turn = Turn()
    turn.says("draft", draft)
    if over:
        turn.ends("draft")
    turn.says("full", full)
    turn.ends("full")
    assert turn.text.replace(" ", "") == (draft + full).replace(" ", "")


def test_while_the_full_only_repeats_the_draft_goes_on() -> None:
    turn = Turn()
    turn.says("draft", "Ferns like shade. Ferns need moist soil. Never")
    turn.says("full", "Ferns like shade. Ferns need moist soil.")
    turn.says("draft", " let them dry. Feed")
    assert turn.text == "Ferns like shade. Ferns need moist soil. Never let them dry. Feed"
    turn.says("full", " Pots are best. They")
    turn.says("draft", " them. Not said.")
    turn.ends("full")
    assert turn.text == (
        "Ferns like shade. Ferns need moist soil. Never let them dry. Feed them. Pots are best. They"
    )


def test_a_full_that_only_repeats_lets_the_draft_end_its_sentence() -> None:
    turn = Turn()
    turn.says("draft", "Ferns like shade. Never let")
    turn.says("full", "Ferns like shade.")
    turn.ends("full")
    assert not endings(turn.out)
    turn.says("draft", " them dry. Not said.")
    assert turn.text == "Ferns like shade. Never let them dry."
    assert (turn.reason, turn.degraded) == ("stop", False)
    assert [lane.lane for lane in turn.fold.unwanted()] == ["draft"]


def test_a_full_that_only_repeats_waits_for_a_stalled_draft_but_a_moment() -> None:
    turn = Turn()
    turn.says("draft", "Ferns like shade. Never let")
    turn.says("full", "Ferns like shade.")
    turn.ends("full")
    turn.comes(CUT)
    assert turn.text == "Ferns like shade. Never let"
    assert turn.reason == "stop"


def test_a_full_that_only_repeats_a_draft_that_is_over_ends_the_turn() -> None:
    turn = Turn()
    turn.says("draft", "Ferns like shade.")
    turn.ends("draft")
    turn.says("full", "Ferns like shade.")
    turn.ends("full")
    assert turn.text == "Ferns like shade."
    assert (turn.reason, turn.degraded) == ("stop", False)


def test_after_an_opener_the_second_sentence_is_left_out_as_well() -> None:
    turn = Turn()
    turn.says("draft", "Ferns like shade. They")
    turn.says("full", "Certainly! Ferns like shade. Pots are best. So")
    turn.says("draft", " grow. Not said.")
    turn.ends("full")
    assert turn.text == "Ferns like shade. They grow. Certainly! Pots are best. So"


def test_only_the_opening_is_compared() -> None:
    turn = Turn()
    turn.says("draft", "Ferns like shade.")
    turn.says("full", "Pots are best. Water them well. Ferns like shade. Yes.")
    turn.ends("full")
    assert turn.text == "Ferns like shade. Pots are best. Water them well. Ferns like shade. Yes."


def test_nothing_is_left_out_of_a_full_after_a_draft_that_was_not_heard() -> None:
    turn = Turn(release="sentence")
    turn.says("draft", "Ferns like")
    turn.says("full", "Ferns like shade. Yes.")
    turn.ends("full")
    assert turn.text == "Ferns like shade. Yes."


def test_the_released_text_is_counted_and_hashed_as_it_was_heard() -> None:
    draft, again, new, more = OPENINGS["en"]
    one, other = Turn(), Turn("append")
    one.says("draft", draft + more)
    one.says("full", f"{again} {new}")
    one.ends("full")
    other.says("draft", draft + more)
    other.says("full", new)
    other.ends("full")
    assert one.text == other.text
    assert one.fold.released == len(one.text)
    assert one.fold.hash() == other.fold.hash()
    assert one.fold.spoken["full"] == len(f"{again} {new}")


# The seam, as the fold makes it.


@pytest.mark.parametrize(
    ("draft", "reason", "full", "whole"),
    [
        ("Let me see. ", "stop", " The answer is here.", "Let me see. The answer is here."),
        ("Let me see.\n\n", "stop", "\n\nThe answer.", "Let me see.\n\nThe answer."),
        ("Steps:", "stop", "1. Open it.", "Steps:\n\n1. Open it."),
        ("Steps:", "stop", "## Care\n\nWater.", "Steps:\n\n## Care\n\nWater."),
        ("Price:", "stop", "15 euros.", "Price: 15 euros."),
        ("## Care", "stop", "Water.", "## Care\n\nWater."),
        ("See **this", "stop", "Water.", "See **this** Water."),
        ("Let me look at", "length", "Water.", "Let me look at… Water."),
        ("Let me look at", "error", "Water.", "Let me look at… Water."),
        ("Let me look.", "length", "Water.", "Let me look. Water."),
        ("我看看", "cancelled", "答案。", "我看看…答案。"),
    ],
)
def test_a_draft_that_is_over_meets_a_full_that_comes_token_by_token(
    draft: str, reason: str, full: str, whole: str
) -> None:
    turn = Turn("append")
    turn.feed(say("draft", 0, draft), end("draft", reason, at=len(draft)))
    for place, character in enumerate(full):
        turn.feed(say("full", place, character))
    turn.feed(end("full", at=len(full)))
    assert turn.text == whole


def test_what_the_fold_holds_at_the_seam_is_said_when_the_full_ends() -> None:
    for full, whole in (("42", "Wait. 42"), (" \n", "Wait."), ("-", "Wait. -")):
        turn = Turn("append", handoff={"when": "first_token"})
        turn.feed(say("draft", 0, "Wait."), say("full", 0, full))
        assert turn.text == "Wait."
        turn.feed(end("draft"), end("full"))
        assert turn.text == whole


# The draft in the shadow.


@pytest.mark.parametrize("join", JOINS)
def test_a_draft_in_the_shadow_is_never_spoken_and_wanted_to_its_end(join: str) -> None:
    turn = Turn(join, handoff={"shadow": True})
    turn.says("draft", "Ferns like shade. They")
    turn.says("full", "Ferns like shade. Yes.")
    assert turn.text == "Ferns like shade. Yes."
    turn.ends("full")
    assert turn.reason == "stop"
    turn.says("draft", " grow.")
    assert turn.fold.unwanted() == []
    assert turn.fold.wants("draft")
    turn.ends("draft")
    assert not turn.fold.wants("draft")
    assert turn.fold.draft.text == "Ferns like shade. They grow."
    assert turn.text == "Ferns like shade. Yes."


def test_a_draft_in_the_shadow_may_begin_again_after_the_turn() -> None:
    turn = Turn("append", handoff={"shadow": True})
    turn.feed(TurnInterrupted(TURN, "client", 0))
    assert [lane.lane for lane in turn.fold.unwanted()] == ["full"]
    turn.feed(begin("draft", 2))
    assert turn.fold.draft.attempt == 2


@pytest.mark.parametrize("join", ["append", "continue"])
def test_a_draft_in_the_shadow_does_not_stand_in(join: str) -> None:
    turn = Turn(join, handoff={"shadow": True})
    turn.says("draft", "Ferns like shade.")
    turn.ends("draft")
    turn.ends("full", "error")
    assert (turn.text, turn.reason) == ("", "error")


def test_what_was_held_while_the_draft_spoke_is_judged_again_when_it_ends() -> None:
    turn = Turn("skip_repeat")
    turn.says("draft", "Let me see.")
    turn.says("full", "We open at nine.")
    turn.ends("draft")
    assert turn.text == "Let me see. We open at nine."


# The registry.


@pytest.mark.parametrize("name", get_args(JoinName))
def test_a_join_that_a_policy_may_name_is_there_described_and_has_a_golden_session(name: JoinName) -> None:
    root = Path(__file__).parents[2]
    (row,) = [
        line
        for line in (root / "docs/settings.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `handoff.join` |")
    ]
    assert name in JOINS
    assert f"`{name}`" in row
    assert (root / f"tests/golden/join-{name}.jsonl").exists()
