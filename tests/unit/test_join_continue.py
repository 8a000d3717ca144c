"""`continue`: the full is asked to go on from what the draft will have said."""

import pytest

from common.events import LaneStarted, TimerFired
from common.turn.outputs import CUT, TOLD, Due
from common.turn.phases import Closing, Drafting
from tests.support.told_turn import Turn
from tests.support.turn_events import TURN

CONTINUE = {"join": "continue"}
WAIT_MS = 700
ANSWER = {"style": "answer"}


def test_nothing_overtakes_before_the_drafts_time_and_then_it_ends_its_sentence() -> None:
    turn = Turn("continue", draft=ANSWER)
    turn.says("draft", "Let me see. I look")
    begun_ms = 2
    assert turn.fold.next_due == Due(TOLD.number, TOLD.due, begun_ms + WAIT_MS // 2)
    turn.feed(TimerFired(TURN, TOLD.number, TOLD.due, ""))
    assert isinstance(turn.fold.phase, Drafting)  # that was too early
    turn.comes(TOLD)
    assert isinstance(turn.fold.phase, Closing)
    assert turn.fold.next_due == Due(CUT.number, CUT.due, begun_ms + WAIT_MS)
    turn.says("draft", " it up. Never")
    assert turn.fold.full_speaks
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
    assert turn.fold.full_speaks
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
    assert turn.fold.full_speaks
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
    assert (turn.fold.full_speaks, turn.now_ms) == (True, begun_ms + WAIT_MS)
    turn.says("full", " it up.")
    turn.ends("full")
    assert turn.text == "Let me see. I look it up."


def test_a_draft_that_fails_early_leaves_the_full_alone() -> None:
    turn = Turn("continue")
    turn.ends("draft", "error")
    assert turn.fold.full_speaks
    assert [due.due for due in turn.fold.dues()] == ["deadline"]
    turn.says("full", "It is here.")
    turn.ends("full")
    assert (turn.text, turn.reason, turn.degraded) == ("It is here.", "stop", False)


@pytest.mark.parametrize("over_first", [True, False])
def test_where_the_full_fails_the_draft_that_was_held_back_goes_on(over_first: bool) -> None:
    turn = Turn("continue", draft=ANSWER)
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
    assert not turn.fold.join.full_hears_draft
    assert TOLD.due not in [due.due for due in turn.fold.dues()]
    turn.says("full", "It is here.")
    assert turn.text == "It is here."
