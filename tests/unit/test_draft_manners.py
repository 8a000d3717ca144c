"""The draft's manners in the fold: what it may not say, when it isn't asked at all, what fills a silence."""

from typing import Any

import pytest

from common.events import Event, TimerFired
from common.turn.fold import Fold
from common.turn.joins.registry import JOINS
from common.turn.outputs import CUT, DRAFT, FILLER, Due, Output
from tests.support.turn_events import TURN, begin, end, endings, fire, heard, say, spoken, started

GUARD = {"guard": True}
PHRASE = "One moment."
FILLERS = {"phrases": {"*": [PHRASE]}, "delay_ms": 1_000, "interval_ms": 3_000, "maximum": 2}

ANSWER = {"style": "answer"}


def turn(*, late: bool = False, release: str = "token", **policy: Any) -> Fold:
    return Fold(started(late=late, release=release, **policy))


def feed(fold: Fold, *events: Event, at_ms: int = 1) -> list[Output]:
    return [release for event in events for release in fold.feed(event, at_ms)]


def filler_due(fold: Fold) -> Due | None:
    return next((due for due in fold.dues() if due.due == FILLER.due), None)


# The guard.


@pytest.mark.parametrize(
    ("draft", "allowed"),
    [
        ("Good question. It costs 80 euros. Let me", "Good question."),
        ("Good question. We open on Friday. Let me", "Good question."),
        ("Let me see. I promise you a refund. Let", "Let me see."),
        ("Yes, that is possible. Let me see. Now", ""),
        ("好的，我来看看。您的订单已经取消了。", "好的，我来看看。"),
        ("Сейчас посмотрю. Это стоит 80 рублей. Ещё", "Сейчас посмотрю."),
    ],
)
def test_a_sentence_that_commits_is_not_spoken_and_the_draft_falls_silent(draft: str, allowed: str) -> None:
    fold = turn(draft=GUARD)
    out = feed(fold, begin("draft"), begin("full"))
    for place, character in enumerate(draft):
        out += feed(fold, say("draft", place, character))
    out += feed(fold, say("draft", len(draft), " Let me look. Please hold on."))
    assert heard(out) == allowed
    assert fold.draft_gate.blocked_by
    assert [lane.lane for lane in fold.unwanted()] == ["draft"]
    assert not fold.wants("draft")
    assert not fold.ending


def test_where_the_draft_fell_silent_the_full_speaks_from_its_first_words() -> None:
    fold = turn(draft=GUARD)
    out = feed(fold, begin("draft"), begin("full"), say("draft", 0, "Let me see. It is free. So"))
    out += feed(fold, say("full", 0, "The"))
    assert spoken(out) == [("draft", "Let me see."), ("full", " The")]


def test_a_full_that_fails_does_not_free_what_was_guarded() -> None:
    for over in (True, False):
        fold = turn(draft=GUARD)
        out = feed(fold, begin("draft"), begin("full"), say("draft", 0, "Let me see. It costs 9 euros. So"))
        if over:
            out += feed(fold, end("draft"))
        out += feed(fold, end("full", "error", error={"message": "x", "code": "y"}))
        assert heard(out) == "Let me see."
        (ending,) = endings(out)
        assert (ending.reason, ending.error) == ("error", {"message": "x", "code": "y"})


def test_the_guard_holds_the_last_sentence_too() -> None:
    fold = turn(draft=GUARD)
    out = feed(fold, begin("draft"), say("draft", 0, "It costs 9 euros"), end("draft"))
    assert heard(out) == ""
    assert fold.draft_gate.blocked_by


@pytest.mark.parametrize("policy", [{"release": "sentence"}, {"draft": GUARD}])
@pytest.mark.parametrize("reason", ["error", "cancelled", "length"])
def test_a_broken_off_sentence_is_no_whole_one(policy: Any, reason: Any) -> None:
    fold = turn(**policy)
    out = feed(fold, begin("draft"), say("draft", 0, "Let me see. The fee for that"), end("draft", reason))
    assert heard(out) == "Let me see."
    out += feed(fold, begin("full"), say("full", 0, "None."), end("full"))
    assert heard(out) == "Let me see. None."


@pytest.mark.parametrize(
    ("draft", "reason"), [("Let me see. The fee for", "length"), ("The fee for", "error")]
)
def test_a_draft_cut_at_its_length_answers_with_its_whole_sentences(draft: str, reason: str) -> None:
    fold = turn(release="sentence", draft=ANSWER)
    out = feed(fold, begin("draft"), begin("full"), say("draft", 0, draft), end("draft", "length"))
    out += feed(fold, end("full", "error"))
    assert (heard(out), endings(out)[0].reason) == (draft[: draft.find(".") + 1], reason)


