"""What holds for the fold whatever comes in whatever order."""

import re
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.events import Delta, Event, LaneFinished, LaneStarted, TimerFired, TurnInterrupted
from common.turn.fold import Fold
from common.turn.joins.registry import JOINS
from common.turn.outputs import CUT, DEADLINE, DRAFT, FILLER, REST, TOLD, Due, Output, TextReleased
from tests.support.turn_events import (
    TURN,
    begin,
    call,
    end,
    endings,
    extra,
    fire,
    heard,
    say,
    spoken,
    started,
)

PIECES = [
    "Yes",
    " no",
    ". ",
    "! ",
    "好的",
    "。",
    "，",
    " и ",
    "да. ",
    "3.5",
    " Dr. ",
    "\n",
    "e.g. ",
    "…",
    " “ok.”",
    "- a",
    "é",
    "👍🏽",
    "**",
    "`",
    " The shop is new.",
    " #",
]
PHRASES = ["One moment.", "请稍等。", "So"]
SEAM = re.compile(r"…?[*_~`\n]*[ \n]*")


@dataclass(frozen=True)
class Pass:
    """Time that goes by between two events."""

    ms: int


Step = Event | Pass

policies = st.fixed_dictionaries(
    {
        "release": st.sampled_from(["token", "sentence"]),
        "late": st.booleans(),
        "aloud": st.booleans(),
        "handoff": st.fixed_dictionaries(
            {
                "join": st.sampled_from([*JOINS]),
                "when": st.sampled_from(["sentence", "first_token", "length"]),
                "cut": st.sampled_from(["sentence", "now"]),
                "min_chars": st.integers(1, 40),
                "overrun_chars": st.integers(0, 40),
                "shadow": st.sampled_from([False, False, False, True]),
            }
        ),
        "draft": st.fixed_dictionaries(
            {"guard": st.booleans(), "style": st.sampled_from(["bridge", "answer"])}
        ),
        "filler": st.fixed_dictionaries(
            {"phrases": st.just({"*": PHRASES}), "delay_ms": st.just(500), "maximum": st.integers(0, 3)}
        ),
        "max_chars": st.one_of(st.just(64_000), st.integers(1, 60)),
    }
)


@st.composite
def lane_events(draw: st.DrawFn, lane: str) -> list[Step]:
    """One lane as its workers write it: attempts that go on from one another, then an end, or none."""
    events: list[Step] = []
    text = ""
    attempts = draw(st.integers(1, 3))
    for attempt in range(1, attempts + 1):
        events.append(begin(lane, attempt))
        for piece in draw(st.lists(st.sampled_from(PIECES), max_size=8)):
            events.append(say(lane, len(text), piece, attempt))
            text += piece
        if lane == "full" and draw(st.booleans()):
            events.append(call(0, 0, '{"a":1}', attempt=attempt))
        if lane == "full" and draw(st.booleans()):
            events.append(extra(0, {}, attempt=attempt))
    reason = draw(st.sampled_from(["stop", "length", "error", "cancelled", None]))
    if reason:
        events.append(end(lane, reason, attempts))
    return events


def timers() -> st.SearchStrategy[list[Step]]:
    """Times that come, and others that are early, late, or of no use."""
    dues = [CUT, DRAFT, TOLD, REST, *(Due(FILLER.number + count, FILLER.due, 0) for count in range(4))]
    fired = st.builds(fire, st.sampled_from(dues), st.sampled_from([*PHRASES, ""]))
    deadline = st.lists(st.just(fire(DEADLINE)), max_size=1)
    passes = st.builds(Pass, st.sampled_from([1, 20, 60, 300, 700, 1_000, 5_000]))
    steps = st.lists(st.one_of(passes, fired), max_size=12)
    return st.builds(lambda some, last, ends: [*some, *(last if ends == 1 else [])], steps, deadline,
                     st.integers(1, 8))  # fmt: skip


@st.composite
def interleaved(draw: st.DrawFn) -> list[Step]:
    """Both lanes' events, and times, in any order that keeps each lane's own."""
    queues = [draw(lane_events("draft")), draw(lane_events("full")), draw(timers())]
    events: list[Step] = []
    while any(queues):
        queue = draw(st.sampled_from([q for q in queues if q]))
        events.append(queue.pop(0))
    return events


def play(steps: list[Step], policy: dict[str, Any]) -> tuple[Fold, list[Output], int]:
    """The fold after these steps, what it let out, and what time it is."""
    fold, releases, now_ms = Fold(started(**policy)), [], 0
    for step in steps:
        if isinstance(step, Pass):
            now_ms += step.ms
        else:
            releases += fold.feed(step, now_ms)
    return fold, releases, now_ms


