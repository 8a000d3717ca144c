"""The fold: from a turn's events, in log order, to what the client hears.

Pure and incremental: no clock, no I/O, no randomness. The live relay, a resume, a replay and the sweep run
this same code, so they agree; whoever changes what it says raises FOLD_VERSION.
"""

from typing import Any

from common.errors import turn_error
from common.events import (
    Delta,
    Event,
    Extra,
    LaneFinished,
    LaneStarted,
    TimerFired,
    ToolPart,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
    was_forced,
)
from common.names import Lane
from common.turn import handover
from common.turn.fold_state import FoldState
from common.turn.lane_state import LaneState, gives
from common.turn.outputs import (
    CUT,
    DEADLINE,
    DRAFT,
    FILLER,
    REST,
    TOLD,
    Output,
    PassedThrough,
    ToolCalled,
    TurnEnding,
)
from common.turn.version import UnknownFold

_SEAM = 16  # characters at most that go between two texts


class Fold(FoldState):
    """One turn. Feed it the events after `turn.started`; it says what each lets out."""

    def __init__(self, started: TurnStarted) -> None:
        """Raises UnknownFold, also where the start holds what can't be folded."""
        try:
            super().__init__(started)
        except UnknownFold:
            raise
        except Exception as bug:
            raise UnknownFold("the turn's start can't be folded") from bug

    def feed(self, event: Event, at_ms: int) -> list[Output]:
        """What this event lets out, in order. `at_ms`: the entry's time since the turn's start.

        What breaks the fold ends the turn, the same wherever it is folded: no turn may hang.
        """
        try:
            return self._feed(event, at_ms)
        except Exception as bug:
            self.broken_by = bug
            self._out = [each for each in self._out if each is self.ending]
            self._end("error", turn_error("internal_error", "the turn could not go on", "server_error"))
            return self._out

    def _feed(self, event: Event, at_ms: int) -> list[Output]:
        if self.ending:
            self._record(event)
            return []
        self._out, self._now_ms = [], max(self._now_ms, at_ms)
        if event.turn == self.turn:
            self.costs.count(event)
        if event.turn != self.turn:
            if isinstance(event, TurnStarted) and self.policy.barge_in:
                self._end("superseded")
        elif isinstance(event, LaneStarted | Delta | ToolPart | Extra | LaneFinished):
            lane = self.lanes.get(event.lane)
            if lane:
                self._take(lane, event)
        elif isinstance(event, TimerFired):
            self._reach(event)
        elif isinstance(event, TurnInterrupted):
            self._end("superseded" if event.by == "next_turn" else "interrupted")
        elif isinstance(event, TurnEnded) and (event.record != "full" or was_forced(event)):
            # The words that it ended by may be gone; or who ended it could not fold it.
            self._end(event.reason, event.error)
        return self._out

    def break_off(self, error: dict[str, Any]) -> list[Output]:
        """End the turn for a reason that no event can tell: its log is gone."""
        self._out = []
        self._end("error", error)
        return self._out

    def _record(self, event: Event) -> None:
        """Of a turn that is over only the draft in the shadow still counts: it goes on to its end."""
        if event.turn == self.turn:
            self.costs.count_late(event, shadow=self.policy.handoff.shadow)
        if not isinstance(event, LaneStarted | Delta | LaneFinished):
            return
        if (event.turn, event.lane) == (self.turn, "draft") and self.policy.handoff.shadow:
            self.draft.apply(event)

    def _take(self, lane: LaneState, event: LaneStarted | Delta | ToolPart | Extra | LaneFinished) -> None:
        lane.apply(event)
        self.aloud.update(lane, self._now_ms)
        if lane is self.draft:
            self.draft_gate.update()
        elif self.continues and self._told_by_ms is None and self.full.attempt and not self.full.over:
            self._told_by_ms = self._now_ms + handover.listen_ms(self.policy.handoff)
        self._advance()

    def _advance(self) -> None:
        if self.stage == "draft":
            self._follow_draft()
        if self.stage == "closing":
            self._close_draft()
        if self.stage == "full":
            self._follow_full()

    def _follow_draft(self) -> None:
        if self.continues:
            self._say("draft", self.draft_gate.releasable)  # also its last words: the full waits for them
        if self._overtaken():
            self._begin_closing(before_silence=bool(self.full.calls) and not self.full_gate.has_to_say())
            return
        self._say("draft", self.draft_gate.releasable)
        if self.full.over:
            self._stand_in()

    def _overtaken(self) -> bool:
        """Whether the full takes over now."""
        if self.continues:
            return self._told_by_ms is not None and self.draft_gate.silent
        if self.full.failed or not self.full.answers:
            return False
        if self.full.calls or not self.full.speaks:
            return True
        if self.aloud and not self.full.over and not self.full_gate.has_to_say():
            return False  # where it is spoken, a token is no sound yet
        if not self.spoken["draft"]:
            self.full_gate.opening = None  # nothing was said that could be repeated, nor is to be waited for
            return True
        idle = self.draft_gate.silent and self.spoken["draft"] == self.draft_gate.releasable
        # Whoever wants the first token doesn't wait until a sentence can be judged as a whole.
        flows = not idle and self.policy.handoff.when != "first_token"
        begin = self.full_gate.read_opening(self.spoken["draft"], flows=flows)
        if begin is None or not self.full_gate.has_to_say(begin):
            return False
        if idle:
            return True
        opening = self.full_gate.opening
        return handover.overtakes(self.policy.handoff, self.full, opening, begin, self.spoken["draft"])

    def _begin_closing(self, *, before_silence: bool = False) -> None:
        """The draft may finish its sentence; one that is spoken, so not heard yet, only before silence."""
        spoken = self.aloud and before_silence and not self.policy.draft.guard
        self._closing.begin(len(self.draft.text) if spoken else self.spoken["draft"])
        self.overtaken_ms, self.stage = self._now_ms, "closing"

    def _close_draft(self) -> None:
        if self.full.failed and self._draft_answers and not self.continues:  # before it was heard
            self.stage, self.overtaken_ms, self._closing_is_due = "draft", None, False
            self._follow_draft()
            return
        place = self._closing.cut(self.draft_gate.releasable)
        may = min(self._closing.may_say(), self.draft_gate.releasable)
        late = self._closing_is_due or self._closing.overruns()
        if self._transcript.speaker == "filler":
            place = self.spoken["draft"]  # its sentence was broken off already
        if place is None and (late or self.draft_gate.blocked_by):
            place = max(may, self.spoken["draft"])
        if place is not None:
            self._say("draft", place)
            self._hand_over()
        elif self.draft_gate.releasable == len(self.draft.text):
            self._say("draft", may)

    def _hand_over(self) -> None:
        self.stage = "full"
        if not self.full.failed:
            self.handover_ms = self._now_ms
        cut_now = self.policy.handoff.cut == "now"
        self._broken = not cut_now and self._breaks_off()
        self.full_gate.start_speaking(self.spoken["draft"])

    def _breaks_off(self) -> bool:
        """Whether the draft, should it stop here, is heard to break off. What is spoken is whole."""
        return not self.aloud and not handover.is_whole(self.draft, self.spoken["draft"])

    def _stand_in(self) -> None:
        """The full is over and was never heard: the draft's answer stands, if it is one."""
        self.draft_waits = False
        if not self.full.failed or not self._draft_answers:
            self._end_closing()
            return
        self.degraded = True
        if not self.draft_gate.silent:
            return
        finished = self.draft.finished
        if self.draft_gate.answers and finished:
            self._end(finished.reason)
        else:
            self._fail()

    def _end_closing(self) -> None:
        """The full has nothing more to say than was said, or nothing at all: the draft ends its sentence."""
        if self.overtaken_ms is None:
            self._begin_closing(before_silence=True)
        self.stage = "closing"
        self._close_draft()

    def _follow_full(self) -> None:
        if self.full.failed and not self._full_heard:
            self._fail_unheard()
            return
        text = self.full_gate.next_text(self.spoken["draft"], self._transcript.speaker)
        self.spoken["full"] = self.full_gate.taken
        self._let_out("full", text)
        if self.ending:
            return
        for choice in self.full.extras[self._extras_passed :]:
            self._full_heard = self._full_heard or gives(choice)
            self._out.append(PassedThrough(choice, self._now_ms))
        self._extras_passed = len(self.full.extras)
        finished = self.full.finished
        if finished is None:
            return
        if self.full.failed:
            self._fail()
            return
        if not self.full.speaks:
            self._apologize()  # a filter, or its length, has left nothing of it
        for index in sorted(self.full.calls):
            self._out.append(ToolCalled(index, self.full.calls[index], self._now_ms))
        self._end(self.full.own_reason)

    def _fail_unheard(self) -> None:
        if self.continues and self._draft_answers and not self.draft.failed:
            self.stage, self.degraded = "draft", True  # the draft was only held back: it goes on
            self._told_by_ms = self.overtaken_ms = self.handover_ms = None
            self._closing_is_due = self._broken = False
            self._say("draft", self.draft_gate.releasable)
            self._stand_in()
        else:
            self._fail()

    # Times that have come.

    def _reach(self, fired: TimerFired) -> None:
        """Whether a time that has come is still of use is decided here."""
        come = [(due.number, due.due) for due in self.dues() if due.at_ms <= self._now_ms]
        if fired.due == DEADLINE.due:
            self._reach_deadline()
        elif (fired.number, fired.due) not in come:
            return
        elif fired.due == FILLER.due:
            # Without a phrase in this language there will be none.
            self.fillers_said = self.fillers_said + 1 if fired.phrase else self.policy.filler.maximum
            self._broken = self._breaks_off()
            self._let_out("filler", fired.phrase)
        else:
            if fired.due == CUT.due:
                self._closing_is_due = True
            elif fired.due == DRAFT.due:
                self.draft_waits = False
            elif fired.due == TOLD.due:
                self._end_listening()
            elif fired.due == REST.due:
                self.aloud.rest(self._now_ms)
                self.draft_gate.update()
            self._advance()

    def _end_listening(self) -> None:
        """Under `continue` the draft ends its sentence now; one yet to begin gets what time is left."""
        if not self.spoken["draft"] and not self._closing_is_due:
            self._told_by_ms = self._now_ms + handover.finish_ms(self.policy.handoff, self.continues)
            self._closing_is_due = True
        else:
            self._begin_closing()

    def _reach_deadline(self) -> None:
        answer = self.draft.finished
        if self.stage == "draft" and answer and self.draft_gate.answers and self._draft_answers:
            self.degraded = True
            self._end(answer.reason)
        else:
            self._end_failed(turn_error("turn_deadline", "the turn took longer than it may"))

    # Letting out.

    def _say(self, lane: Lane, upto: int) -> None:
        """Release a lane's text up to a place in it."""
        text = self.lanes[lane].text[self.spoken[lane] : upto]
        self.spoken[lane] = max(self.spoken[lane], upto)
        self._let_out(lane, text)

    def _let_out(self, lane: Lane, text: str) -> None:
        """Release a text, within the turn's cap."""
        if not text or self.ending:
            return
        goes_on = self.continues and (self._transcript.speaker, lane) == ("draft", "full")
        broken = self._broken and self._transcript.speaker == "draft"
        said, too_much = self._transcript.append(lane, text, self._now_ms, broken=broken, goes_on=goes_on)
        if said:
            self._full_heard = self._full_heard or (lane == "full" and not text.isspace())
            self._out.append(said)
        if too_much:
            self._end("length")

    def _fail(self) -> None:
        finished = self.full.finished
        self._end_failed((finished.error if finished else None) or self.full.no_answer)

    def _end_failed(self, error: dict[str, Any]) -> None:
        self.degraded = False
        if not self._full_heard:
            self.overtaken_ms = self.handover_ms = None  # by what was never heard
        self._apologize()
        self._end("error", error)

    def _apologize(self) -> None:
        """Say so where nothing that was heard is an answer, or a part of one."""
        if self._full_heard or (self._draft_answers and self.spoken["draft"]):
            return
        if self.stage != "full":
            self._broken = self._breaks_off()
        if self._transcript.chars + len(self.apology) + _SEAM <= self.policy.max_chars:
            self._let_out("filler", self.apology)

    def _end(self, reason: str, error: dict[str, Any] | None = None) -> None:
        if self.ending is None:
            self.ending = TurnEnding(reason, self.degraded, error, self._now_ms)
            self._out.append(self.ending)
