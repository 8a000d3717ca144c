"""What holds for the fold whatever comes in whatever order."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from turns import TURN, begin, call, end, endings, extra, fold_all, heard, say, spoken, started

from common.events import Delta, Event, LaneStarted, TimerFired, TurnInterrupted
from common.fold import Fold
from common.releases import Said

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
]

SEAM = re.compile(r"…?[*_~`\n]*[ \n]*")

policies = st.fixed_dictionaries(
    {
        "release": st.sampled_from(["token", "sentence"]),
        "handoff": st.fixed_dictionaries(
            {
                "join": st.sampled_from(["append", "skip_repeat"]),
                "when": st.sampled_from(["sentence", "first_token", "length"]),
                "cut": st.sampled_from(["sentence", "now"]),
                "min_chars": st.integers(1, 40),
                "overrun_chars": st.integers(0, 40),
            }
        ),
        "max_chars": st.one_of(st.just(64_000), st.integers(1, 60)),
    }
)


@st.composite
def lane_events(draw: st.DrawFn, lane: str) -> list[Event]:
    """One lane as its workers write it: attempts that go on from one another, then an end, or none."""
    events: list[Event] = []
    text = ""
    attempts = draw(st.integers(1, 3))
    for attempt in range(1, attempts + 1):
        events.append(begin(lane, attempt))
        for piece in draw(st.lists(st.sampled_from(PIECES), max_size=8)):
            events.append(say(lane, len(text), piece, attempt))
            text += piece
        if lane == "full" and draw(st.booleans()):
            events.append(call(0, 0, '{"a":1}', attempt=attempt))
    reason = draw(st.sampled_from(["stop", "length", "error", "cancelled", None]))
    if reason:
        events.append(end(lane, reason, attempts))
    return events


@st.composite
def interleaved(draw: st.DrawFn) -> list[Event]:
    """Both lanes' events in any order that keeps each lane's own."""
    queues = [draw(lane_events("draft")), draw(lane_events("full"))]
    events: list[Event] = []
    while any(queues):
        queue = draw(st.sampled_from([q for q in queues if q]))
        events.append(queue.pop(0))
    return events


def lane_text(events: list[Event], lane: str) -> str:
    return "".join(e.text for e in events if isinstance(e, Delta) and e.lane == lane)


def outcome(events: list[Event], policy: dict[str, Any]) -> tuple[Any, ...]:
    fold, out = fold_all(started(**policy), events)
    return spoken(out), [(e.reason, e.degraded) for e in endings(out)], fold.released, fold.hash()


def insert(events: list[Event], places: list[tuple[int, Event]]) -> list[Event]:
    result = list(events)
    for place, event in places:
        result.insert(place % (len(result) + 1), event)
    return result


@settings(max_examples=400)
@given(interleaved(), policies)
def test_the_text_is_a_beginning_of_the_draft_then_a_beginning_of_the_full(
    events: list[Event], policy: Any
) -> None:
    fold, out = fold_all(started(**policy), events)
    parts = dict(spoken(out))
    assert [lane for lane, _ in spoken(out)] in ([], ["draft"], ["full"], ["draft", "full"])
    assert lane_text(events, "draft").startswith(parts.get("draft", ""))
    said, full = parts.get("full", ""), full_said(fold)
    seam = SEAM.match(said) if parts.get("draft") else None
    assert any(full.startswith(said[cut:]) for cut in range(seam.end() + 1 if seam else 1))
    assert len(heard(out)) == fold.released <= fold.policy.max_chars


def full_said(fold: Fold) -> str:
    """The full's text so far, without what was left out of its opening."""
    text = fold.full.text
    return fold.opening.said(text, 0, len(text)) if fold.opening else text


@settings(max_examples=300)
@given(interleaved(), policies)
def test_a_whole_full_that_was_heard_is_heard_whole(events: list[Event], policy: Any) -> None:
    fold, out = fold_all(started(**{**policy, "max_chars": 64_000}), events)
    if fold.stage == "full" and fold.full.over and not fold.full.failed:
        assert heard(out).endswith(full_said(fold))


@settings(max_examples=300)
@given(interleaved(), policies, st.data())
def test_what_was_released_never_changes(events: list[Event], policy: Any, data: st.DataObject) -> None:
    _, whole = fold_all(started(**policy), events)
    cut = data.draw(st.integers(0, len(events)))
    _, before = fold_all(started(**policy), events[:cut])
    assert whole[: len(before)] == before


