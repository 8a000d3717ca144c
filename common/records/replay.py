"""Folds a recorded turn again: as it was, and as it would have been under another policy.

As it was: the recorded events are fed unchanged. Under another policy: the models say the same at the same
times, and callers act the same; due times are the fold's own, so recorded `timer.fired` are skipped. What the
recording can't tell is reported as unknown, with the reason, and never guessed.
"""

from dataclasses import dataclass, field, replace
from zlib import crc32

from common.events import Delta, Event, LaneFinished, TimerFired, TurnInterrupted, TurnStarted
from common.records.recording import RecordedTurn
from common.turn.fillers import conversation, phrases_for
from common.turn.fold import Fold
from common.turn.outputs import DEADLINE, FILLER, Due, Output, TextReleased, ToolCalled
from common.turn.policy import Policy

BY_POLICY = "the policy says so"
"""What `drafting` says in `turn.started` where `draft.when` is never."""


@dataclass(slots=True)
class ReplayedTurn:
    """A turn folded again. If `unknown` gives a reason, nothing else of it is valid."""

    turn: RecordedTurn
    fold: Fold
    said: list[TextReleased] = field(default_factory=list)
    called: list[ToolCalled] = field(default_factory=list)
    drafted: int | None = None  # characters that the draft had made when it was told to stop
    unknown: str = ""

    def add(self, releases: list[Output]) -> None:
        """Add outputs that were released."""
        for release in releases:
            if isinstance(release, TextReleased):
                self.said.append(release)
            elif isinstance(release, ToolCalled):
                self.called.append(release)

    def note_draft(self) -> None:
        """Note when the draft is no longer wanted."""
        if self.drafted is None and not self.fold.wants("draft"):
            self.drafted = len(self.fold.draft.text)


@dataclass(slots=True)
class RecordedReplay(ReplayedTurn):
    """A turn as it was heard."""

    policy: Policy = field(default_factory=Policy)
    cut: set[int] = field(
        default_factory=set
    )  # ends of lanes that the handover or the turn's end brought about
    strays: set[int] = field(default_factory=set)  # stops of a turn that was over

    @property
    def drifted(self) -> bool:
        """Return True if this fold disagrees with the one that wrote the ending."""
        ended, ending = self.turn.ended, self.fold.ending
        if ended is None or self.turn.dropped:
            return False
        now = (self.fold.hash(), self.fold.released, ending and ending.reason)
        return now != (ended.hash, ended.released, ended.reason)


def replay_as_recorded(turn: RecordedTurn) -> RecordedReplay:
    """Fold a recorded turn as it was. Raises UnknownFold."""
    fold = Fold(turn.started)
    whole = RecordedReplay(turn, fold, policy=fold.policy)
    for index, (ms, event) in enumerate(turn.events):
        if isinstance(event, LaneFinished):
            if event.reason == "cancelled" and not fold.wants(event.lane):
                whole.cut.add(index)
        elif isinstance(event, TurnInterrupted | TurnStarted) and fold.ending:
            whole.strays.add(index)
        releases = fold.feed(event, ms)
        if releases:
            whole.add(releases)
        if whole.drafted is None:
            whole.note_draft()
    if whole.drafted is None:
        whole.drafted = len(fold.draft.text)
    if turn.dropped:
        whole.unknown = "what was said is not kept"
    elif fold.ending is None:
        whole.unknown = "the turn has not ended in the recording"
    elif whole.drifted:
        whole.unknown = "drift: it was heard otherwise than this version folds it"
    return whole


def replay_under(recorded: RecordedReplay, policy: Policy) -> ReplayedTurn:
    """Fold a turn as it would have been under this policy."""
    if recorded.unknown or policy == recorded.policy:
        return recorded
    turn = recorded.turn
    lanes = dict(turn.started.lanes)
    if policy.draft.when == "never":
        lanes.pop("draft", None)
    fold = Fold(replace(turn.started, policy=policy.model_dump(), lanes=lanes))
    again = _Again(turn, fold, recorded=recorded)
    again.unknown = _untold(recorded, fold)
    if not again.unknown:
        again.run()
    if again.drafted is None:
        again.drafted = len(fold.draft.text)
    return again


