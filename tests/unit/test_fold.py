"""The fold's policy, case by case."""

from dataclasses import replace
from typing import Any

import pytest

from common.events import Delta, Event, TimerFired, TurnEnded, TurnInterrupted
from common.turn.fold import Fold
from common.turn.joins.base import FINISH_MS
from common.turn.outputs import Due, PassedThrough, TextReleased, ToolCalled, TurnEnding
from common.turn.version import UnknownFold
from tests.support.turn_events import (
    TURN,
    begin,
    call,
    end,
    endings,
    extra,
    fold_all,
    heard,
    say,
    spoken,
    started,
)

NOW = {"cut": "now"}
ANSWER = {"style": "answer"}


def ending_of(releases: Any) -> Any:
    (only,) = endings(releases)
    return only


def test_the_full_alone_speaks_from_its_first_token() -> None:
    _, out = fold_all(
        started(draft=False), [begin("full"), say("full", 0, "He"), say("full", 2, "llo"), end("full")]
    )
    assert heard(out) == "Hello"
    assert ending_of(out).reason == "stop"


def test_the_draft_speaks_until_the_full_holds_a_sentence() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Good question."),
        say("full", 0, "The answer"),
        say("draft", 14, " Let me see."),
        say("full", 10, " is here. It"),
        say("draft", 26, " Never said."),
        say("full", 22, " is long."),
        end("full"),
    ]
    fold, out = fold_all(started(), events)
    assert spoken(out) == [
        ("draft", "Good question. Let me see."),
        ("full", " The answer is here. It is long."),
    ]
    assert [lane.lane for lane in fold.unwanted()] == ["draft"]


def test_the_draft_may_finish_its_sentence_and_is_then_unwanted() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me"),
        say("full", 0, "Yes, it is. Be"),
        say("draft", 6, " have a look. And"),
    ]
    fold, out = fold_all(started(), events)
    assert spoken(out) == [("draft", "Let me have a look."), ("full", " Yes, it is. Be")]
    assert [lane.lane for lane in fold.unwanted()] == ["draft"]
    assert not fold.wants("draft")
    assert fold.wants("full")


def test_the_draft_stops_at_once_when_told_now() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me"),
        say("full", 0, "Yes. It"),
        say("draft", 6, " go."),
    ]
    _, out = fold_all(started(handoff=NOW), events)
    assert heard(out) == "Let me Yes. It"


@pytest.mark.parametrize(
    "more, heard_draft", [(" quite a long way on and on and on", "Let me quite a long…"), ("! I", "Let me!")]
)
def test_the_overrun_ends_at_a_whole_word(more: str, heard_draft: str) -> None:
    policy = {"overrun_chars": 15}
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me"),
        say("full", 0, "Yes. It"),
        say("draft", 6, more),
    ]
    _, out = fold_all(started(handoff=policy), [*events, say("full", 7, " is. So")])
    assert heard(out) == heard_draft + " Yes. It is. So"


def test_a_draft_that_does_not_end_its_sentence_is_broken_off_in_time() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me se"),
        say("full", 0, "One. Two."),
        end("full"),
    ]
    fold, out = fold_all(started(), events)
    assert heard(out) == "Let me se"
    assert fold.next_due == Due(1, "cut", 3 + FINISH_MS)
    assert fold.feed(TimerFired(TURN, 1, "cut", ""), 2 + FINISH_MS) == []  # too early
    out += fold.feed(say("draft", 9, "e that"), 9)
    assert heard(out) == "Let me see"
    out += fold.feed(TimerFired(TURN, 1, "cut", ""), 3 + FINISH_MS)
    assert heard(out) == "Let me see… One. Two."
    assert ending_of(out).reason == "stop"


def test_first_token_overtakes_at_the_first_token() -> None:
    events: list[Event] = [begin("draft"), begin("full"), say("draft", 0, "Well. "), say("full", 0, "Y")]
    _, out = fold_all(started(handoff={"when": "first_token"}), events)
    assert heard(out) == "Well. Y"


def test_length_overtakes_when_the_full_has_caught_up() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Well then."),
        say("full", 0, "Yes. It"),
    ]
    fold, out = fold_all(started(handoff={"when": "length"}), events)
    assert heard(out) == "Well then."
    assert fold.feed(say("full", 7, " is."), 9)
    assert fold.full_speaks


def test_min_chars_overtake_without_a_sentence() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Well."),
        say("full", 0, "1234567890"),
    ]
    _, out = fold_all(started(handoff={"min_chars": 10}), events)
    assert heard(out) == "Well. 1234567890"


