"""How the full's text follows the draft's: repeats left out, answers that go on, a draft in the shadow."""

from typing import Any

import pytest
from turns import TURN, begin, end, endings, fire, heard, say, spoken, started

from common.events import Event, LaneStarted, TimerFired, TurnInterrupted
from common.fold import Fold
from common.releases import CUT, TOLD, Due, Release

CONTINUE = {"join": "continue"}
WAIT_MS = 700


class Turn:
    """A turn that is told one thing after the other; `out` is all that it let out."""

    def __init__(
        self, join: str = "skip_repeat", *, release: str = "token", late: bool = False, **policy: Any
    ):
        policy["handoff"] = {"join": join, **policy.get("handoff", {})}
        self.fold = Fold(started(release=release, late=late, **policy))
        self.out: list[Release] = []
        self.now_ms = 0
        self._length = {"draft": 0, "full": 0}
        self.feed(begin("draft"), begin("full"))

    def feed(self, *events: Event) -> None:
        for event in events:
            self.now_ms += 1
            self.out += self.fold.feed(event, self.now_ms)

    def says(self, lane: str, text: str) -> None:
        """A lane's next text, word by word."""
        for number, word in enumerate(text.split(" ")):
            piece = f" {word}" if number else word
            self.feed(say(lane, self._length[lane], piece))
            self._length[lane] += len(piece)

    def ends(self, lane: str, reason: str = "stop") -> None:
        self.feed(end(lane, reason, at=self._length[lane]))

    def comes(self, due: Due) -> None:
        """The time comes that the fold waits for."""
        (mine,) = [each for each in self.fold.dues() if each.number == due.number]
        self.now_ms = mine.at_ms
        self.out += self.fold.feed(fire(mine), self.now_ms)

    @property
    def text(self) -> str:
        return heard(self.out)

    @property
    def reason(self) -> str:
        (ending,) = endings(self.out)
        assert self.out[-1] is ending
        return ending.reason

    @property
    def degraded(self) -> bool:
        return endings(self.out)[0].degraded


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


# `continue`: the full is asked to go on from what the draft will have said.


def test_nothing_overtakes_before_the_drafts_time_and_then_it_ends_its_sentence() -> None:
    turn = Turn("continue")
    turn.says("draft", "Let me see. I look")
    begun_ms = 2
    assert turn.fold.next_due == Due(TOLD.number, TOLD.due, begun_ms + WAIT_MS // 2)
    turn.feed(TimerFired(TURN, TOLD.number, TOLD.due, ""))
    assert turn.fold.stage == "draft"  # that was too early
    turn.comes(TOLD)
    assert turn.fold.stage == "closing"
    assert turn.fold.next_due == Due(CUT.number, CUT.due, begun_ms + WAIT_MS)
    turn.says("draft", " it up. Never")
    assert turn.fold.stage == "full"
    assert turn.text == "Let me see. I look it up."
    assert turn.fold.draft.text[: turn.fold.spoken["draft"]] == turn.text
    assert turn.fold.unwanted() == []  # it may yet have to stand in
    turn.says("full", " Here it is. Done.")
    assert [lane.lane for lane in turn.fold.unwanted()] == ["draft"]
    turn.ends("full")
    assert turn.text == "Let me see. I look it up. Here it is. Done."
    assert turn.reason == "stop"


@pytest.mark.parametrize("release", ["token", "sentence"])
def test_a_draft_that_is_over_sooner_is_told_at_once_and_whole(release: str) -> None:
    turn = Turn("continue", release=release)
    turn.says("draft", "Let me see.")
    turn.ends("draft")
    assert turn.fold.stage == "full"
    assert turn.text == "Let me see."
    turn.says("full", "It is here.")
    turn.ends("full")
    assert turn.text == "Let me see. It is here."


def test_a_full_that_goes_on_in_mid_sentence_gets_no_mark() -> None:
    turn = Turn("continue")
    turn.says("draft", "Let me look **at your")
    turn.comes(TOLD)
    turn.comes(CUT)
    assert turn.text == "Let me look **at your"
    turn.says("full", " new** plan. It is here.")
    assert turn.text == "Let me look **at your new** plan. It is here."


def test_a_draft_that_has_said_nothing_by_then_leaves_the_full_alone() -> None:
    turn = Turn("continue")
    begun_ms = turn.now_ms
    turn.comes(TOLD)
    assert turn.fold.next_due == Due(TOLD.number, TOLD.due, begun_ms + WAIT_MS)
    turn.comes(TOLD)
    assert turn.fold.stage == "full"
    turn.says("draft", "Too late.")
    turn.says("full", "It is here.")
    turn.ends("full")
    assert turn.text == "It is here."


def test_a_draft_that_begins_late_is_listened_to_for_what_time_is_left() -> None:
    turn = Turn("continue")
    begun_ms = turn.now_ms
    turn.comes(TOLD)
    turn.says("draft", "Let me see. I look")
    turn.comes(TOLD)
    assert (turn.fold.stage, turn.now_ms) == ("full", begun_ms + WAIT_MS)
    turn.says("full", " it up.")
    turn.ends("full")
    assert turn.text == "Let me see. I look it up."


def test_a_draft_that_fails_early_leaves_the_full_alone() -> None:
    turn = Turn("continue")
    turn.ends("draft", "error")
    assert turn.fold.stage == "full"
    assert [due.due for due in turn.fold.dues()] == ["deadline"]
    turn.says("full", "It is here.")
    turn.ends("full")
    assert (turn.text, turn.reason, turn.degraded) == ("It is here.", "stop", False)


@pytest.mark.parametrize("over_first", [True, False])
def test_where_the_full_fails_the_draft_that_was_held_back_goes_on(over_first: bool) -> None:
    turn = Turn("continue")
    turn.says("draft", "Let me see. Now then. We")
    turn.comes(TOLD)
    turn.says("draft", " open. At nine.")
    assert turn.text == "Let me see. Now then. We open."
    if over_first:
        turn.ends("draft")
        turn.ends("full", "error")
    else:
        turn.ends("full", "error")
        assert turn.text == "Let me see. Now then. We open. At nine."
        assert turn.fold.unwanted() == []
        turn.feed(LaneStarted(TURN, "full", 2, "z"))  # a zombie changes nothing
        assert [due.due for due in turn.fold.dues()] == ["deadline"]
        turn.ends("draft")
    assert turn.text == "Let me see. Now then. We open. At nine."
    assert (turn.reason, turn.degraded) == ("stop", True)


def test_where_both_fail_there_is_one_error() -> None:
    for first, second in (("draft", "full"), ("full", "draft")):
        turn = Turn("continue")
        turn.says("draft", "Let me see.")
        turn.ends(first, "error")
        turn.ends(second, "error")
        assert turn.reason == "error"


def test_a_full_that_broke_in_mid_answer_ends_with_its_error() -> None:
    turn = Turn("continue")
    turn.says("draft", "Let me see.")
    turn.ends("draft")
    turn.says("full", "It is")
    turn.ends("full", "error")
    assert (turn.text, turn.reason) == ("Let me see. It is", "error")


def test_a_quick_full_does_not_wait_for_a_draft_that_is_only_its_hedge() -> None:
    turn = Turn("continue", late=True)
    assert not turn.fold.continues
    assert TOLD.due not in [due.due for due in turn.fold.dues()]
    turn.says("full", "It is here.")
    assert turn.text == "It is here."


# The draft in the shadow.


@pytest.mark.parametrize("join", ["append", "skip_repeat", "continue"])
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
