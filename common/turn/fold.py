"""The fold: from a turn's events, in log order, to what the client hears.

Pure and incremental: no clock, no I/O, no randomness. The live relay, a resume, a replay and the sweep run
this same code, so they agree; whoever changes what it says raises FOLD_VERSION.
"""

from dataclasses import replace
from typing import Any

from common.errors import turn_error
from common.events import (
    Delta,
    Event,
    LaneEvent,
    LaneFinished,
    LaneStarted,
    TimerFired,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
    was_forced,
)
from common.names import Lane
from common.turn.draft_cut import DraftCut, is_whole
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
from common.turn.phases import Closing, Drafting, Speaking
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
        """Feed one event and return what it lets out, in order. `at_ms`: the entry's time since the turn's
        start.

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
        elif isinstance(event, LaneEvent):
            lane = self.lanes.get(event.lane)
            if lane:
                self._apply(lane, event)
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
        """Count an event behind the turn's end, where only a shadow draft still goes on."""
        if event.turn == self.turn:
            self.costs.count_late(event, shadow=self.policy.handoff.shadow)
        if not isinstance(event, LaneStarted | Delta | LaneFinished):
            return
        if (event.turn, event.lane) == (self.turn, "draft") and self.policy.handoff.shadow:
            self.draft.apply(event)

    def _apply(self, lane: LaneState, event: LaneEvent) -> None:
        lane.apply(event)
        self.aloud.update(lane, self._now_ms)
        if lane is self.draft:
            self.draft_gate.update()
        elif self.full.attempt and not self.full.over:
            self._listen()
        self._advance()

    def _listen(self) -> None:
        """The full has begun: where it waits for the draft, its time runs from here."""
        if self.join.full_hears_draft and self.phase == Drafting():
            self.phase = Drafting(self._now_ms + self.join.listen_ms(self))

    def _advance(self) -> None:
        if isinstance(self.phase, Drafting):
            self._follow_draft()
        if isinstance(self.phase, Closing):
            self._close_draft(self.phase)
        if isinstance(self.phase, Speaking):
            self._follow_full()

    def _follow_draft(self) -> None:
        if self.join.full_hears_draft:
            self._say("draft", self.draft_gate.releasable)  # also its last words: the full waits for them
        if self.join.overtakes(self):
            self._begin_closing(before_silence=bool(self.full.calls) and not self.full_gate.has_to_say())
            return
        self._say("draft", self.draft_gate.releasable)
        if self.full.over:
            self._stand_in()

    def _begin_closing(self, *, before_silence: bool = False) -> None:
        """The draft may finish its sentence; one that is spoken, so not heard yet, only before silence."""
        whole = self.aloud and before_silence and not self.policy.draft.guard
        floor = len(self.draft.text) if whole else self.spoken["draft"]
        finish_by_ms = self._now_ms + self.join.finish_ms(self)
        time_is_up = isinstance(self.phase, Drafting) and self.phase.waits_again
        cut = DraftCut(self.policy.handoff, self.draft, floor)
        self.phase = Closing(cut, self._now_ms, None if time_is_up else finish_by_ms)

    def _close_draft(self, closing: Closing) -> None:
        if self.full.failed and self._draft_answers and not self.join.draft_stands_by:
            self._go_back()
            return
        place = closing.cut.place(self.draft_gate.releasable)
        may = min(closing.cut.may_say(), self.draft_gate.releasable)
        late = closing.finish_by_ms is None or closing.cut.overruns()
        if self._transcript.speaker == "filler":
            place = self.spoken["draft"]  # its sentence was broken off already
        if place is None and (late or self.draft_gate.blocked_by):
            place = max(may, self.spoken["draft"])
        if place is not None:
            self._say("draft", place)
            self._hand_over(closing)
        elif self.draft_gate.releasable == len(self.draft.text):
            self._say("draft", may)

    def _hand_over(self, closing: Closing) -> None:
        handover_ms = None if self.full.failed else self._now_ms
        broken = self.policy.handoff.cut != "now" and self._breaks_off()
        self.phase = Speaking(closing.overtaken_ms, handover_ms, broken)
        self.full_gate.start_speaking(self.spoken["draft"])

    def _go_back(self) -> None:
        """The full has failed before it was heard: the draft, which was only held back, goes on."""
        self.phase = Drafting()
        self._follow_draft()

    @property
    def _broken(self) -> bool:
        """Return True if the draft was heard to break off, or would be, were another lane to speak now."""
        return self.phase.broken if isinstance(self.phase, Speaking) else self._breaks_off()

    def _breaks_off(self) -> bool:
        """Return True if a draft that stops here is heard to break off. Spoken units are whole."""
        return not self.aloud and not is_whole(self.draft, self.spoken["draft"])

    def _stand_in(self) -> None:
        """The full is over and was never heard: the draft's answer stands, if it is one.

        Else the draft ends its sentence: the full has nothing more to say than was said, or nothing at all.
        """
        self.draft_waits = False
        if not self.full.failed or not self._draft_answers:
            self._begin_closing(before_silence=True)
            return
        self.degraded = True
        if not self.draft_gate.silent:
            return
        finished = self.draft.finished
        if self.draft_gate.answers and finished:
            self._end(finished.reason)
        else:
            self._fail()

    def _follow_full(self) -> None:
        if self.full.failed and not self._full_heard:
            self._fail_unheard()
            return
        text = self.full_gate.next_text(self.spoken["draft"], self._transcript.speaker)
        self.spoken["full"] = self.full_gate.taken
        self._release("full", text)
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
        if self.join.draft_stands_by and self._draft_answers and not self.draft.failed:
            self.degraded = True
            self._go_back()
        else:
            self._fail()

    # Times that have come.

    def _reach(self, fired: TimerFired) -> None:
        """Apply a timer that has fired, if it still matters."""
        come = [(due.number, due.due) for due in self.dues() if due.at_ms <= self._now_ms]
        if fired.due == DEADLINE.due:
            self._reach_deadline()
        elif (fired.number, fired.due) not in come:
            return
        elif fired.due == FILLER.due:
            self._fill(fired.phrase)
        else:
            match fired.due, self.phase:
                case CUT.due, Closing() as closing:
                    self.phase = replace(closing, finish_by_ms=None)
                case TOLD.due, Drafting() as drafting:
                    self._end_listening(drafting)
                case DRAFT.due, _:
                    self.draft_waits = False
                case REST.due, _:
                    self.aloud.rest(self._now_ms)
                    self.draft_gate.update()
            self._advance()

    def _fill(self, phrase: str) -> None:
        """Without a phrase in this language there will be none."""
        self.fillers_said = self.fillers_said + 1 if phrase else self.policy.filler.maximum
        if isinstance(self.phase, Speaking):
            self.phase = replace(self.phase, broken=self._breaks_off())
        self._release("filler", phrase)

    def _end_listening(self, drafting: Drafting) -> None:
        """The draft ends its sentence now; one yet to begin gets what time is left."""
        if self.spoken["draft"] or drafting.waits_again:
            self._begin_closing()
        else:
            finish_ms = self.join.finish_ms(self)
            self.phase = Drafting(self._now_ms + finish_ms, waits_again=True)

    def _reach_deadline(self) -> None:
        answer = self.draft.finished
        drafting = isinstance(self.phase, Drafting)
        if drafting and answer and self.draft_gate.answers and self._draft_answers:
            self.degraded = True
            self._end(answer.reason)
        else:
            self._end_failed(turn_error("turn_deadline", "the turn took longer than it may"))

    # Letting out.

    def _say(self, lane: Lane, upto: int) -> None:
        """Release a lane's text up to a place in it."""
        text = self.lanes[lane].text[self.spoken[lane] : upto]
        self.spoken[lane] = max(self.spoken[lane], upto)
        self._release(lane, text)

    def _release(self, lane: Lane, text: str) -> None:
        """Release a text, within the turn's cap."""
        if not text or self.ending:
            return
        after_draft = self._transcript.speaker == "draft" and lane != "draft"
        broken = after_draft and self._broken
        goes_on = after_draft and lane == "full" and self.join.full_hears_draft
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
        self._apologize()
        if not self._full_heard:
            self.phase = Drafting()  # what was never heard has not overtaken
        self._end("error", error)

    def _apologize(self) -> None:
        """Say so where nothing that was heard is an answer, or a part of one."""
        if self._full_heard or (self._draft_answers and self.spoken["draft"]):
            return
        if self._transcript.chars + len(self.apology) + _SEAM <= self.policy.max_chars:
            self._release("filler", self.apology)

    def _end(self, reason: str, error: dict[str, Any] | None = None) -> None:
        if self.ending is None:
            self.ending = TurnEnding(reason, self.degraded, error, self._now_ms)
            self._out.append(self.ending)
