"""The fold: from a turn's events, in log order, to what the client hears.

Pure and incremental: no clock, no I/O, no randomness. The live relay, a resume, a replay and the sweep run
this same code, so they agree; whoever changes what it says raises FOLD_VERSION.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from common import handoff, seam
from common.errors import turn_error
from common.events import (
    Delta,
    Event,
    Extra,
    LaneFinished,
    LaneStarted,
    TimerFired,
    ToolPart,
    TurnInterrupted,
    TurnStarted,
)
from common.keys import Lane
from common.lane_state import LaneState, ToolCall
from common.policy import Policy

FOLD_VERSION = 1
DEADLINE = "deadline"
WORD = "word"
WORD_WAIT_MS = 200  # so long the full, which could speak, waits for the end of the draft's word


@dataclass(frozen=True, slots=True)
class Said:
    """Text let out, and the lane that says it. `at_ms`: when, since the turn's start."""

    lane: Lane
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Called:
    """One whole tool call let out."""

    index: int
    call: ToolCall
    at_ms: int


@dataclass(frozen=True, slots=True)
class Passed:
    """Anything else of the full's chunk, let out as it came."""

    choice: dict[str, Any]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Ending:
    """The one ending of a turn: a finish reason of OpenAI's, or error, interrupted, superseded."""

    reason: str
    degraded: bool
    error: dict[str, Any] | None
    at_ms: int


Release = Said | Called | Passed | Ending


@dataclass(frozen=True, slots=True)
class Due:
    """A time at which the fold wants to be told, ms since the turn's start."""

    number: int
    due: str
    at_ms: int