def test_a_profiles_own_rule_guards_as_well() -> None:
    fold = turn(draft={**GUARD, "guard_rules": ["acme"]})
    out = feed(fold, begin("draft"), say("draft", 0, "Let me see. ACME is good. So"))
    assert heard(out) == "Let me see."
    assert fold.draft_gate.blocked_by == "custom"


def test_an_unguarded_sentence_that_commits_is_spoken() -> None:
    out = feed(turn(), begin("draft"), say("draft", 0, "It costs 9 euros."))
    assert heard(out) == "It costs 9 euros."


@pytest.mark.parametrize("policy", [{"release": "sentence"}, {"draft": GUARD}])
def test_whole_sentences_only(policy: Any) -> None:
    fold = turn(**policy)
    out = feed(fold, begin("draft"), say("draft", 0, "Let me see. I am lo"))
    assert heard(out) == "Let me see."
    out += feed(fold, say("draft", 19, "oking"), end("draft"))
    assert heard(out) == "Let me see. I am looking"


# Fillers.


def test_a_filler_is_due_after_its_delay_and_then_after_each_interval() -> None:
    fold = turn(filler=FILLERS)
    feed(fold, begin("draft"), begin("full"))
    assert fold.next_due == Due(10, FILLER.due, 1_000)
    out = feed(fold, fire(Due(10, FILLER.due, 0), PHRASE), at_ms=1_004)
    assert spoken(out) == [("filler", PHRASE)]
    assert fold.next_due == Due(11, FILLER.due, 4_004)
    out += feed(fold, fire(Due(11, FILLER.due, 0), "Still there?"), at_ms=4_004)
    assert filler_due(fold) is None  # that was the last
    out += feed(fold, fire(Due(12, FILLER.due, 0), "And again."), at_ms=9_000)
    assert heard(out) == f"{PHRASE} Still there?"
    out += feed(fold, say("full", 0, "Here it is."), end("full"), at_ms=9_001)
    assert heard(out) == f"{PHRASE} Still there? Here it is."


def test_early_and_stale_times_say_nothing() -> None:
    fold = turn(filler=FILLERS)
    first = Due(10, FILLER.due, 0)
    assert feed(fold, begin("full"), fire(first, PHRASE), at_ms=999) == []
    assert fold.fillers_said == 0
    assert heard(feed(fold, fire(first, PHRASE), fire(first, "Twice."), at_ms=1_000)) == PHRASE
    assert feed(fold, fire(first, "Late."), TimerFired(TURN, 11, "cut", "Odd."), at_ms=9_000) == []


def test_a_bridge_is_followed_by_a_filler_after_as_long_a_silence() -> None:
    fold = turn(filler=FILLERS)
    out = feed(fold, begin("draft"), say("draft", 0, "Let me see."), end("draft"), at_ms=700)
    assert filler_due(fold) == Due(10, FILLER.due, 1_700)
    out += feed(fold, fire(Due(10, FILLER.due, 0), PHRASE), at_ms=1_700)
    assert heard(out) == f"Let me see. {PHRASE}"


def test_nothing_is_filled_once_the_answer_has_begun() -> None:
    fold = turn(filler=FILLERS)
    feed(fold, begin("full"), say("full", 0, "It"))
    assert filler_due(fold) is None
    assert feed(fold, fire(Due(10, FILLER.due, 0), PHRASE), at_ms=9_000) == []
    answer = turn(filler=FILLERS, draft={"style": "answer"})
    feed(answer, begin("draft"), say("draft", 0, "Let me see."))
    assert filler_due(answer) is None


def test_a_draft_that_has_to_answer_is_not_filled() -> None:
    fold = turn(filler=FILLERS, draft=ANSWER)
    feed(fold, begin("draft"), begin("full"), say("draft", 0, "Let me see."), end("full", "error"))
    assert fold.degraded
    assert filler_due(fold) is None


def test_while_the_draft_ends_its_sentence_nothing_is_filled() -> None:
    fold = turn(filler={**FILLERS, "delay_ms": 500})
    feed(fold, begin("draft"), begin("full"), say("draft", 0, "Let me"), say("full", 0, "Yes, it is. It"))
    assert [due.due for due in fold.dues() if due.due != "deadline"] == [CUT.due]