@dataclass(slots=True)
class _Again(ReplayedTurn):
    """One such replay in progress."""

    recorded: RecordedReplay = field(kw_only=True)

    def run(self) -> None:
        """Feed the recorded events, with the fold's own timers between them."""
        fold, cut, strays = self.fold, self.recorded.cut, self.recorded.strays
        phase, due = fold.phase, fold.next_due
        for index, (ms, event) in enumerate(self.turn.events):
            if due is not None and due.at_ms <= ms:
                due = self._fire_until(ms)
            if fold.ending and not fold.policy.handoff.shadow:
                break
            if isinstance(event, TimerFired) or index in strays:
                continue
            if index in cut:
                if self._misses(event):
                    return
                continue
            self._feed(event, ms)
            # A delta can make a timer due earlier only by a change of phase, or if the turn is spoken.
            if fold.aloud or fold.phase is not phase or not isinstance(event, Delta):
                phase, due = fold.phase, fold.next_due
        if fold.ending is None:
            self._go_on()
        if not self.unknown:
            self.unknown = self._contradiction()

    def _feed(self, event: Event, ms: int) -> None:
        releases = self.fold.feed(event, ms)
        if releases:
            self.add(releases)
        if self.drafted is None:
            self.note_draft()

    def _fire_until(self, ms: int) -> Due | None:
        """Fire the timers that are due by then, and return the next one that is due."""
        while (due := self.fold.next_due) and due.at_ms <= ms:
            self._fire(due)
        return due

    def _fire(self, due: Due) -> None:
        phrase = self._phrase(due.number) if due.due == FILLER.due else ""
        self._feed(TimerFired(self.turn.started.turn, due.number, due.due, phrase), due.at_ms)

    def _phrase(self, number: int) -> str:
        """Return the turn's phrases one after the other; the turn's name decides the first."""
        started = self.turn.started
        phrases = phrases_for(self.fold.policy.filler, conversation(started))
        first = crc32(started.turn.encode()) - FILLER.number
        return phrases[(first + number) % len(phrases)] if phrases else ""

    def _misses(self, event: Event) -> bool:
        """Return True if the fold wanted more of a lane that was cut."""
        if not isinstance(event, LaneFinished) or not self.fold.wants(event.lane):
            return False
        self.unknown = f"the {event.lane} was cut before this policy would have cut it"
        return True

    def _go_on(self) -> None:
        """Fire timers after the last entry, as far as they lead to an end."""
        while (due := self.fold.next_due) and due.due != DEADLINE.due:
            self._fire(due)
        if self.fold.ending is None:
            self.unknown = "the recording stops before this policy's end of the turn"

    def _contradiction(self) -> str:
        """Return why the folded turn can't have happened like this; empty if it can."""
        fold, then = self.fold, self.recorded.fold
        if then.draft_waits and not fold.draft_waits and "draft" in fold.lanes and not then.draft.attempt:
            return "the late draft was never run"
        if fold.join.full_hears_draft and _heard_draft(fold) != _heard_draft(then):
            return "the full was told of another draft"
        return ""


def _heard_draft(fold: Fold) -> str:
    return fold.draft.text[: fold.spoken["draft"]]


def _untold(recorded: RecordedReplay, fold: Fold) -> str:
    """Return why the recording can't tell anything about this policy; empty if it can."""
    old, policy, started = recorded.policy, fold.policy, recorded.turn.started
    if recorded.fold.join.full_hears_draft != fold.join.full_hears_draft:
        return "the full would have been asked otherwise, under `continue`"
    stopped = any(isinstance(e, TurnInterrupted) and e.by != "client" for _, e in recorded.turn.events)
    if policy.on_disconnect != old.on_disconnect and stopped:
        return "the turn was stopped when its client had left"
    return "" if policy.draft.when == "never" else _undrafted(started, old, policy)


def _undrafted(started: TurnStarted, old: Policy, new: Policy) -> str:
    """Return why the draft would have been another, or none; empty if it would not."""
    was, now = old.draft, new.draft
    late = started.drafting == "late"
    if started.drafting == BY_POLICY and was.when != now.when:
        return "no draft was run"
    for rule in ("off_with_tools", "off_in_states", "off_if_metadata"):
        if getattr(was, rule) != getattr(now, rule):
            return f"whether there is a draft under another `draft.{rule}` is not recorded"
    if "draft" not in started.lanes:
        return ""
    adapted = now.when == "adaptive" and (was.when != now.when or was.slow_ms != now.slow_ms)
    if adapted or (late and (was.when != now.when or was.hedge_ms != now.hedge_ms)):
        return "the draft would have been begun at another time, or not at all"
    return "the draft would have had another prompt" if was.style != now.style else ""
