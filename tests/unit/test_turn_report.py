"""The one report of a turn: what was let out, each lane's times, and how it ended."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from common.events import Event, LaneFinished, TimerFired, TurnEnded, TurnInterrupted, TurnStarted
from common.records.recording import RecordedTurn
from common.records.report import report_turn
from common.turn.outputs import DRAFT
from tests.support.recorded_turns import live, policy, shadowed
from tests.support.turn_events import TURN, begin, call, end, say, started

ESTIMATED = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4, "estimated": True}


def told(first: TurnStarted, *events: tuple[int, Event], ended: TurnEnded | None = None) -> dict[str, Any]:
    report = report_turn(RecordedTurn(first, list(events), ended, start_ms=1_000))
    assert orjson.loads(orjson.dumps(report)) == report
    return report


HANDED_OVER: list[tuple[int, Event]] = [
    (5, begin("draft")),
    (6, begin("full")),
    (100, say("draft", 0, "Let me see.")),
    (900, say("full", 0, "We open at nine. Yes.")),
    (930, end("draft", "cancelled", at=11, usage={"completion_tokens": 3})),
    (1_000, end("full", at=21)),
]


def test_a_turn_is_told_with_both_lanes_and_the_hand_over() -> None:
    report = told(started(), *HANDED_OVER)
    assert (report["id"], report["started_at"], report["asked"]) == (TURN, 1_000, "Hi")
    assert report["text"] == "Let me see. We open at nine. Yes."
    assert (report["first_sound_ms"], report["overtaken_ms"], report["handed_over_ms"]) == (100, 900, 900)
    assert (report["reason"], report["ended_ms"], report["degraded"], report["cut"]) == (
        "stop",
        1_000,
        False,
        False,
    )
    draft, full = report["lanes"]["draft"], report["lanes"]["full"]
    assert [draft[f"{name}_ms"] for name in ("queued", "started", "first_token", "finished")] == [
        0,
        5,
        100,
        930,
    ]
    assert (draft["reason"], draft["usage"], draft["chars"]) == ("cancelled", ESTIMATED, 11)
    assert draft["released_chars"] + full["released_chars"] == len(report["text"])
    assert (full["model"], full["attempts"], full["reason"]) == ("full", 1, "stop")
    assert report["heard"] == len(report["text"]) and report["interrupted"] is None


def test_a_live_turn_is_told_as_far_as_it_has_come() -> None:
    report = told(started(), *HANDED_OVER[:3])
    assert report["text"] == "Let me see."
    assert (report["reason"], report["ended_ms"], report["drift"]) == (None, None, None)
    assert report["lanes"]["full"]["first_token_ms"] is None


def test_a_new_attempt_is_counted_and_a_zombie_is_not() -> None:
    events: list[tuple[int, Event]] = [
        (5, begin("full")),
        (50, begin("full", 2)),
        (60, end("full", at=0)),
        (70, say("full", 0, "Yes.", 2)),
        (80, end("full", attempt=2, at=4)),
    ]
    lane = told(started(draft=False), *events)["lanes"]["full"]
    assert (lane["attempts"], lane["started_ms"], lane["finished_ms"], lane["chars"]) == (2, 5, 80, 4)


@pytest.mark.parametrize(
    ("cause", "ms"),
    [
        (TimerFired(TURN, DRAFT.number, DRAFT.due, ""), 600),
        (LaneFinished(TURN, "full", 1, 0, "error", None, {"code": "upstream_refused"}, 600), 600),
    ],
)
def test_a_late_draft_was_queued_when_its_time_came(cause: Event, ms: int) -> None:
    first = started(late=True)
    assert told(first, (1, begin("full")))["lanes"]["draft"]["queued_ms"] is None
    report = told(first, (1, begin("full")), (ms, cause), (ms + 4, begin("draft")))
    assert report["lanes"]["draft"]["queued_ms"] == ms


def test_an_interruption_says_by_whom_and_how_much_was_heard() -> None:
    stops: list[tuple[int, Event]] = [
        (950, TurnInterrupted(TURN, "client", -1)),
        (990, TurnInterrupted(TURN, "client", 7)),
    ]
    report = told(started(), *HANDED_OVER[:4], *stops)
    assert report["interrupted"] == {"by": "client", "heard": 7}
    assert (report["reason"], report["heard"], report["ended_ms"]) == ("interrupted", 7, 950)


def test_fillers_and_tool_calls_are_told() -> None:
    filler = {"phrases": {"en": ["One moment."]}, "delay_ms": 500}
    events: list[tuple[int, Event]] = [
        (5, begin("full")),
        (500, TimerFired(TURN, 10, "filler", "One moment.")),
        (700, call(0, 0, '{"a":1}')),
        (800, end("full", "tool_calls")),
    ]
    report = told(started(draft=False, filler=filler), *events)
    assert report["fillers"] == [{"ms": 500, "text": "One moment."}]
    assert report["tool_calls"] == [{"id": "call_0", "name": "f", "arguments": '{"a":1}'}]
    assert (report["first_sound_ms"], report["reason"]) == (500, "tool_calls")


def test_a_draft_that_was_broken_off_is_told_as_cut() -> None:
    under = {"handoff": {"when": "first_token", "cut": "now"}}
    assert report_turn(live(shadowed(), policy(under)))["cut"] is True


def test_drift_and_other_versions_are_told() -> None:
    turn = live(shadowed(), policy())
    assert turn.ended and report_turn(turn)["drift"] is False
    drifted = replace(turn, ended=replace(turn.ended, hash="0"))
    assert report_turn(drifted)["drift"] is True
    foreign = replace(turn, started=replace(turn.started, fold=999))
    report = report_turn(foreign)
    assert (report["drift"], report["text"], report["fold"]) == (None, None, 999)
    assert report["reason"] == turn.ended.reason
    assert report["lanes"]["full"]["chars"] and report["lanes"]["full"]["released_chars"] is None
