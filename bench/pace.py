"""Recorded turns made from answers: what two models said, at a pace that is given."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data import Answered
from common.events import (
    WIRE_VERSION,
    Delta,
    Entry,
    Event,
    LaneFinished,
    LaneStarted,
    TurnEnded,
    TurnStarted,
)
from common.names import Lane
from common.records.recording import RecordedTurn, write_line
from common.records.replay import replay_as_recorded
from common.turn.policy import DraftPolicy, HandoverPolicy, Policy
from common.turn.version import FOLD_VERSION
from simulator.tokens import split_tokens

SHADOW = Policy(handoff=HandoverPolicy(shadow=True), draft=DraftPolicy(style="answer"))
"""What made recordings are recorded under: drafts go on to their end and are never heard."""

_EPOCH_MS = 1_700_000_000_000
_APART_MS = 1_000


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of the models: to the first token in ms, then tokens a second."""

    draft_first_ms: float = 200
    full_first_ms: float = 1500
    draft_tps: float = 80
    full_tps: float = 40

    def times_ms(self, lane: Lane, count: int) -> list[int]:
        """Return the time of each token in milliseconds."""
        first, tps = (
            (self.draft_first_ms, self.draft_tps) if lane == "draft" else (self.full_first_ms, self.full_tps)
        )
        return [round(first + 1000 / tps * number) for number in range(count)]


def record(answered: Answered, pace: Pace, policy: Policy = SHADOW) -> RecordedTurn:
    """The turn in which these two answers were given at this pace."""
    turn = hashlib.sha256(answered.id.encode()).hexdigest()[:12]
    lanes: dict[Lane, str] = {"draft": answered.draft, "full": answered.full}
    started = TurnStarted(
        turn=turn,
        profile="fast-reply",
        request={"messages": [{"role": "user", "content": answered.prompt}]},
        policy=policy.model_dump(),
        lanes={lane: {"model": lane, "prompt": ""} for lane in lanes},
        drafting="on",
        wire=WIRE_VERSION,
        fold=FOLD_VERSION,
    )
    events = [event for lane, text in lanes.items() for event in _events(turn, lane, text, pace)]
    events.sort(key=lambda timed: timed[0])  # of one moment the draft's come first
    return _ended(RecordedTurn(started, events, None))


def _events(turn: str, lane: Lane, text: str, pace: Pace) -> Iterator[tuple[int, Event]]:
    tokens, at = split_tokens(text), 0
    yield 0, LaneStarted(turn, lane, 1, "bench")
    times = pace.times_ms(lane, len(tokens))
    for token, ms in zip(tokens, times, strict=True):
        yield ms, Delta(turn, lane, 1, at, token, ms)
        at += len(token)
    usage = {"prompt_tokens": 0, "completion_tokens": len(tokens), "total_tokens": len(tokens)}
    last = times[-1] if times else 0
    yield last, LaneFinished(turn, lane, 1, at, "stop", usage, None, last)


def _ended(turn: RecordedTurn) -> RecordedTurn:
    fold = replay_as_recorded(turn).fold
    ending = fold.ending
    assert ending is not None, "a made recording is whole"
    ended = TurnEnded(
        turn.started.turn,
        ending.reason,
        fold.released,
        fold.usage(),
        fold.hash(),
        ending.degraded,
        ending.error,
    )
    return replace(turn, ended=ended)


def write(path: Path, turns: Iterable[RecordedTurn]) -> int:
    """Write recordings to a file, one after the other, as one session; how many events."""
    start_ms, count = _EPOCH_MS, 0
    with path.open("wb") as file:
        for turn in turns:
            placed: list[tuple[int, Event]] = [(0, turn.started), *turn.events]
            if turn.ended:
                placed.insert(_ending_place(turn) + 1, (placed[_ending_place(turn)][0], turn.ended))
            for number, (ms, event) in enumerate(placed):
                file.write(write_line(Entry(f"{start_ms + ms}-{number}", event)))
            count += len(placed)
            start_ms += placed[-1][0] + _APART_MS
    return count


def _ending_place(turn: RecordedTurn) -> int:
    """After which of the placed events the turn ended."""
    ends = (n for n, (_, e) in enumerate(turn.events, 1) if isinstance(e, LaneFinished) and e.lane == "full")
    return next(ends, len(turn.events))
