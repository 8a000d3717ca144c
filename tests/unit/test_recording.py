"""Recorded turns: lines of a file, turns that lie between one another, parts read side by side."""

from pathlib import Path
from typing import Any, cast

import pytest

from common.events import Entry, Event, LaneFinished, TurnEnded, TurnInterrupted, TurnStarted, encode
from common.names import SessionRef
from common.records.recording import Collector, RecordedTurn, parts_of, read_line, read_turns, write_line
from tests.support.turn_events import TURN, begin, end, say, started

OTHER = "bbbbbbbbbbbb"
SESSION = SessionRef("default", "a call")


def ended(turn: str = TURN) -> TurnEnded:
    return TurnEnded(turn, "stop", 2, {}, "", False, None)


def whole(turn: str = TURN, text: str = "Hi") -> list[Event]:
    """The events of a short turn without a draft."""
    events = [started(draft=False, turn=turn), begin("full"), say("full", 0, text), end("full", at=len(text))]
    return [of(event, turn) for event in events] + [ended(turn)]


def of(event: Any, turn: str) -> Event:
    return cast(
        Event, type(event)(**{n: getattr(event, n) for n in event.__dataclass_fields__} | {"turn": turn})
    )


def lines(events: list[Event], start_ms: int = 1_000) -> list[bytes]:
    return [write_line(Entry(f"{start_ms + n}-0", event)) for n, event in enumerate(events)]


def names(turns: Any) -> list[str]:
    return [turn.started.turn for turn in turns]


@pytest.mark.parametrize("event", [*whole(), TurnInterrupted(TURN, "client", 3)])
def test_a_line_is_read_as_it_was_written(event: Event) -> None:
    line = write_line(Entry("17-3", event))
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    entry = read_line(line)
    assert entry is not None and entry.id == "17-3" and encode(entry.event) == encode(event)


def test_unknown_kinds_and_fields_are_passed_over() -> None:
    assert read_line(b'{"id":"1-0","kind":"speech","event":{}}') is None
    entry = read_line(write_line(Entry("1-0", ended())).replace(b'"stop"', b'"stop","later":1'))
    assert entry is not None and entry.event == ended()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b"1",
        b"{}",
        b'{"id":"1-0","kind":"delta","event":{}}',
        b'{"id":"1-0","kind":[],"event":1}',
    ],
)
def test_a_broken_line_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        read_line(line)


def test_a_turn_has_its_events_and_their_times() -> None:
    (turn,) = read_turns(lines(whole()))
    assert turn.ended == ended()
    assert encode(turn.started) == encode(whole()[0])
    assert [(ms, event) for ms, event in turn.events] == list(enumerate(whole()[1:4], 1))


def test_a_later_turn_interrupts_one_that_goes_on() -> None:
    first = [of(event, OTHER) for event in whole()]
    events = [*first[:2], *whole(), *first[2:]]
    turns = list(read_turns(lines(events)))
    assert names(turns) == [TURN, OTHER]
    assert [ms for ms, event in turns[1].events if isinstance(event, TurnStarted)] == [2]
    assert len(turns[0].events) == 3


def test_a_later_turn_is_nothing_to_one_that_has_ended() -> None:
    shadow: list[Event] = [started(), begin("full"), end("full"), ended()]
    late: list[Event] = [begin("draft"), say("draft", 0, "Hi"), end("draft", at=2)]
    turns = {turn.started.turn: turn for turn in read_turns(lines([*shadow, *whole(OTHER), *late]))}
    assert [event for _, event in turns[TURN].events] == [begin("full"), end("full"), *late]


def test_lines_without_a_beginning_belong_to_no_turn() -> None:
    assert names(read_turns(lines([*whole(OTHER)[1:], *whole()]))) == [TURN]


def test_an_attempt_that_is_handed_over_does_not_end_its_lane() -> None:
    collector = Collector()
    events: list[Event] = [
        started(draft=False),
        begin("full"),
        end("full", "handed_over"),
        ended(),
        begin("full", 2),
    ]
    for line in lines(events):
        assert collector.feed(cast(Entry, read_line(line))) == []
    assert names(collector.feed(Entry("9000-0", end("full", attempt=2)))) == [TURN]
    assert not collector.waits


def test_a_turn_that_never_ends_is_left_behind() -> None:
    collector = Collector()
    collector.feed(Entry("1000-0", started()))
    assert names(collector.feed(Entry("999999-0", whole(OTHER)[0]))) == [TURN]


def test_an_earlier_time_is_another_session() -> None:
    turns = list(read_turns([*lines(whole()[:3], 5_000), *lines(whole(OTHER), 1_000)]))
    assert names(turns) == [TURN, OTHER]
    assert len(turns[0].events) == 2


def many(count: int) -> list[bytes]:
    """Turns of which each starts before the one before it has ended."""
    events: list[Event] = []
    for number in range(count):
        turn = whole(f"turn{number:08}", "Hi" * (number % 7))
        events[-1:] = [*turn[:2], *events[-1:], *turn[2:]]
    return lines(events)


@pytest.mark.parametrize("size", [1, 50, 333, 5_000, 10**9])
def test_parts_have_each_turn_once_and_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "turns.jsonl"
    path.write_bytes(b"".join(many(40)))
    together: list[RecordedTurn] = []
    for part in parts_of(path, size):
        together += part.turns()
        assert not part.broken
    by_name = {turn.started.turn: turn for turn in read_turns(many(40))}
    assert sorted(names(together)) == sorted(by_name)
    assert all(turn == by_name[turn.started.turn] for turn in together)
    assert all(turn.ended for turn in together)


def test_broken_lines_are_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "turns.jsonl"
    path.write_bytes(b"".join([b"x\n", *lines(whole()), b"\n", b'{"id":"x","kind":"turn.ended"}\n']))
    parts = parts_of(path, 100)
    assert [name for part in parts for name in names(part.turns())] == [TURN]
    assert sum(part.broken for part in parts) == 2


def test_the_end_of_a_lost_text_is_kept() -> None:
    """Whether an end counts is for the fold to say."""
    (turn,) = read_turns(lines([started(draft=False), begin("full"), end("full", at=99), ended()]))
    assert isinstance(turn.events[-1][1], LaneFinished)
