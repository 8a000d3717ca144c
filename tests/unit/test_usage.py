"""What turns count for: told turns against figures worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Delta, Event, LaneFinished, TurnInterrupted
from common.tenants.usage import Account, day_of, field, tokens
from tests.support.told_costs import cost, counted, told
from tests.support.turn_events import TURN, begin, call, end, say, started

ERROR = {"message": "", "type": "upstream_error", "param": None, "code": "upstream_refused"}


# What was heard.


def test_a_hand_over_counts_both_lanes_and_what_of_the_draft_was_in_vain() -> None:
    turn = told(
        started(),
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me see. "),  # 12 characters of 24 are heard
        say("full", 0, "We open at nine. Yes."),
        say("draft", 12, "It is early."),
        end("draft", at=24, usage=cost(20, 8)),
        end("full", at=21, usage=cost(100, 6)),
    )
    assert counted(turn) == {
        "turns": 1,
        "drafted": 1,
        "hand_overs": 1,
        "draft_wins": 1,
        "draft_prompt_tokens": 20,
        "draft_completion_tokens": 8,
        "draft_wasted_tokens": 4,
        "full_prompt_tokens": 100,
        "full_completion_tokens": 6,
    }
    assert tokens(Account(turn).counts()) == 134


def test_the_full_alone_has_no_draft_to_count() -> None:
    turn = told(
        started(draft=False), begin("full"), say("full", 0, "Yes."), end("full", at=4, usage=cost(9, 2))
    )
    assert counted(turn) == {"turns": 1, "full_prompt_tokens": 9, "full_completion_tokens": 2}


def test_a_draft_that_was_too_late_is_wasted() -> None:
    turn = told(
        started(),
        begin("draft"),
        begin("full"),
        say("full", 0, "Yes."),
        say("draft", 0, "Well."),
        end("draft", "cancelled", at=5, usage=cost(0, 2, estimated=True)),
        end("full", at=4, usage=cost(9, 2)),
    )
    counts = counted(turn)
    assert counts["drafted"] == counts["hand_overs"] == 1 and "draft_wins" not in counts
    assert (counts["draft_wasted_tokens"], counts.get("full_wasted_tokens")) == (2, None)


def test_a_draft_stands_alone_where_the_full_fails() -> None:
    turn = told(
        started(draft={"style": "answer"}),
        begin("draft"),
        begin("full"),
        say("draft", 0, "At nine."),
        end("full", "error", error=ERROR),
        end("draft", at=8, usage=cost(5, 3)),
        degraded=True,
    )
    assert counted(turn) == {
        "turns": 1,
        "degraded": 1,
        "drafted": 1,
        "draft_wins": 1,
        "draft_only": 1,
        "draft_prompt_tokens": 5,
        "draft_completion_tokens": 3,
        "failure:upstream_refused": 1,
    }


def test_a_failed_turn_costs_what_its_lanes_cost() -> None:
    turn = told(
        started(draft=False),
        begin("full"),
        say("full", 0, "We op"),
        end("full", "error", at=5, usage=cost(50, 2), error=ERROR),
        reason="error",
    )
    assert counted(turn) == {
        "turns": 1,
        "failed": 1,
        "full_prompt_tokens": 50,
        "full_completion_tokens": 2,
        "failure:upstream_refused": 1,
    }


@pytest.mark.parametrize(
    "code, counter",
    [("turn_deadline", "turn_deadline"), ("Ключ sk-1", "other"), (None, "other"), ("a" * 65, "other")],
)
def test_a_failure_is_counted_by_a_code_that_is_one(code: Any, counter: str) -> None:
    turn = told(started(draft=False), begin("full"), reason="error")
    assert turn.ended
    ended = replace(turn.ended, error={**ERROR, "code": code})
    assert counted(replace(turn, ended=ended))[f"failure:{counter}"] == 1


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (TurnInterrupted(TURN, "client", -1), "interrupted"),
        (replace(started(), turn="bbbbbbbbbbbb"), "superseded"),
    ],
)
def test_who_is_interrupted_still_pays_for_what_was_said(stop: Event, reason: str) -> None:
    turn = told(
        started(),
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me see."),
        stop,
        end("draft", "cancelled", at=11, usage=cost(7, 3)),
        end("full", "cancelled", at=0, usage=cost(0, 0, estimated=True)),
        reason=reason,
    )
    assert counted(turn) == {
        "turns": 1,
        "interrupted": 1,
        "drafted": 1,
        "draft_wins": 1,
        "draft_prompt_tokens": 7,
        "draft_completion_tokens": 3,
    }


def test_tool_calls_are_no_waste_but_a_second_answer_nobody_hears_is() -> None:
    turn = told(
        started(),
        begin("draft"),
        begin("full"),
        call(0, 0, '{"a":1}'),
        end("draft", "cancelled", usage=cost(4, 2)),
        end("full", "tool_calls", usage=cost(30, 9)),
        reason="tool_calls",
    )
    counts = counted(turn)
    assert (counts["draft_wasted_tokens"], counts.get("full_wasted_tokens")) == (2, None)
    assert "draft_only" not in counts


def test_a_spoken_turn_is_counted_as_such() -> None:
    first = replace(started(draft=False), speech={"voice": "a", "format": "mp3"})
    assert counted(told(first)) == {"turns": 1, "spoken": 1}


def test_of_another_versions_turn_the_tokens_count_and_waste_is_not_known() -> None:
    first = replace(started(), fold=999)
    turn = told(
        first, begin("full"), say("full", 0, "Yes."), end("full", at=4, usage=cost(9, 2)), degraded=True
    )
    assert counted(turn) == {"turns": 1, "degraded": 1, "full_prompt_tokens": 9, "full_completion_tokens": 2}


# When it is whole.

OPEN = [begin("draft"), begin("full"), Delta(TURN, "draft", 1, 0, "Yes", 0)]
ENDS = [end("draft", "cancelled"), end("full")]


@pytest.mark.parametrize(
    ("events", "going"),
    [
        ([], False),
        (OPEN, True),
        ([*OPEN, ENDS[0]], True),
        ([*OPEN, *ENDS], False),
        ([begin("full"), ENDS[1]], False),
        ([begin("full"), end("full", "handed_over")], False),
        ([begin("full"), begin("full", 2), end("full", attempt=1)], True),
        ([begin("full"), begin("full", 2), end("full", attempt=2)], False),
        ([LaneFinished(TURN, "full", 1, 0, "stop", None, None, 0)], False),
    ],
)
def test_a_turn_is_whole_when_all_lanes_that_began_have_ended(events: list[Event], going: bool) -> None:
    assert Account(told(started(), *events)).waits is going


@pytest.mark.parametrize("stop", [end("full", at=4), TurnInterrupted(TURN, "client", -1)])
def test_a_lane_that_began_when_the_turn_was_over_is_not_waited_for(stop: Event) -> None:
    account = Account(told(started(), begin("full"), say("full", 0, "Yes."), stop, begin("draft")))
    assert account.waits is isinstance(stop, TurnInterrupted)  # of the full, which was cut
    assert not account.counts()["drafted"]


# Where it is written.


@pytest.mark.parametrize("profile", ["support", "a|b", "a b:{c}", "客服", "", "%7C"])
def test_a_profile_may_be_called_what_it_likes(profile: str) -> None:
    name, _, counter = field(profile, "turns").partition("|")
    assert counter == "turns" and "|" not in name
    assert field(profile, "turns") != field(profile + "|", "turns")


@pytest.mark.parametrize(
    ("time", "day"),
    [
        (datetime(2026, 11, 20, 23, 59, 59, 999_000, UTC), "20261120"),
        (datetime(2026, 11, 21, tzinfo=UTC), "20261121"),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), "20280229"),
    ],
)
def test_a_day_begins_at_midnight_utc(time: datetime, day: str) -> None:
    assert day_of(round(time.timestamp() * 1000)) == day
