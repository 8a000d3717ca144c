"""Rewrites an ended turn as it is to be kept: with personal data masked, or without any words. Pure.

The turn's `record` says which. Doing it again changes nothing, so it may be repeated whenever something is
added.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from common.events import (
    Delta,
    Entry,
    Event,
    Extra,
    LaneFinished,
    LaneStarted,
    Retrieved,
    TimerFired,
    ToolPart,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from common.redaction.masking import MASK
from common.turn.fold import Fold
from common.turn.outputs import TextReleased
from common.turn.transcript import Transcript
from common.turn.turn_log import TurnLog
from common.turn.version import UnknownFold
from workers.redaction.masked_events import Masks

_LATE_MS = 60_000  # after a turn's deadline nobody writes for it any more
_DEADLINE_MS = 120_000


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A turn's events as they are to be kept: the changed ones by entry id, None for one that goes.

    `drifted`: it now folds to something other than the masked original. `whole`: nothing more can be added.
    """

    changes: dict[str, Event | None]
    drifted: bool
    whole: bool


def rewrite_turn(log: TurnLog, now_ms: int, *, drop: bool = False) -> Rewritten:
    """Rewrite an ended turn's events, as of `now_ms`.

    `drop`: remove its words, whatever its `record` says.
    """
    own, drifted = log.own, False
    if drop or log.started.record == "none":
        kept: dict[str, Event | None] = {entry.id: without_words(entry.event) for entry in own}
    else:
        kept, drifted = _masked(log, own)
    changes = {entry.id: kept[entry.id] for entry in own if kept[entry.id] != entry.event}
    return Rewritten(changes, drifted, _is_whole(log, now_ms))


def _is_whole(log: TurnLog, now_ms: int) -> bool:
    """Return True if every attempt that began has ended, or has had the time to."""
    started = log.started
    if now_ms > log.start_ms + started.policy.get("deadline_ms", _DEADLINE_MS) + _LATE_MS:
        return True
    begun: set[tuple[str, int]] = {(event.lane, event.attempt) for event in log.events(LaneStarted)}
    over: set[tuple[str, int]] = {(event.lane, event.attempt) for event in log.events(LaneFinished)}
    if started.policy.get("handoff", {}).get("shadow"):
        begun |= {(lane, 1) for lane in started.lanes}  # it may begin after the end
    return begun <= over


def without_words(event: Event) -> Event | None:
    """Return an event as a turn without words keeps it, or None if the event goes."""
    match event:
        case TurnStarted():
            lanes = {
                name: {k: v for k, v in asked.items() if k in ("model", "late")}
                for name, asked in event.lanes.items()
            }
            return replace(event, request={"messages": []}, lanes=lanes, caller={}, record="none")
        case Delta() | ToolPart() | Extra() | Retrieved():
            return None
        case LaneFinished():
            return replace(event, at=0)
        case TimerFired():
            return replace(event, phrase="")
        case TurnEnded():
            return replace(event, released=0, hash=Transcript(0).hash(), record="none")
        case LaneStarted() | TurnInterrupted():  # they hold no words
            return event
    assert_never(event)


def _masked(log: TurnLog, own: list[Entry]) -> tuple[dict[str, Event | None], bool]:
    """Return the turn's masked events by entry id, and whether they fold to a different text."""
    then = _Heard.of(log)
    for digit in (MASK, "0", MASK):  # a guard, or the search for repeats, may depend on digits
        masks = Masks([entry.event for entry in own], then.fold if then else None, digit)
        kept: dict[str, Event | None] = {entry.id: masks.of(entry.event) for entry in own}
        entries = [replace(entry, event=kept.get(entry.id) or entry.event) for entry in log.entries]
        masked = TurnLog.of(entries)
        now = _Heard.of(masked) if masked else None
        drifted = then is not None and (now is None or not now.is_masked(then))
        if not drifted:
            break
    for entry in own:
        if isinstance(entry.event, TurnEnded):
            kept[entry.id] = _ended(entry.event, then, now)
    return kept, drifted


def _ended(ended: TurnEnded, then: "_Heard | None", now: "_Heard | None") -> TurnEnded:
    """Return the masked text's ending; a difference from before, or one that is unknown, stays visible."""
    if then and now and (then.fold.released, then.fold.hash()) == (ended.released, ended.hash):
        return replace(ended, released=now.fold.released, hash=now.fold.hash(), record="redacted")
    return replace(ended, record="redacted")


@dataclass(frozen=True, slots=True)
class _Heard:
    """A folded turn and the text that it released."""

    fold: Fold
    text: str

    @staticmethod
    def of(log: TurnLog) -> "_Heard | None":
        """Fold the turn; return None if that takes another version."""
        try:
            fold, outputs = log.fold_with_outputs()
        except UnknownFold:
            return None
        return _Heard(fold, "".join(output.text for output in outputs if isinstance(output, TextReleased)))

    def is_masked(self, clear: "_Heard") -> bool:
        """Return True if this text equals the other except for masks."""
        return len(self.text) == len(clear.text) and all(
            masked in (char, MASK, "0") for char, masked in zip(clear.text, self.text, strict=True)
        )
