"""Recorded turns for tests: one that tells all, and what a driver would have made of it under a policy."""

from dataclasses import replace
from itertools import product
from typing import Any

from bench.data import Answered
from bench.pace import SHADOW, Pace, record
from common.events import Event, LaneFinished, TimerFired, TurnEnded
from common.records.recording import RecordedTurn
from common.records.replay import ReplayedTurn
from common.turn.fold import Fold
from common.turn.policy import Policy
from tests.support.turn_events import started

DRAFT = (
    "Good question, let me see. The museum opens at nine. It is in the old town. You can take the tram there."
)
FULL = (
    "The museum opens at nine. On Mondays it stays closed. Tickets are sold at the door. Children are free."
)
PACE = Pace(draft_first_ms=200, full_first_ms=900, draft_tps=25, full_tps=40)
OFTEN = {"phrases": {"*": ["One moment.", "Still here."]}, "delay_ms": 150, "interval_ms": 500, "maximum": 3}
GRID = [
    {"handoff": {"when": when, "cut": cut, "join": join}, "draft": {"release": release}, "filler": filler}
    for when, cut, join, release, filler in product(
        ("sentence", "first_token", "length"),
        ("sentence", "now"),
        ("append", "skip_repeat"),
        ("token", "sentence"),
        ({}, OFTEN),
    )
]


def policy(*parts: dict[str, Any], shadow: bool = False) -> Policy:
    made = SHADOW.model_dump()
    made["handoff"]["shadow"] = shadow
    for part in parts:
        for name, value in part.items():
            made[name] = made[name] | value if isinstance(value, dict) else value
    return Policy.model_validate(made)


def shadowed(pace: Pace = PACE) -> RecordedTurn:
    """A recording that tells all."""
    return record(Answered("1", "When does it open?", DRAFT, FULL), pace)


def live(turn: RecordedTurn, under: Policy, stop_ms: int = 8) -> RecordedTurn:
    """The recording that a driver would have made of these answers: timers written, the draft cut."""
    fold = Fold(replace(turn.started, policy=under.model_dump()))
    events: list[tuple[int, Event]] = []
    cut_ms: int | None = None

    def feed(event: Event, ms: int) -> None:
        nonlocal cut_ms
        events.append((ms, event))
        fold.feed(event, ms)
        if cut_ms is None and not fold.wants("draft") and not fold.draft.over:
            cut_ms = ms + stop_ms

    for ms, event in turn.events:
        while (due := fold.next_due) and due.at_ms <= ms:
            feed(
                TimerFired(name_of(turn), due.number, due.due, "One moment." if due.number > 9 else ""),
                due.at_ms,
            )
        if getattr(event, "lane", "") == "draft" and cut_ms is not None and ms >= cut_ms:
            continue
        feed(event, ms)
    if cut_ms is not None:
        text = str(fold.draft.text)
        finish = LaneFinished(name_of(turn), "draft", 1, len(text), "cancelled", None, None, cut_ms)
        events.append((cut_ms, finish))
        events.sort(key=lambda timed: timed[0])
    assert fold.ending is not None
    ended = TurnEnded(name_of(turn), fold.ending.reason, fold.released, {}, fold.hash(), False, None)
    return RecordedTurn(replace(turn.started, policy=under.model_dump()), events, ended)


def name_of(turn: RecordedTurn) -> str:
    return turn.started.turn


def said(folded: ReplayedTurn) -> list[tuple[str, int, str]]:
    return [(piece.lane, piece.at_ms, piece.text) for piece in folded.said]


def recording(*events: tuple[int, Event], draft: bool = True, **parts: Any) -> RecordedTurn:
    return RecordedTurn(started(draft=draft, **parts), list(events), None)


def changed(old: Policy, **parts: dict[str, Any]) -> Policy:
    made = old.model_dump()
    for name, part in parts.items():
        made[name] |= part
    return Policy.model_validate(made)