class Fold:
    """One turn. Feed it the events after `turn.started`; it says what each lets out."""

    def __init__(self, started: TurnStarted) -> None:
        if started.fold != FOLD_VERSION:
            raise UnknownFold(
                f"the turn was folded by version {started.fold}, this is version {FOLD_VERSION}"
            )
        self.turn = started.turn
        try:
            self.policy = Policy.model_validate(started.policy)
        except ValidationError:
            raise UnknownFold("the turn has a policy that this version doesn't know") from None
        self.draft = LaneState("draft")
        self.full = LaneState("full")
        self.lanes: dict[str, LaneState] = {name: getattr(self, name) for name in started.lanes}
        self.stage: Literal["draft", "closing", "full"] = "draft" if "draft" in started.lanes else "full"
        self.degraded = False
        self.ending: Ending | None = None
        self.released = 0
        self.handed_over_ms: int | None = None
        self._spoken: dict[str, int] = {"draft": 0, "full": 0}
        self._floor = 0
        self._word_due_ms: int | None = None
        self._extras_passed = 0
        self._digest = hashlib.sha256()
        self._out: list[Release] = []
        self._now_ms = 0

    # What a driver asks.

    @property
    def next_due(self) -> Due | None:
        """The next time the fold waits for, or None."""
        if self.ending:
            return None
        if self.stage == "closing" and self._word_due_ms is not None and self._word_due_ms > self._now_ms:
            return Due(1, WORD, self._word_due_ms)
        return Due(0, DEADLINE, self.policy.deadline_ms)

    def unwanted(self) -> list[LaneState]:
        """The lanes whose work is no longer wanted."""
        return [lane for lane in self.lanes.values() if not lane.over and not self._wants(lane)]

    def wants(self, lane: Lane) -> bool:
        """Whether an attempt at this lane is still of use."""
        state = self.lanes.get(lane)
        return state is not None and not state.over and self._wants(state)

    def usage(self) -> dict[str, Any]:
        """Tokens of each lane, as far as is known now, and their sum."""
        lanes = {name: lane.finished.usage for name, lane in self.lanes.items() if lane.finished}
        keys = ("prompt_tokens", "completion_tokens", "total_tokens")
        total = {key: sum(int((usage or {}).get(key) or 0) for usage in lanes.values()) for key in keys}
        return {**lanes, "sum": total}

    def hash(self) -> str:
        """A digest of the released text, to tell a replay that drifted."""
        return self._digest.hexdigest()[:16]

    # The fold itself.

    def feed(self, event: Event, at_ms: int) -> list[Release]:
        """What this event lets out, in order. `at_ms`: the entry's time since the turn's start."""
        if self.ending:
            return []
        self._out, self._now_ms = [], max(self._now_ms, at_ms)
        if event.turn != self.turn:
            if isinstance(event, TurnStarted):
                self._end("superseded")
        elif isinstance(event, LaneStarted | Delta | ToolPart | Extra | LaneFinished):
            lane = self.lanes.get(event.lane)
            if lane:
                lane.take(event)
                self._advance()
        elif isinstance(event, TimerFired):
            self._reach(event.due)
        elif isinstance(event, TurnInterrupted):
            self._end("interrupted")
        return self._out

    def _wants(self, lane: LaneState) -> bool:
        return self.ending is None and not (lane is self.draft and self.stage == "full")

    def _advance(self) -> None:
        if self.stage == "draft":
            self._follow_draft()
        if self.stage == "closing":
            self._close_draft()
        if self.stage == "full":
            self._follow_full()

    def _follow_draft(self) -> None:
        if handoff.overtakes(self.policy.handoff, self.draft, self.full, self._spoken["draft"]):
            self._floor = self._spoken["draft"]
            self.stage = "closing"
            return
        self._say("draft", self._draft_free())
        if self.full.over:
            self._stand_in()

    def _draft_free(self) -> int:
        """How much of the draft's text may go out while the full has not overtaken."""
        if self.policy.draft.release == "token" or (self.draft.over and not self.draft.failed):
            return len(self.draft.text)
        return self.draft.sentences.ends[-1] if self.draft.sentences.ends else 0

    def _close_draft(self) -> None:
        if self.full.failed:  # it broke before it was heard
            self.stage = "draft"
            self._follow_draft()
            return
        place = handoff.cut(self.policy.handoff, self.draft, self.full, self._floor, self._spoken["draft"])
        if place is not None and self._may_cut(place):
            self._say("draft", place)
            self.stage, self.handed_over_ms = "full", self._now_ms
        elif self.policy.draft.release == "token":
            self._say("draft", handoff.may_say(self.policy.handoff, self.draft, self._floor))

    def _may_cut(self, place: int) -> bool:
        """Whether the draft may stop here, or has a moment yet to end the word that it is in."""
        if self.policy.handoff.cut == "now" or not handoff.cuts_word(self.draft, place):
            return True
        if self._word_due_ms is None:
            self._word_due_ms = self._now_ms + WORD_WAIT_MS
        return self._word_due_ms <= self._now_ms

    def _stand_in(self) -> None:
        """The full is over and was never heard: the draft's answer stands, if there is one."""
        self.degraded = True
        if not self.draft.over:
            return
        finished = self.draft.finished
        if finished and not self.draft.failed and self.draft.speaks:
            self._end(finished.reason)
        elif self.full.failed:
            self._fail(self.full)
        else:
            self.degraded = False
            self._end("stop")  # an empty answer is the full's own

    def _follow_full(self) -> None:
        self._say("full", len(self.full.text))
        for choice in self.full.extras[self._extras_passed :]:
            self._out.append(Passed(choice, self._now_ms))
        self._extras_passed = len(self.full.extras)
        finished = self.full.finished
        if self.ending or finished is None:
            return
        if self.full.failed:
            self._fail(self.full)
            return
        for index in sorted(self.full.calls):
            self._out.append(Called(index, self.full.calls[index], self._now_ms))
        self._end("tool_calls" if self.full.calls and finished.reason == "stop" else finished.reason)

    def _reach(self, due: str) -> None:
        """A time that was waited for has come; whether it is still of use is decided here."""
        if due == WORD and self._word_due_ms is not None:
            self._word_due_ms = min(self._word_due_ms, self._now_ms)
            self._advance()
        elif due == DEADLINE:
            self._reach_deadline()

    def _reach_deadline(self) -> None:
        answer = self.draft.finished
        if self.stage == "draft" and answer and not self.draft.failed and self.draft.speaks:
            self.degraded = True
            self._end(answer.reason)
        else:
            self._end("error", turn_error("turn_deadline", "the turn took longer than it may"))

    def _say(self, lane: Lane, upto: int) -> None:
        """Release a lane's text up to a place in it, within the turn's cap."""
        text = self.lanes[lane].text[self._spoken[lane] : upto]
        if not text or self.ending:
            return
        if lane == "full" and not self._spoken["full"]:
            text = seam.join(self.draft.text[: self._spoken["draft"]], text) + text
        self._spoken[lane] = upto
        room = self.policy.max_chars - self.released
        heard = text[:room]
        if heard:
            self._digest.update(heard.encode("utf-8", "surrogatepass"))
            self.released += len(heard)
            self._out.append(Said(lane, heard, self._now_ms))
        if len(text) > room:
            self._end("length")

    def _fail(self, lane: LaneState) -> None:
        error = lane.finished.error if lane.finished else None
        self._end("error", error or turn_error("upstream_error", "the model gave no answer"))

    def _end(self, reason: str, error: dict[str, Any] | None = None) -> None:
        if self.ending is None:
            self.ending = Ending(reason, self.degraded, error, self._now_ms)
            self._out.append(self.ending)


class UnknownFold(ValueError):
    """The turn was written for a version of the fold that this code is not."""