def test_a_full_that_is_first_speaks_at_once() -> None:
    fold, out = fold_all(started(), [begin("draft"), begin("full"), say("full", 0, "Y")])
    assert heard(out) == "Y"
    assert [lane.lane for lane in fold.unwanted()] == ["draft"]


def test_the_draft_is_released_by_sentences_when_told_so() -> None:
    events: list[Event] = [
        begin("draft"),
        say("draft", 0, "Good question. Let"),
        say("draft", 18, " me see. I"),
    ]
    _, out = fold_all(started(release="sentence"), events)
    assert heard(out) == "Good question. Let me see."


def test_a_draft_that_fails_goes_unnoticed() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        end("draft", "error", error={"message": "x", "code": "y"}),
    ]
    _, out = fold_all(started(), [*events, say("full", 0, "Hi"), end("full")])
    assert heard(out) == "Hi"
    assert ending_of(out).error is None
    assert not ending_of(out).degraded


def test_the_drafts_answer_stands_when_the_full_fails_before_it_spoke() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Hello"),
        end("full", "error"),
        say("draft", 5, " there."),
        end("draft"),
    ]
    _, out = fold_all(started(draft=ANSWER), events)
    assert heard(out) == "Hello there."
    assert (ending_of(out).reason, ending_of(out).degraded, ending_of(out).error) == ("stop", True, None)


def test_a_full_that_breaks_while_the_draft_ends_its_sentence_was_never_heard() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me"),
        say("full", 0, "Yes. It"),
        end("full", "error"),
        say("draft", 6, " see. There it is."),
        end("draft"),
    ]
    _, out = fold_all(started(draft=ANSWER), events)
    assert heard(out) == "Let me see. There it is."
    assert ending_of(out).degraded


def test_a_full_that_breaks_in_mid_answer_ends_the_turn_with_its_error() -> None:
    error = {"message": "broke", "code": "upstream_cut", "type": "upstream_error", "param": None}
    _, out = fold_all(
        started(draft=False), [begin("full"), say("full", 0, "Half"), end("full", "error", error=error)]
    )
    assert heard(out) == "Half"
    assert ending_of(out).error == error


def test_two_failures_make_one_error() -> None:
    for order in (("draft", "full"), ("full", "draft")):
        _, out = fold_all(started(), [begin("draft"), begin("full"), *(end(lane, "error") for lane in order)])
        assert ending_of(out).reason == "error"
        assert ending_of(out).error["code"] == "upstream_error"


def test_an_empty_full_leaves_the_draft_standing() -> None:
    _, out = fold_all(
        started(draft=ANSWER),
        [begin("draft"), begin("full"), say("draft", 0, "Hi."), end("draft"), end("full")],
    )
    assert heard(out) == "Hi."
    assert ending_of(out).degraded


def test_tool_calls_overtake_and_come_whole_at_the_end() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "One moment."),
        call(0, 0, '{"a"'),
        call(0, 4, ":1}"),
        call(1, 0, "{}"),
    ]
    fold, out = fold_all(started(), events)
    assert fold.full_speaks
    assert not [r for r in out if isinstance(r, ToolCalled)]
    out = fold.feed(end("full", "tool_calls"), 9)
    assert [(r.index, r.call.arguments) for r in out if isinstance(r, ToolCalled)] == [
        (0, '{"a":1}'),
        (1, "{}"),
    ]
    assert ending_of(out).reason == "tool_calls"


def test_a_broken_attempts_calls_are_made_anew() -> None:
    events: list[Event] = [
        begin("full"),
        call(0, 0, '{"a"'),
        begin("full", 2),
        call(0, 0, '{"b":2}', attempt=2),
        end("full", "tool_calls", 2),
    ]
    _, out = fold_all(started(draft=False), events)
    assert [r.call.arguments for r in out if isinstance(r, ToolCalled)] == ['{"b":2}']


def test_extras_pass_in_order_once() -> None:
    choices = [{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {"reasoning_content": "hm"}}]
    events: list[Event] = [
        begin("full"),
        extra(0, choices[0]),
        extra(0, choices[0]),
        extra(1, choices[1]),
        end("full"),
    ]
    _, out = fold_all(started(draft=False), events)
    assert [r.choice for r in out if isinstance(r, PassedThrough)] == choices


