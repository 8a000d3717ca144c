"""Reports a turn as plain JSON, for the API, the console, the webhook and the terminal.

Times are ms since the turn's start on the log's clock, or ms since 1970 if the name ends in `_at`.
"""

from typing import Any

from common.events import (
    Delta,
    Event,
    LaneFinished,
    LaneStarted,
    TimerFired,
    ToolPart,
    TurnInterrupted,
)
from common.records.recording import RecordedTurn
from common.records.replay import RecordedReplay, replay_as_recorded
from common.text.language import text_of
from common.turn.draft_cut import is_whole
from common.turn.lane_state import LaneState
from common.turn.outputs import DRAFT
from common.turn.version import UnknownFold


def report_turn(turn: RecordedTurn) -> dict[str, Any]:
    """Return the report of a turn, as far as it has come.

    What was released is null if another version folded it. All words are null if they were not kept: `record`
    says so.
    """
    try:
        folded = replay_as_recorded(turn)
    except UnknownFold:
        folded = None
    started = turn.started
    known = None if turn.dropped else folded
    return {
        "id": started.turn,
        "object": "session.turn",
        "started_at": turn.start_ms,
        "profile": started.profile,
        "drafting": started.drafting,
        "remembered": started.remembered,
        "caller": started.caller,
        "asked": _asked(started.request),
        **(_released(known) if known else _UNKNOWN),
        "lanes": {name: _lane(turn, name, known) for name in started.lanes},
        **_ending(turn, folded),
        "interrupted": _interrupted(turn),
        "fold": started.fold,
        "record": turn.ended.record if turn.ended else "full",
        "drift": known.drifted if known and turn.ended else None,
    }


def _asked(request: dict[str, Any]) -> str:
    """Return the last words of the user."""
    said = [m.get("content") for m in request.get("messages") or () if m.get("role") == "user"]
    return text_of(said[-1]) if said else ""


def _released(folded: RecordedReplay) -> dict[str, Any]:
    fold, said = folded.fold, folded.said
    first = next((piece.at_ms for piece in said if not piece.text.isspace()), None)
    return {
        "text": "".join(piece.text for piece in said),
        "heard": _heard(folded),
        "tool_calls": [
            {"id": call.call.id, "name": call.call.name, "arguments": call.call.arguments}
            for call in folded.called
        ],
        "fillers": [{"ms": piece.at_ms, "text": piece.text} for piece in said if piece.lane == "filler"],
        "first_sound_ms": first,
        "overtaken_ms": fold.overtaken_ms,
        "handed_over_ms": fold.handover_ms,
        "cut": fold.handover_ms is not None and not is_whole(fold.draft, fold.spoken["draft"]),
    }


_UNKNOWN = dict.fromkeys(
    (
        "text",
        "heard",
        "tool_calls",
        "fillers",
        "first_sound_ms",
        "overtaken_ms",
        "handed_over_ms",
        "cut",
    )
)


def _heard(folded: RecordedReplay) -> int:
    """Return how many of the released characters reached the caller, as far as is known."""
    told = [e.heard for _, e in folded.turn.events if isinstance(e, TurnInterrupted) and e.heard >= 0]
    return min([*told[-1:], folded.fold.released])


def _lane(turn: RecordedTurn, name: str, folded: RecordedReplay | None) -> dict[str, Any]:
    """Return a lane's report by its own events: these mean the same to every version, and may come after
    the turn's end.
    """
    state = LaneState("draft" if name == "draft" else "full")
    started_ms = first_token_ms = finished_ms = None
    for ms, event in turn.events:
        if not _is_of(event, turn, name):
            continue
        was_over = state.over
        state.apply(event)  # type: ignore[arg-type]
        if isinstance(event, LaneStarted) and started_ms is None:
            started_ms = ms
        elif isinstance(event, Delta | ToolPart) and first_token_ms is None:
            first_token_ms = ms
        elif state.over and not was_over:
            finished_ms = ms
    finished = state.finished
    released = sum(len(p.text) for p in folded.said if p.lane == name) if folded else None
    return {
        "model": turn.started.lanes[name].get("model"),
        "attempts": state.attempt,
        "queued_ms": _queued_ms(turn, name, started_ms),
        "started_ms": started_ms,
        "first_token_ms": first_token_ms,
        "finished_ms": finished_ms,
        "reason": finished.reason if finished else None,
        "chars": len(state.text),
        "released_chars": released,
        "usage": _usage(turn, name, folded) or (finished.usage if finished else None),
        "error": finished.error if finished else None,
    }


def _usage(turn: RecordedTurn, lane: str, folded: RecordedReplay | None) -> Any:
    """Return the lane's cost, as reported to the turn's client, or as far as it is known now."""
    if turn.ended:
        return turn.ended.usage.get(lane)
    return folded.fold.usage().get(lane) if folded else None


def _is_of(event: Event, turn: RecordedTurn, lane: str) -> bool:
    return event.turn == turn.started.turn and getattr(event, "lane", None) == lane


def _queued_ms(turn: RecordedTurn, lane: str, started_ms: int | None) -> int | None:
    """Return when the lane's job was queued: at once or, for a late draft, when it was due or the full
    failed.
    """
    if not turn.started.lanes[lane].get("late"):
        return 0
    causes = [
        ms
        for ms, event in turn.events
        if (isinstance(event, TimerFired) and event.due == DRAFT.due)
        or (isinstance(event, LaneFinished) and event.lane == "full")
    ]
    return None if started_ms is None else max([ms for ms in causes if ms <= started_ms], default=None)


def _ending(turn: RecordedTurn, folded: RecordedReplay | None) -> dict[str, Any]:
    """Return how the turn ended: by its `turn.ended`, else by the fold so far; null while it goes on."""
    ending = folded.fold.ending if folded else None
    said = turn.ended or ending
    return {
        "ended_ms": ending.at_ms if ending else None,
        "reason": said.reason if said else None,
        "degraded": said.degraded if said else None,
        "error": said.error if said else None,
        "usage": turn.ended.usage if turn.ended else None,
    }


def _interrupted(turn: RecordedTurn) -> dict[str, Any] | None:
    """Return who stopped the turn, and how much was heard by the latest report of it."""
    stops = [event for _, event in turn.events if isinstance(event, TurnInterrupted)]
    if not stops:
        return None
    told = [stop.heard for stop in stops if stop.heard >= 0]
    return {"by": stops[0].by, "heard": told[-1] if told else None}
