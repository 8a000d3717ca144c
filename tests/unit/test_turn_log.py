"""A turn's log as a value, and the commands that its fold gives."""

import pytest

from common.events import Entry, Event, LaneFinished, TurnEnded
from common.turn.commands import EndTurn, StartLane, StopLane
from common.turn.fold import Fold
from common.turn.turn_log import FoldingTurn, TurnLog
from tests.support.turn_events import TURN, begin, end, heard, say, started

FIRST, AGAIN = (TurnEnded(TURN, reason, 0, {}, "", False, None) for reason in ("stop", "error"))


def entries(*events: Event) -> list[Entry]:
    return [Entry(f"{1_000 + number}-0", event) for number, event in enumerate(events)]


@pytest.mark.parametrize("events", [[], [begin("full")]])
def test_what_begins_with_no_start_is_no_turn(events: list[Event]) -> None:
    assert TurnLog.of(entries(*events)) is None
    assert TurnLog.find(entries(*events), TURN) is None


def test_a_turn_is_found_from_its_start_on_and_its_first_ending_counts() -> None:
    log = TurnLog.find(entries(begin("draft"), started(), begin("full"), FIRST, AGAIN), TURN)
    assert log and (log.start_ms, log.ended, log.ended_ms) == (1_001, FIRST, 1_003)
    assert log.events(LaneFinished) == []


def test_a_log_that_goes_on_may_end() -> None:
    log = TurnLog.of(entries(started(), begin("full")))
    assert log and log.ended is None and log.ended_ms is None
    assert log.extended([Entry("2000-0", FIRST)]).ended_ms == 2_000


def test_an_entry_that_comes_twice_is_folded_once() -> None:
    log = TurnLog.of(entries(started(draft=False), begin("full"), say("full", 0, "We open.")))
    assert log
    turn = FoldingTurn.begin(log)
    outputs = [turn.feed(entry) for entry in [*log.later, *log.entries]]
    assert outputs[2:] == [None, None, None]
    assert [heard(each or []) for each in outputs[:2]] == ["", "We open."]
    assert turn.last_id == log.entries[-1].id == log.fold_to_end().last_id


def test_a_lane_that_has_not_begun_is_told_to_stop_again_by_its_workers_name() -> None:
    fold = Fold(started())
    assert fold.commands() == [StartLane("draft"), StartLane("full")]
    for event in (begin("full"), say("full", 0, "We open.")):
        fold.feed(event, 5)
    assert fold.commands() == [StopLane("draft", 1, "")]
    fold.feed(begin("draft"), 6)
    assert fold.commands() == [StopLane("draft", 1, "w1")]
    fold.feed(end("full", at=8), 7)
    assert fold.commands() == [StopLane("draft", 1, "w1"), EndTurn()]
