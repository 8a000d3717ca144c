"""A full that fails: what is said, and how the turn ends, by what was heard until then."""

from typing import Any

import pytest

from common.events import Event, LaneFinished, TimerFired, TurnInterrupted
from common.turn.apology import apology_for, chosen
from common.turn.fold import Fold
from common.turn.joins.registry import JOINS
from common.turn.outputs import CUT, PassedThrough, ToolCalled
from common.turn.policy import ApologyPolicy
from tests.support.turn_events import (
    TURN,
    begin,
    call,
    end,
    endings,
    extra,
    fire,
    fold_all,
    heard,
    say,
    spoken,
    started,
)

SORRY = "I'm sorry, that didn't work. Please try again."
APOLOGY = {"phrases": {"en": [SORRY], "de": ["Das ging leider nicht."]}}
ANSWER = {"style": "answer"}
BRIDGE = "Let me look at that for you."
ERROR = {"message": "m", "type": "upstream_error", "param": None, "code": "upstream_refused"}


def ended(releases: Any) -> tuple[str, bool, str | None]:
    """Reason, degraded, error code of the one ending, which is the last release."""
    (only,) = endings(releases)
    assert releases[-1] is only
    return only.reason, only.degraded, only.error and only.error["code"]


def bridged(*events: Event, **policy: Any) -> tuple[Fold, list[Any]]:
    """A turn whose draft has said a bridge, and then these events."""
    first = started(**{"apology": APOLOGY, **policy})
    return fold_all(first, [begin("draft"), begin("full"), say("draft", 0, BRIDGE), *events])


FAILURES = {
    "refused": [end("full", "error", error=ERROR)],
    "no reason": [end("full", "error")],
    "empty": [end("full")],
    "blank": [say("full", 0, " \n\u3000"), end("full", at=3)],
    "thoughts alone": [extra(0, {"delta": {"reasoning_content": "Hm."}}), end("full")],
    "notes alone": [extra(0, {"delta": {"annotations": [{}], "refusal": "", "images": []}}), end("full")],
    "calls promised": [end("full", "tool_calls")],
    "a function promised": [end("full", "function_call")],
    "lost": [end("full", "cancelled")],
}


@pytest.mark.parametrize("draft_over", [True, False])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_after_a_bridge_it_is_an_apology_and_an_error(failure: list[Event], draft_over: bool) -> None:
    over = [end("draft", at=len(BRIDGE))] if draft_over else []
    fold, out = bridged(*over, *failure)
    assert spoken(out) == [("draft", BRIDGE), ("filler", " " + SORRY)]
    reason, degraded, code = ended(out)
    assert (reason, degraded) == ("error", False)
    assert code in ("upstream_refused", "upstream_error", "upstream_empty")
    assert (fold.overtaken_ms, fold.handover_ms) == (None, None)
    assert not fold.unwanted() or draft_over is False


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_an_answer_that_the_draft_gave_whole_stands(failure: list[Event]) -> None:
    _, out = bridged(end("draft", at=len(BRIDGE)), *failure, draft=ANSWER)
    assert (heard(out), ended(out)) == (BRIDGE, ("stop", True, None))


def test_without_an_apology_the_bridge_ends_with_the_error() -> None:
    _, out = bridged(end("full", "error", error=ERROR), apology={})
    assert (heard(out), ended(out)) == (BRIDGE, ("error", False, "upstream_refused"))


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_where_nothing_was_heard_it_is_the_apology_alone(failure: list[Event]) -> None:
    first = started(draft=False, apology=APOLOGY)
    _, out = fold_all(first, [begin("full"), *failure])
    assert heard(out).strip() == SORRY
    assert ended(out)[0] == "error"


@pytest.mark.parametrize("draft", [True, ANSWER])
def test_what_the_full_broke_off_in_before_it_was_heard_is_not_said(draft: Any) -> None:
    broken: list[Event] = [say("full", 0, "The"), end("full", "error", error=ERROR, at=3)]
    _, out = bridged(*broken, end("draft", at=len(BRIDGE)), draft=draft)
    assert heard(out) == (BRIDGE if draft == ANSWER else f"{BRIDGE} {SORRY}")


def test_half_an_answer_is_not_apologized_for() -> None:
    first = started(draft=False, apology=APOLOGY)
    _, out = fold_all(first, [begin("full"), say("full", 0, "We op"), end("full", "error", at=5)])
    assert (heard(out), ended(out)[0]) == ("We op", "error")