def test_the_cap_ends_the_turn_at_its_length() -> None:
    fold, out = fold_all(started(draft=False, max_chars=5), [begin("full"), say("full", 0, "123456789")])
    assert heard(out) == "12345"
    assert ending_of(out).reason == "length"
    assert [lane.lane for lane in fold.unwanted()] == ["full"]


def test_the_deadline_ends_the_turn() -> None:
    _, out = fold_all(started(), [begin("full"), TimerFired(TURN, 0, "deadline", "")])
    assert ending_of(out).error["code"] == "turn_deadline"


def test_a_finished_draft_answers_at_the_deadline() -> None:
    events: list[Event] = [
        begin("draft"),
        say("draft", 0, "Hi."),
        end("draft"),
        TimerFired(TURN, 0, "deadline", ""),
    ]
    _, out = fold_all(started(draft=ANSWER), events)
    assert ending_of(out).degraded
    assert ending_of(out).error is None


def test_an_interruption_and_a_later_turn_end_it() -> None:
    _, out = fold_all(started(), [TurnInterrupted(TURN, "client", 3)])
    assert ending_of(out).reason == "interrupted"
    _, out = fold_all(started(), [begin("full"), started(turn="bbbbbbbbbbbb")])
    assert ending_of(out).reason == "superseded"


def test_the_next_attempt_goes_on_and_the_former_is_void() -> None:
    events: list[Event] = [
        begin("full"),
        say("full", 0, "One "),
        begin("full", 2),
        say("full", 4, "two", attempt=2),
    ]
    zombie: list[Event] = [say("full", 4, "zombie"), end("full")]
    _, out = fold_all(started(draft=False), [*events, *zombie, end("full", attempt=2)])
    assert heard(out) == "One two"
    assert len(endings(out)) == 1


def test_a_gap_waits_for_its_text() -> None:
    events: list[Event] = [
        begin("full"),
        say("full", 3, "lost before"),
        say("full", 0, "Hey lost before"),
        end("full"),
    ]
    _, out = fold_all(started(draft=False), events)
    assert heard(out) == "Hey lost before"


def test_an_end_waits_for_its_text() -> None:
    events: list[Event] = [
        begin("full"),
        say("full", 0, "Hey"),
        end("full", at=9),
        say("full", 3, " there"),
        end("full", at=9),
    ]
    _, out = fold_all(started(draft=False), events)
    assert heard(out) == "Hey there"
    assert ending_of(out).at_ms == 4


def test_usage_is_told_by_lane_and_summed() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    fold, _ = fold_all(
        started(), [begin("draft"), end("draft", usage=usage), begin("full"), end("full", usage=usage)]
    )
    assert fold.usage()["sum"] == {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}
    assert fold.usage()["draft"] == usage


def test_an_unknown_version_is_refused() -> None:
    first = started()
    values = {name: getattr(first, name) for name in first.__slots__}
    with pytest.raises(UnknownFold):
        Fold(type(first)(**{**values, "fold": 999}))


def test_what_breaks_a_fold_ends_its_turn_wherever_it_is_folded() -> None:
    bad = Delta(TURN, "full", 1, 0, 7, 0)  # type: ignore[arg-type]
    for _ in range(2):
        fold = Fold(started())
        out = [release for event in (begin("full"), bad, bad) for release in fold.feed(event, 1)]
        assert [release.reason for release in out if isinstance(release, TurnEnding)] == ["error"]
        assert fold.ending and fold.ending.error and fold.ending.error["code"] == "internal_error"
        assert fold.broken_by and fold.next_due is None


@pytest.mark.parametrize(
    "broken",
    [{"lanes": {"full": 7}}, {"lanes": {"draft": None, "full": {}}}],
)
def test_a_start_that_can_not_be_folded_is_of_another_version(broken: dict[str, Any]) -> None:
    with pytest.raises(UnknownFold):
        Fold(replace(started(), **broken))


@pytest.mark.parametrize("code", ["turn_parked", "turn_deadline", "internal_error"])
def test_an_ending_by_force_ends_the_turn_where_it_stands(code: str) -> None:
    error = {"code": code, "message": "it can't go on", "type": "server_error", "param": None}
    forced = TurnEnded(TURN, "error", 0, {}, "", degraded=False, error=error)
    fold, out = fold_all(started(), [begin("full"), forced, say("full", 0, "Hello.")])
    assert fold.ending and (fold.ending.reason, fold.ending.error) == ("error", error)
    assert not any(isinstance(each, TextReleased) for each in out)
    usual = replace(forced, reason="stop", error=None)
    assert fold_all(started(), [begin("full"), usual])[0].ending is None
