"""Where a turn stands in its fold, and what its driver may ask of it."""

from typing import Any, Literal

from common.events import TurnStarted
from common.names import Lane
from common.turn import handover
from common.turn.aloud import Aloud
from common.turn.apology import apology_for
from common.turn.cost import Costs
from common.turn.draft_gate import DraftGate
from common.turn.full_gate import FullGate
from common.turn.lane_state import LaneState
from common.turn.outputs import CUT, DEADLINE, DRAFT, FILLER, REST, TOLD, Due, Output, TurnEnding
from common.turn.transcript import Transcript
from common.turn.version import policy_of

_SILENT_DRAFT_MS = 1_000  # a draft that has said nothing by then is not waited for


class FoldState:
    """One turn as far as it was folded. Raises UnknownFold where this code isn't its version."""

    def __init__(self, started: TurnStarted) -> None:
        self.policy = policy_of(started)
        self.turn = started.turn
        self.apology = apology_for(self.policy.apology, started.request.get("messages") or [], self.turn)
        dropped = started.record == "none" and not started.request.get("messages")
        self.draft = LaneState("draft", self.policy.draft.max_chars, dropped=dropped)
        self.full = LaneState("full", dropped=dropped)
        self.lanes: dict[str, LaneState] = {name: getattr(self, name) for name in started.lanes}
        drafted = "draft" in started.lanes and not self.policy.handoff.shadow
        self.stage: Literal["draft", "closing", "full"] = "draft" if drafted else "full"
        self.aloud = Aloud(started, self.draft, self.full)
        self.draft_gate = DraftGate(self.policy.draft, self.draft, self.aloud.of(self.draft))
        self.draft_waits = bool(started.lanes.get("draft", {}).get("late"))
        join = self.policy.handoff.join
        # Where a draft is only the hedge of a quick full, that one doesn't wait for it.
        self.continues = drafted and join == "continue" and not self.draft_waits
        judged = drafted and join != "append" and not self.continues
        self.full_gate = FullGate(self.full, self.draft, self.aloud.of(self.full), judged=judged)
        self.costs = Costs(started)
        self._looks_up = "knowledge" in started.lanes.get("full", {})
        self.degraded = False
        self.ending: TurnEnding | None = None
        self.broken_by: Exception | None = None  # a bug that this turn's events have met
        self.fillers_said = 0
        self.overtaken_ms: int | None = None
        self.handover_ms: int | None = None
        self.spoken: dict[str, int] = {"draft": 0, "full": 0}
        self._closing = handover.DraftCut(self.policy.handoff, self.draft)
        self._closing_is_due = False
        self._broken = False  # the draft was cut in the middle of a sentence
        self._told_by_ms: int | None = None
        self._full_heard = False
        self._extras_passed = 0
        self._transcript = Transcript(self.policy.max_chars, aloud=bool(self.aloud))
        self._out: list[Output] = []
        self._now_ms = 0

    # What a driver asks.

    @property
    def released(self) -> int:
        """How many characters were let out."""
        return self._transcript.chars

    @property
    def next_due(self) -> Due | None:
        """The next time the fold waits for, or None."""
        return min(self.dues(), key=lambda due: (due.at_ms, due.number), default=None)

    def dues(self) -> list[Due]:
        """All times that the fold waits for now."""
        if self.ending:
            return []
        dues = [Due(DEADLINE.number, DEADLINE.due, self.policy.deadline_ms)]
        if self.stage == "closing" and self.overtaken_ms is not None and not self._closing_is_due:
            finish_ms = handover.finish_ms(self.policy.handoff, self.continues)
            dues.append(Due(CUT.number, CUT.due, self.overtaken_ms + finish_ms))
        if self.draft_waits and self.stage == "draft":
            dues.append(Due(DRAFT.number, DRAFT.due, self.policy.draft.hedge_ms))
        if self._told_by_ms is not None and self.stage == "draft":
            dues.append(Due(TOLD.number, TOLD.due, self._told_by_ms))
        speaking = (self.full,) if self.stage == "full" else (self.draft, self.full)
        if (rest_ms := self.aloud.rest_ms(*speaking)) is not None:
            dues.append(Due(REST.number, REST.due, rest_ms))
        filler = self.policy.filler
        if self._may_fill and filler.phrases and self.fillers_said < filler.maximum:
            pause_ms = filler.interval_ms if self.fillers_said else self._first_filler_ms
            dues.append(
                Due(FILLER.number + self.fillers_said, FILLER.due, self._transcript.heard_ms + pause_ms)
            )
        return dues

    def unwanted(self) -> list[LaneState]:
        """The lanes whose work is no longer wanted."""
        return [lane for lane in self._going() if not self._wants(lane)]

    def unstarted(self) -> list[LaneState]:
        """The lanes that wait for nothing and have not begun."""
        return [lane for lane in self._going() if self._wants(lane) and not lane.attempt]

    def wants(self, lane: Lane) -> bool:
        """Whether an attempt at this lane is still of use."""
        state = self.lanes.get(lane)
        return state is not None and not state.over and self._wants(state)

    def usage(self) -> dict[str, Any]:
        """Tokens of each lane, as far as is known now, and their sum."""
        return self.costs.usage()

    def hash(self) -> str:
        """A digest of the released text, to tell a replay that drifted."""
        return self._transcript.hash()

    @property
    def _first_filler_ms(self) -> int:
        """The silence before the first filler: short where something is looked up and no draft speaks."""
        delay_ms = self.policy.filler.delay_ms
        if not self._looks_up or self._transcript.chars:
            return delay_ms
        return 0 if "draft" not in self.lanes or self.draft_gate.silent else min(delay_ms, _SILENT_DRAFT_MS)

    @property
    def _may_fill(self) -> bool:
        """Whether a filler would be right now: before the answer has begun, or is about to."""
        answers = self.policy.draft.style == "answer" or self.degraded
        return not self._full_heard and self.stage != "closing" and not (self.spoken["draft"] and answers)

    def _going(self) -> list[LaneState]:
        """The lanes that have, or should have, a job."""
        waiting = self.draft if self.draft_waits else None
        return [lane for lane in self.lanes.values() if not lane.over and lane is not waiting]

    def _wants(self, lane: LaneState) -> bool:
        if lane is not self.draft:
            return self.ending is None
        if self.policy.handoff.shadow:
            return True  # recorded to its end, also where the turn is over
        if self.ending or self.draft_gate.blocked_by:
            return False
        # Under `continue` it is cut long before the full speaks, which may yet fail.
        may_stand_in = self.continues and self._draft_answers
        return self.stage != "full" or (may_stand_in and not self._full_heard and not self.full.over)

    @property
    def _draft_answers(self) -> bool:
        """Whether the draft's words are an answer, and no bridge to one."""
        return self.policy.draft.style == "answer"