@settings(max_examples=300)
@given(interleaved(), policies, st.data())
def test_repeats_change_nothing(events: list[Event], policy: Any, data: st.DataObject) -> None:
    """An event again, later than its own place: as after an append whose reply was lost."""
    again = list(events)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(again) - 1))
        later = data.draw(st.integers(place + 1, len(again)))
        again.insert(later, again[place])
    assert outcome(again, policy) == outcome(events, policy)


@settings(max_examples=300)
@given(interleaved(), policies, st.data())
def test_text_said_again_in_other_pieces_changes_nothing(
    events: list[Event], policy: Any, data: st.DataObject
) -> None:
    again = list(events)
    for place in sorted(data.draw(st.sets(st.integers(1, len(events)), max_size=4)), reverse=True):
        lane = data.draw(st.sampled_from(["draft", "full"]))
        before = events[:place]
        attempt = max((e.attempt for e in before if isinstance(e, LaneStarted) and e.lane == lane), default=0)
        text = lane_text(before, lane)
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, len(text)))
        again.insert(place, say(lane, start, text[start:stop], attempt))
    assert outcome(again, policy) == outcome(events, policy)


@settings(max_examples=300)
@given(interleaved(), policies, st.data())
def test_a_void_attempt_changes_nothing(events: list[Event], policy: Any, data: st.DataObject) -> None:
    """A zombie writes on, starts again, even ends, after a later attempt has begun."""
    again = list(events)
    for place in range(len(events), 0, -1):
        event = events[place - 1]
        if isinstance(event, LaneStarted) and event.attempt > 1 and data.draw(st.booleans()):
            old = event.attempt - 1
            at = data.draw(st.integers(0, 30))
            stray = data.draw(
                st.sampled_from(
                    [
                        say(event.lane, at, "zombie", old),
                        end(event.lane, "stop", old),
                        begin(event.lane, old, "z"),
                    ]
                )
            )
            again.insert(data.draw(st.integers(place, len(again))), stray)
    assert outcome(again, policy) == outcome(events, policy)


@settings(max_examples=300)
@given(interleaved(), policies, st.data())
def test_strays_of_other_turns_and_after_the_ending_change_nothing(
    events: list[Event], policy: Any, data: st.DataObject
) -> None:
    other = Delta("bbbbbbbbbbbb", "full", 1, 0, "not ours", 0)
    places = data.draw(st.lists(st.tuples(st.integers(0, 50), st.just(other)), max_size=4))
    assert outcome(insert(events, places), policy) == outcome(events, policy)
    fold, out = fold_all(started(**policy), events)
    if fold.ending:
        late: list[Event] = [
            say("full", 0, "late"),
            begin("full", 9),
            end("draft", "error", 9),
            TimerFired(TURN, 0, "deadline", ""),
            TurnInterrupted(TURN, "client", 0),
            started(turn="bbbbbbbbbbbb"),
            extra(0, {}),
        ]
        assert [r for event in late for r in fold.feed(event, 99)] == []
        assert endings(out) == [out[-1]]


@settings(max_examples=300)
@given(interleaved(), policies)
def test_a_turn_whose_lanes_are_over_has_ended_once(events: list[Event], policy: Any) -> None:
    fold, out = fold_all(started(**policy), events)
    if fold.draft.over and fold.full.over:
        assert len(endings(out)) == 1
    assert len(endings(out)) <= 1


@settings(max_examples=200)
@given(interleaved(), policies, st.data())
def test_however_the_text_is_cut_it_is_whole(events: list[Event], policy: Any, data: st.DataObject) -> None:
    """Group commits merge and split text at will: seams may move, but no character is lost or doubled."""
    pieces: list[Event] = []
    for event in events:
        cut = data.draw(st.integers(0, len(event.text))) if isinstance(event, Delta) else 0
        if isinstance(event, Delta) and cut:
            pieces += [
                say(event.lane, event.at, event.text[:cut], event.attempt),
                say(event.lane, event.at + cut, event.text[cut:], event.attempt),
            ]
        else:
            pieces.append(event)
    _, out = fold_all(started(**policy), pieces)
    drafted = "".join(r.text for r in out if isinstance(r, Said) and r.lane == "draft")
    assert lane_text(events, "draft").startswith(drafted)
