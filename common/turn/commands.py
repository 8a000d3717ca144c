"""The commands by which a fold drives its turn. Each may be carried out twice, by anyone."""

from dataclasses import dataclass

from common.names import Lane
from common.turn.lane_state import LaneState
from common.turn.outputs import Due


@dataclass(frozen=True, slots=True)
class StopLane:
    """Stop a lane's latest attempt. Once it has begun, its worker is named: that is a new command."""

    lane: Lane
    attempt: int
    worker: str

    @staticmethod
    def of(lane: LaneState) -> "StopLane":
        """Return the command that stops this lane."""
        return StopLane(lane.lane, max(1, lane.attempt), lane.worker)


@dataclass(frozen=True, slots=True)
class StartLane:
    """Queue a lane's first attempt."""

    lane: Lane


@dataclass(frozen=True, slots=True)
class FireTimer:
    """Write that a due time has come; the fold says what follows from it."""

    due: Due


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Write the ending that the fold has reached, and let the turn go."""


Command = StopLane | StartLane | FireTimer | EndTurn