def test_a_phrase_meets_what_follows_cleanly() -> None:
    for phrase, draft, full, whole in (
        ("请稍等。", "好的", "答案。", "请稍等。好的…答案。"),
        (PHRASE, "Let me see.", "- one\n- two", f"{PHRASE} Let me see.\n\n- one\n- two"),
        ("Минуту…", "Смотрю.", "Готово.", "Минуту… Смотрю. Готово."),
        ("**Wait** ", " Let me see.", " Yes.", "**Wait** Let me see. Yes."),
    ):
        fold = turn(filler=FILLERS)
        out = feed(fold, begin("draft"), begin("full"), fire(Due(10, FILLER.due, 0), phrase), at_ms=1_000)
        out += feed(fold, say("draft", 0, draft), end("draft", "length", at=len(draft)))
        out += feed(fold, say("full", 0, full), end("full"))
        assert heard(out) == whole
        assert fold.released == len(whole)


def test_a_draft_that_stalls_in_mid_sentence_is_heard_to_break_off() -> None:
    fold = turn(filler=FILLERS)
    out = feed(fold, begin("draft"), begin("full"), say("draft", 0, "Let me **see"))
    out += feed(fold, fire(Due(10, FILLER.due, 0), PHRASE), at_ms=1_001)
    assert heard(out) == f"Let me **see…** {PHRASE}"
    out += feed(fold, say("full", 0, "Yes, it is. It"), say("draft", 12, "** now. Not"), at_ms=1_002)
    assert heard(out) == f"Let me **see…** {PHRASE} Yes, it is. It"


def test_without_a_phrase_in_the_language_it_is_not_tried_again() -> None:
    fold = turn(filler=FILLERS)
    feed(fold, begin("full"), fire(Due(10, FILLER.due, 0), ""), at_ms=1_000)
    assert filler_due(fold) is None


def test_no_phrases_no_due_time() -> None:
    assert filler_due(turn(filler={**FILLERS, "phrases": {}})) is None
    assert filler_due(turn(filler={**FILLERS, "maximum": 0})) is None


def test_a_filler_does_not_stand_for_an_answer() -> None:
    fold = turn(filler=FILLERS)
    out = feed(fold, begin("draft"), begin("full"), fire(Due(10, FILLER.due, 0), PHRASE), at_ms=1_000)
    out += feed(fold, end("draft", "error"), end("full", "error"))
    assert heard(out) == PHRASE
    assert endings(out)[0].reason == "error"


# The late draft: only a hedge of a full that is expected to be quick.


HEDGE = Due(DRAFT.number, DRAFT.due, 600)


def test_a_late_draft_is_started_at_its_time_and_not_before() -> None:
    fold = turn(late=True)
    feed(fold, begin("full"))
    assert fold.next_due == HEDGE
    feed(fold, fire(HEDGE), at_ms=599)
    assert fold.unstarted() == []
    assert fold.unwanted() == []
    feed(fold, fire(HEDGE), at_ms=600)
    assert [lane.lane for lane in fold.unstarted()] == ["draft"]
    out = feed(fold, begin("draft"), say("draft", 0, "Let me see."), at_ms=700)
    assert fold.unstarted() == []
    out += feed(fold, say("full", 0, "Yes. It is"), at_ms=800)
    assert heard(out) == "Let me see. Yes. It is"


def test_a_late_draft_is_started_when_the_full_fails() -> None:
    fold = turn(late=True, draft=ANSWER)
    feed(fold, begin("full"), end("full", "error"), at_ms=50)
    assert [lane.lane for lane in fold.unstarted()] == ["draft"]
    assert DRAFT.due not in [due.due for due in fold.dues()]
    out = feed(fold, begin("draft"), say("draft", 0, "Let me see."), end("draft"), at_ms=60)
    assert heard(out) == "Let me see."
    assert endings(out)[0].degraded


@pytest.mark.parametrize("join", JOINS)
def test_a_late_draft_is_never_started_where_the_full_was_quicker(join: str) -> None:
    fold = turn(late=True, handoff={"join": join})
    feed(fold, begin("full"), say("full", 0, "Yes"), at_ms=500)
    assert [due.due for due in fold.dues()] == ["deadline"]
    feed(fold, fire(HEDGE), at_ms=900)
    assert fold.unstarted() == fold.unwanted() == []
    feed(fold, end("full"), at_ms=1_000)
    assert fold.ending
    assert fold.unstarted() == fold.unwanted() == []


def test_a_turn_that_is_stopped_starts_no_late_draft() -> None:
    fold = turn(late=True)
    feed(fold, started(turn="bbbbbbbbbbbb"))
    feed(fold, fire(HEDGE), at_ms=700)
    assert fold.unstarted() == []
