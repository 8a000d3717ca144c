"""Told turns and what is counted of them."""

from typing import Any

from common.events import Event, TurnEnded, TurnStarted
from common.records.recording import RecordedTurn
from common.tenants.usage import Account, Counts
from tests.support.turn_events import TURN


def told(
    first: TurnStarted, *events: Event, reason: str = "stop", degraded: bool = False, gap_ms: int = 10
) -> RecordedTurn:
    """A turn that ended so, with these events before and after its end."""
    timed = [(number * gap_ms, event) for number, event in enumerate(events, 1)]
    return RecordedTurn(first, timed, TurnEnded(TURN, reason, 0, {}, "", degraded, None), start_ms=1_000)


def counted(turn: RecordedTurn) -> Counts:
    """Its counts, without those that are 0."""
    return {name: number for name, number in Account(turn).counts().items() if number}


def cost(prompt: float, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def summed(prompt: int, completion: int) -> dict[str, Any]:
    """A cost with its total, as a client is told."""
    return cost(prompt, completion, total_tokens=prompt + completion)