def lane_text(steps: list[Step], lane: str) -> str:
    return "".join(e.text for e in steps if isinstance(e, Delta) and e.lane == lane)


def outcome(steps: list[Step], policy: dict[str, Any]) -> tuple[Any, ...]:
    fold, out, _ = play(steps, policy)
    return spoken(out), [(e.reason, e.degraded) for e in endings(out)], fold.released, fold.hash()


def insert(steps: list[Step], places: list[tuple[int, Event]]) -> list[Step]:
    result = list(steps)
    for place, event in places:
        result.insert(place % (len(result) + 1), event)
    return result


def full_said(fold: Fold) -> str:
    """The full's text so far, without what was left out of its opening."""
    text = str(fold.full.text)
    return fold.full_gate.opening.said_between(text, 0, len(text))


def follows(text: str, parts: list[str], *, first: bool) -> bool:
    """Whether these parts, each with a seam before it, are a beginning of the text, blanks there aside."""
    rests = [text]
    for number, part in enumerate(parts):
        seam = SEAM.match(part) if number or not first else None
        cuts = range(seam.end() + 1 if seam else 1)
        rests = [
            start[len(part) - cut :]
            for rest in rests
            for start in (rest, rest.lstrip())
            for cut in cuts
            if start.startswith(part[cut:])
        ]
    return bool(rests)


@given(interleaved(), policies)
def test_what_is_heard_is_a_beginning_of_the_draft_then_a_beginning_of_the_full(
    steps: list[Step], policy: Any
) -> None:
    fold, out, _ = play(steps, policy)
    lanes = [lane for lane, _ in spoken(out)]
    assert "full" not in lanes[:-1]
    assert not (policy["handoff"]["shadow"] and "draft" in lanes)
    for lane, text in (("draft", lane_text(steps, "draft")), ("full", full_said(fold))):
        parts = [part for who, part in spoken(out) if who == lane]
        assert follows(text, parts, first=lanes[:1] == [lane])
    assert len(heard(out)) == fold.released <= fold.policy.max_chars
    assert 0 <= fold.fillers_said <= policy["filler"]["maximum"]
    assert sum(isinstance(r, TextReleased) and r.lane == "filler" for r in out) <= fold.fillers_said


@given(interleaved(), policies)
def test_a_whole_full_that_was_heard_is_heard_whole(steps: list[Step], policy: Any) -> None:
    fold, out, _ = play(steps, {**policy, "max_chars": 64_000})
    if endings(out) and endings(out)[0].reason in ("stop", "length") and not endings(out)[0].degraded:
        assert heard(out).endswith(full_said(fold).strip() and full_said(fold).lstrip())


@given(interleaved(), policies, st.data())
def test_what_was_released_never_changes(steps: list[Step], policy: Any, data: st.DataObject) -> None:
    _, whole, _ = play(steps, policy)
    cut = data.draw(st.integers(0, len(steps)))
    _, before, _ = play(steps[:cut], policy)
    assert whole[: len(before)] == before


@given(interleaved(), policies, st.data())
def test_repeats_change_nothing(steps: list[Step], policy: Any, data: st.DataObject) -> None:
    """An event again, later than its own place: as after an append whose reply was lost.

    A time that was too early and is told again when it has come is no repeat, so those are left alone.
    """
    again = list(steps)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(again) - 1))
        later = data.draw(st.integers(place + 1, len(again)))
        if not isinstance(again[place], Pass | TimerFired):
            again.insert(later, again[place])
    assert outcome(again, policy) == outcome(steps, policy)


@given(interleaved(), policies)
def test_a_time_told_twice_at_once_has_come_once(steps: list[Step], policy: Any) -> None:
    again = [copy for step in steps for copy in ([step, step] if isinstance(step, TimerFired) else [step])]
    assert outcome(again, policy) == outcome(steps, policy)


@given(interleaved(), policies, st.data())
def test_text_said_again_in_other_pieces_changes_nothing(
    steps: list[Step], policy: Any, data: st.DataObject
) -> None:
    again = list(steps)
    for place in sorted(data.draw(st.sets(st.integers(1, len(steps)), max_size=4)), reverse=True):
        lane = data.draw(st.sampled_from(["draft", "full"]))
        before = steps[:place]
        attempt = max((e.attempt for e in before if isinstance(e, LaneStarted) and e.lane == lane), default=0)
        text = lane_text(before, lane)
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, len(text)))
        again.insert(place, say(lane, start, text[start:stop], attempt))
    assert outcome(again, policy) == outcome(steps, policy)


