"""Folds a whole session as its log goes on: what each entry releases, of whichever turn."""

import math
from typing import Any

from common.events import Entry, TurnEnded, TurnStarted
from common.turn.fold import Fold
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled, TurnEnding
from common.turn.turn_log import FoldingTurn
from common.turn.version import UnknownFold

SLOWEST, FASTEST = 0.1, 100.0


def parse_speed(text: str) -> float:
    """Return the speed of a replay relative to the original; infinite for `max`. Raises ValueError."""
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not SLOWEST <= speed <= FASTEST:
        raise ValueError(f"speed is max, or from {SLOWEST:g} to {FASTEST:g}")
    return speed


class SessionFold:
    """Folds a session's turns; it is fed the session's entries in log order, from the first."""

    def __init__(self) -> None:
        self._going: dict[str, FoldingTurn] = {}  # turns that have not ended, by id
        self._unknown: set[str] = set()

    def feed(self, entry: Entry) -> list[tuple[str, Output]] | None:
        """Return the outputs that the entry releases, each with its turn; None if another version folds
        its turn.
        """
        event = entry.event
        if isinstance(event, TurnStarted):
            ended = [(turn, release) for turn in tuple(self._going) for release in self._feed(turn, entry)]
            return ended if self._begin(entry, event) else None
        if event.turn in self._unknown:
            return None
        released = self._feed(event.turn, entry)
        if isinstance(event, TurnEnded):
            self._going.pop(event.turn, None)
        return [(event.turn, release) for release in released]

    def _begin(self, start: Entry, started: TurnStarted) -> bool:
        try:
            self._going[started.turn] = FoldingTurn.at_start(Fold(started), start)
        except UnknownFold:
            self._unknown.add(started.turn)
            return False
        return True

    def _feed(self, turn: str, entry: Entry) -> list[Output]:
        going = self._going.get(turn)
        return (going.feed(entry) or []) if going else []


def describe(turn: str, release: Output) -> dict[str, Any]:
    """Return an output as plain JSON."""
    match release:
        case TextReleased(lane, text):
            said: dict[str, Any] = {"lane": lane, "text": text}
        case ToolCalled(index, call):
            said = {"call": {"index": index, "id": call.id, "name": call.name, "arguments": call.arguments}}
        case PassedThrough(choice):
            said = {"passed": choice}
        case TurnEnding(reason, degraded, error):
            said = {"ended": reason, "degraded": degraded, "error": error}
    return {"turn": turn, **said}