def test_a_bridge_may_end_its_sentence_first() -> None:
    first = started(apology=APOLOGY)
    fold, out = fold_all(
        first, [begin("draft"), begin("full"), say("draft", 0, "Let me"), end("full", "error")]
    )
    assert not fold.ending
    out += fold.feed(say("draft", 6, " see. Then"), 9)
    assert spoken(out) == [("draft", "Let me see."), ("filler", " " + SORRY)]
    assert ended(out)[0] == "error"


def test_a_bridge_that_stalls_is_broken_off_in_time() -> None:
    first = started(apology=APOLOGY)
    fold, out = fold_all(
        first, [begin("draft"), begin("full"), say("draft", 0, "Let me"), end("full", "error")]
    )
    (due,) = [each for each in fold.dues() if each.due == CUT.due]
    out += fold.feed(fire(due), due.at_ms)
    assert heard(out) == f"Let me… {SORRY}"
    assert ended(out)[0] == "error"


def test_after_a_filler_it_is_no_answer_either() -> None:
    first = started(draft=False, apology=APOLOGY, filler={"phrases": {"en": ["One moment."]}, "delay_ms": 5})
    fold, out = fold_all(first, [begin("full")])
    out += fold.feed(TimerFired(TURN, 10, "filler", "One moment."), 5)
    out += fold.feed(end("full", "error", error=ERROR), 6)
    assert heard(out) == f"One moment. {SORRY}"
    assert ended(out) == ("error", False, "upstream_refused")


def test_a_draft_that_was_silenced_is_no_answer() -> None:
    """What was guarded came after a bridge: the draft's own answer never was."""
    policy: dict[str, Any] = {"draft": {**ANSWER, "guard": True}, "apology": APOLOGY}
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "It costs 9 euros. So"),
        end("full", "error"),
    ]
    _, out = fold_all(started(**policy), events)
    assert (heard(out), ended(out)[0]) == (SORRY, "error")


def test_at_the_deadline_a_bridge_is_no_answer() -> None:
    events: list[Event] = [end("draft", at=len(BRIDGE)), TimerFired(TURN, 0, "deadline", "")]
    _, out = bridged(*events)
    assert (heard(out), ended(out)) == (f"{BRIDGE} {SORRY}", ("error", False, "turn_deadline"))


@pytest.mark.parametrize("join", JOINS)
def test_however_the_lanes_are_joined(join: str) -> None:
    over = end("draft", at=len(BRIDGE))
    _, out = bridged(over, end("full", "error", error=ERROR), handoff={"join": join})
    assert (heard(out), ended(out)) == (f"{BRIDGE} {SORRY}", ("error", False, "upstream_refused"))


def test_a_late_bridge_is_not_begun_for_a_full_that_has_failed() -> None:
    fold, out = fold_all(started(late=True, apology=APOLOGY), [begin("full"), end("full", "error")])
    assert (heard(out), ended(out)[0]) == (SORRY, "error")
    assert fold.unstarted() == []


@pytest.mark.parametrize("by", ["client", "next_turn"])
def test_who_stops_a_turn_is_not_apologized_to(by: str) -> None:
    _, out = bridged(TurnInterrupted(TURN, by, -1))
    assert heard(out) == BRIDGE
    assert ended(out)[0] in ("interrupted", "superseded")


def test_an_apology_that_has_no_room_left_does_not_take_the_errors_place() -> None:
    _, out = bridged(end("full", "error", error=ERROR), max_chars=len(BRIDGE) + 20)
    assert (heard(out), ended(out)) == (BRIDGE, ("error", False, "upstream_refused"))


# What is no failure.


def test_a_call_alone_is_an_answer() -> None:
    _, out = bridged(call(0, 0, "{}"), end("full", "tool_calls"))
    assert [r.call.name for r in out if isinstance(r, ToolCalled)] == ["f"]
    assert (heard(out), ended(out)) == (BRIDGE, ("tool_calls", False, None))


IN_PLACE_OF_TEXT: dict[str, tuple[list[dict[str, Any]], str]] = {
    "refusal": ([{"refusal": "I can't"}, {"refusal": " do that."}], "stop"),
    "function_call": ([{"function_call": {"name": "f", "arguments": ""}}], "function_call"),
    "audio": ([{"audio": {"id": "a", "data": "AAA="}}], "stop"),
    "images": ([{"images": [{"type": "image_url"}]}], "stop"),
}


