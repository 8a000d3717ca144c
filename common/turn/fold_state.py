"""The state of a turn in its fold, and what a driver may ask of it."""

from typing import Any

from common.events import TurnStarted
from common.names import Lane
from common.turn.aloud import Aloud
from common.turn.apology import apology_for
from common.turn.commands import Command, EndTurn, StartLane, StopLane
from common.turn.cost import Costs
from common.turn.draft_gate import DraftGate
from common.turn.full_gate import FullGate
from common.turn.joins.registry import join_of
from common.turn.lane_state import LaneState
from common.turn.outputs import CUT, DEADLINE, DRAFT, FILLER, REST, TOLD, Due, Output, TurnEnding
from common.turn.phases import Closing, Drafting, Phase, Speaking
from common.turn.transcript import Transcript
from common.turn.version import policy_of

_SILENT_DRAFT_MS = 1_000  # a draft that has said nothing by then is not waited for


class FoldState:
    """One turn as far as it was folded. Raises UnknownFold where this code isn't its version."""

    def __init__(self, started: TurnStarted) -> None:
        self.started = started
        self.policy = policy_of(started)
        self.turn = started.turn
        self.apology = apology_for(self.policy.apology, started.request.get("messages") or [], self.turn)
        dropped = started.record == "none" and not started.request.get("messages")
        self.draft = LaneState("draft", self.policy.draft.max_chars, dropped=dropped)
        self.full = LaneState("full", dropped=dropped)
        self.lanes: dict[str, LaneState] = {name: getattr(self, name) for name in started.lanes}
        drafted = "draft" in started.lanes and not self.policy.handoff.shadow
        self.phase: Phase = Drafting() if drafted else Speaking()
        self.aloud = Aloud(started, self.draft, self.full)
        self.draft_gate = DraftGate(self.policy.draft, self.draft, self.aloud.of(self.draft))
        self.draft_waits = bool(started.lanes.get("draft", {}).get("late"))
        self.join = join_of(self.policy.handoff.join, drafted=drafted, hedged=self.draft_waits)
        self.full_gate = FullGate(self.full, self.draft, self.join.opening(), self.aloud.of(self.full))
        self.costs = Costs(started)
        self._looks_up = "knowledge" in started.lanes.get("full", {})
        self.degraded = False
        self.ending: TurnEnding | None = None
        self.broken_by: Exception | None = None  # a bug that this turn's events have met
        self.fillers_said = 0
        self.spoken: dict[str, int] = {"draft": 0, "full": 0}
        self._full_heard = False
        self._extras_passed = 0
        self._transcript = Transcript(self.policy.max_chars, aloud=bool(self.aloud))
        self._out: list[Output] = []
        self._now_ms = 0

    @property
    def overtaken_ms(self) -> int | None:
        """The time when the full overtook, if it did."""
        return None if isinstance(self.phase, Drafting) else self.phase.overtaken_ms

    @property
    def handover_ms(self) -> int | None:
        """The time when the full took over from the draft, if it did."""
        return self.phase.handover_ms if isinstance(self.phase, Speaking) else None

    @property
    def full_speaks(self) -> bool:
        """Return True if no more is heard of the draft, unless the full fails before it is heard."""
        return isinstance(self.phase, Speaking)

    @property
    def full_waits(self) -> bool:
        """Return True if the full has begun and waits for the rest of the draft."""
        return isinstance(self.phase, Drafting) and self.phase.listen_until_ms is not None

    # What a driver asks.

    @property
    def released(self) -> int:
        """The number of characters that were let out."""
        return self._transcript.chars

    @property
    def next_due(self) -> Due | None:
        """The next time the fold waits for, or None."""
        return min(self.dues(), key=lambda due: (due.at_ms, due.number), default=None)

    def dues(self) -> list[Due]:
        """Return all times that the fold waits for now."""
        if self.ending:
            return []
        dues = [Due(DEADLINE.number, DEADLINE.due, self.policy.deadline_ms)]
        match self.phase:
            case Closing(finish_by_ms=int(cut_ms)):
                dues.append(Due(CUT.number, CUT.due, cut_ms))
            case Drafting(listen_until_ms=told_ms):
                if self.draft_waits:
                    dues.append(Due(DRAFT.number, DRAFT.due, self.policy.draft.hedge_ms))
                if told_ms is not None:
                    dues.append(Due(TOLD.number, TOLD.due, told_ms))
        speaking = (self.full,) if self.full_speaks else (self.draft, self.full)
        if (rest_ms := self.aloud.rest_ms(*speaking)) is not None:
            dues.append(Due(REST.number, REST.due, rest_ms))
        filler = self.policy.filler
        if self._may_fill and filler.phrases and self.fillers_said < filler.maximum:
            pause_ms = filler.interval_ms if self.fillers_said else self._first_filler_ms
            dues.append(
                Due(FILLER.number + self.fillers_said, FILLER.due, self._transcript.heard_ms + pause_ms)
            )
        return dues

    def commands(self) -> list[Command]:
        """Return what is to be done now. Timers are not among it: `dues` says when each is to be fired."""
        stops: list[Command] = [StopLane.of(lane) for lane in self.unwanted()]
        starts = [StartLane(lane.lane) for lane in self.unstarted()]
        return [*stops, *starts, *([EndTurn()] if self.ending else [])]

    def unwanted(self) -> list[LaneState]:
        """The lanes whose work is no longer wanted."""
        return [lane for lane in self._going() if not self._wants(lane)]

    def unstarted(self) -> list[LaneState]:
        """The lanes that wait for nothing and have not begun."""
        return [lane for lane in self._going() if self._wants(lane) and not lane.attempt]

    def wants(self, lane: Lane) -> bool:
        """Return True if an attempt at this lane is still of use."""
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
        """Return True if a filler fits now: before the answer has begun, or is about to."""
        answers = self.policy.draft.style == "answer" or self.degraded
        closing = isinstance(self.phase, Closing)
        return not (self._full_heard or closing or (self.spoken["draft"] and answers))

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
        stands_by = self.join.draft_stands_by and self._draft_answers
        return not self.full_speaks or (stands_by and not self._full_heard and not self.full.over)

    @property
    def _draft_answers(self) -> bool:
        """Return True if the draft is an answer, and not a bridge to one."""
        return self.policy.draft.style == "answer"
