"""The outputs of a fold, and the times that it waits for."""

from dataclasses import dataclass
from typing import Any

from common.names import Lane
from common.turn.lane_state import ToolCallState


@dataclass(frozen=True, slots=True)
class TextReleased:
    """Text let out, and the lane that says it. `at_ms`: when, since the turn's start."""

    lane: Lane
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """One whole tool call let out."""

    index: int
    call: ToolCallState
    at_ms: int


@dataclass(frozen=True, slots=True)
class PassedThrough:
    """Anything else of the full's chunk, let out as it came."""

    choice: dict[str, Any]
    at_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnding:
    """The one ending of a turn: a finish reason of OpenAI's, or error, interrupted, superseded."""

    reason: str
    degraded: bool
    error: dict[str, Any] | None
    at_ms: int


Output = TextReleased | ToolCalled | PassedThrough | TurnEnding


@dataclass(frozen=True, slots=True)
class Due:
    """A time at which the fold wants to be told, ms since the turn's start. Each due time has its number."""

    number: int
    due: str
    at_ms: int


# What can be due, by its number. Fillers are numbered from FILLER on.
DEADLINE = Due(0, "deadline", 0)
CUT = Due(1, "cut", 0)
DRAFT = Due(2, "draft", 0)
TOLD = Due(3, "told", 0)
REST = Due(4, "rest", 0)
FILLER = Due(10, "filler", 0)