@given(interleaved(), policies, st.data())
def test_a_void_attempt_changes_nothing(steps: list[Step], policy: Any, data: st.DataObject) -> None:
    """A zombie writes on, starts again, even ends, after a later attempt has begun."""
    again = list(steps)
    for place in range(len(steps), 0, -1):
        event = steps[place - 1]
        if isinstance(event, LaneStarted) and event.attempt > 1 and data.draw(st.booleans()):
            old = event.attempt - 1
            at = data.draw(st.integers(0, 30))
            strays: list[Event] = [
                say(event.lane, at, "zombie", old),
                end(event.lane, "stop", old),
                begin(event.lane, old, "z"),
            ]
            again.insert(data.draw(st.integers(place, len(again))), data.draw(st.sampled_from(strays)))
    assert outcome(again, policy) == outcome(steps, policy)


@given(interleaved(), policies, st.data())
def test_strays_of_other_turns_and_after_the_ending_change_nothing(
    steps: list[Step], policy: Any, data: st.DataObject
) -> None:
    other: Event = Delta("bbbbbbbbbbbb", "full", 1, 0, "not ours", 0)
    places = data.draw(st.lists(st.tuples(st.integers(0, 50), st.just(other)), max_size=4))
    assert outcome(insert(steps, places), policy) == outcome(steps, policy)
    fold, out, now_ms = play(steps, policy)
    if fold.ending:
        late: list[Event] = [
            say("full", 0, "late"),
            begin("full", 9),
            end("draft", "error", 9),
            fire(DEADLINE),
            fire(FILLER, "late"),
            TurnInterrupted(TURN, "client", 0),
            started(turn="bbbbbbbbbbbb"),
            extra(0, {}),
        ]
        assert [r for event in late for r in fold.feed(event, now_ms + 99)] == []
        assert fold.next_due is None
        assert endings(out) == [out[-1]]


@given(interleaved(), policies)
def test_a_turn_whose_lanes_are_over_ends_once_without_its_deadline(steps: list[Step], policy: Any) -> None:
    fold, out, now_ms = play(steps, policy)
    for lane in fold.lanes.values():
        ends = LaneFinished(TURN, lane.lane, lane.attempt, len(lane.text), "stop", None, None, 0)
        out += fold.feed(ends, now_ms)
    while fold.ending is None:
        due = fold.next_due
        assert due is not None and due.due != DEADLINE.due
        now_ms = max(now_ms, due.at_ms)
        out += fold.feed(fire(due, "One moment."), now_ms)
    assert endings(out) == [out[-1]]
    assert [lane for lane in fold.unstarted() if lane is not fold.draft] == []


@given(interleaved(), policies)
def test_a_lane_is_never_wanted_and_unwanted_and_a_waiting_draft_is_neither_begun_nor_stopped(
    steps: list[Step], policy: Any
) -> None:
    fold = Fold(started(**policy))
    now_ms = 0
    for step in steps:
        if isinstance(step, Pass):
            now_ms += step.ms
            continue
        fold.feed(step, now_ms)
        unwanted, unstarted = fold.unwanted(), fold.unstarted()
        assert not any(fold.wants(lane.lane) for lane in unwanted)
        assert all(fold.wants(lane.lane) for lane in unstarted)
        assert not (fold.draft_waits and fold.draft in [*unwanted, *unstarted])
        if policy["handoff"]["shadow"]:
            assert fold.draft not in unwanted


@given(interleaved(), policies, st.data())
def test_however_the_text_is_cut_it_is_whole(steps: list[Step], policy: Any, data: st.DataObject) -> None:
    """Group commits merge and split text at will: seams may move, but no character is lost or doubled."""
    pieces: list[Step] = []
    for event in steps:
        cut = data.draw(st.integers(0, len(event.text))) if isinstance(event, Delta) else 0
        if isinstance(event, Delta) and cut:
            pieces += [
                say(event.lane, event.at, event.text[:cut], event.attempt),
                say(event.lane, event.at + cut, event.text[cut:], event.attempt),
            ]
        else:
            pieces.append(event)
    _, out, _ = play(pieces, policy)
    lanes = [lane for lane, _ in spoken(out)]
    drafted = [text for lane, text in spoken(out) if lane == "draft"]
    assert follows(lane_text(steps, "draft"), drafted, first=lanes[:1] == ["draft"])