@pytest.mark.parametrize("deltas, reason", IN_PLACE_OF_TEXT.values(), ids=IN_PLACE_OF_TEXT.keys())
@pytest.mark.parametrize("draft", [True, ANSWER])
def test_what_stands_in_the_place_of_text_overtakes_and_is_passed_on(
    deltas: list[dict[str, Any]], reason: str, draft: Any
) -> None:
    extras = [extra(number, {"delta": delta}) for number, delta in enumerate(deltas)]
    fold, out = bridged(*extras, end("full", reason), draft=draft)
    assert [r.choice["delta"] for r in out if isinstance(r, PassedThrough)] == deltas
    assert (heard(out), ended(out)) == (BRIDGE, (reason, False, None))
    assert fold.handover_ms is not None


@pytest.mark.parametrize("reason", ["content_filter", "length"])
def test_a_filter_and_a_length_are_the_fulls_own_end(reason: str) -> None:
    filtered = {"delta": {}, "content_filter_results": {"hate": {"filtered": True}}}
    _, out = bridged(extra(0, filtered), end("full", reason), apology={})
    assert [r.choice for r in out if isinstance(r, PassedThrough)] == [filtered]
    assert (heard(out), ended(out)) == (BRIDGE, (reason, False, None))
    _, out = bridged(end("full", reason))
    assert (heard(out), ended(out)) == (f"{BRIDGE} {SORRY}", (reason, False, None))
    _, out = bridged(end("full", reason), draft=ANSWER)
    assert (heard(out), ended(out)) == (BRIDGE, (reason, False, None))


def test_the_older_word_for_a_call_is_told_by_the_form_of_the_call() -> None:
    _, out = fold_all(started(draft=False), [begin("full"), call(0, 0, "{}"), end("full", "function_call")])
    assert ended(out)[0] == "tool_calls"
    events: list[Event] = [begin("full"), say("full", 0, "Hello."), end("full", "function_call")]
    assert ended(fold_all(started(draft=False), events)[1])[0] == "stop"


def test_other_choices_alone_are_an_answer() -> None:
    events: list[Event] = [begin("full"), extra(0, {"index": 1, "delta": {"content": "Hi"}}), end("full")]
    assert ended(fold_all(started(draft=False), events)[1])[0] == "stop"


def test_a_turn_whose_words_are_not_kept_says_nothing_new() -> None:
    first = started(draft=False, apology=APOLOGY)
    values = {name: getattr(first, name) for name in first.__slots__}
    dropped = type(first)(**{**values, "request": {"messages": []}, "record": "none"})
    _, out = fold_all(dropped, [begin("full"), LaneFinished(TURN, "full", 1, 0, "error", None, ERROR, 0)])
    assert heard(out) == ""
    _, out = fold_all(dropped, [begin("full"), LaneFinished(TURN, "full", 1, 0, "stop", None, None, 0)])
    assert ended(out) == ("stop", False, None)  # nobody knows that it was empty


# Which phrase.


@pytest.mark.parametrize(
    "said, phrases, phrase",
    [
        ("Wann haben Sie geöffnet, bitte?", APOLOGY["phrases"], "Das ging leider nicht."),
        ("When do you open?", APOLOGY["phrases"], SORRY),
        ("営業時間は?", APOLOGY["phrases"], ""),
        ("営業時間は?", {"*": ["…"], "en": ["x"]}, "…"),
        ("When?", {"en": [], "*": ["any"]}, "any"),
        ("When?", {}, ""),
    ],
)
def test_the_phrase_is_in_the_callers_language(said: str, phrases: dict[str, Any], phrase: str) -> None:
    policy = ApologyPolicy(phrases=phrases)
    messages = [{"role": "user", "content": said}, {"role": "assistant", "content": "x"}]
    assert apology_for(policy, messages, TURN) == phrase
    mine = chosen(policy, messages, TURN)
    assert apology_for(mine, [{"role": "user", "content": "masked"}], TURN) == phrase


def test_of_several_one_is_chosen_by_the_turns_name_alone() -> None:
    policy = ApologyPolicy(phrases={"en": ("a", "b", "c")})
    said = [{"role": "user", "content": "When?"}]
    names = [f"{number:012d}" for number in range(60)]
    first = [apology_for(policy, said, name) for name in names]
    assert first == [apology_for(policy, said, name) for name in names]
    assert set(first) == {"a", "b", "c"}
