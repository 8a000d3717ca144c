"""Recorded turns, read from a session's log or from a file that it was exported to.

A file has one JSON object a line, `{"id": …, "kind": …, "event": …}`, in log order; see
`docs/wire-format.md`. Its parts may be read concurrently: a part has the turns that start in it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from common.events import (
    KINDS,
    Entry,
    Event,
    LaneFinished,
    LaneStarted,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
    encode,
    place,
)

_LEAVE_MS = 60_000  # how long after a turn's deadline entries of its lanes may still come
_DEADLINE_MS = 120_000
_FIELDS = {name: frozenset(kind.__dataclass_fields__) for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One turn as logged. `events`: those after its start, with ms since then; `start_ms`: the start's time.

    `dropped`: its words are not kept.
    """

    started: TurnStarted
    events: list[tuple[int, Event]]
    ended: TurnEnded | None
    start_ms: int = 0

    @property
    def dropped(self) -> bool:
        return self.ended is not None and self.ended.record == "none"


def write_line(entry: Entry) -> bytes:
    """Return an entry as a line of a file."""
    ((kind, body),) = encode(entry.event).items()
    return _line(entry.id, kind, body)


def raw_line(entry_id: bytes, fields: dict[bytes, bytes]) -> bytes:
    """Return a stream's entry as a line of a file, including kinds that only later versions know."""
    ((kind, body),) = fields.items()
    return _line(entry_id.decode(), kind.decode(), body)


def read_line(line: bytes) -> Entry | None:
    """Return the entry in a line; None if its kind is unknown. Raises ValueError on anything else."""
    try:
        values = orjson.loads(line)
        kind, event = values["kind"], values["event"]
        known = KINDS.get(kind)
        if known is None:
            return None
        if len(event) > len(_FIELDS[kind]):  # a later version may add fields
            event = {key: value for key, value in event.items() if key in _FIELDS[kind]}
        return Entry(values["id"], known(**event))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"a broken line: {error}") from None


def _line(entry_id: str, kind: str, body: bytes) -> bytes:
    line = {"id": entry_id, "kind": kind, "event": orjson.Fragment(body)}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class _Open:
    """A turn that may still get entries."""

    start_ms: int
    deadline_ms: int
    turn: RecordedTurn
    lanes: dict[str, int]  # those that have not ended, with their attempt


@dataclass(slots=True)
class Collector:
    """Collects the turns in a log's entries, which may be interleaved."""

    _open: dict[str, _Open] = field(default_factory=dict)
    _last: tuple[int, int] = (0, 0)

    @property
    def waits(self) -> bool:
        """Return True if a turn is not complete yet."""
        return bool(self._open)

    def feed(self, entry: Entry, *, begins: bool = True) -> list[RecordedTurn]:
        """Add an entry, and return the turns that are complete now. Unless `begins`, a turn that starts
        here is ignored.
        """
        here, whole = place(entry.id), []
        if here < self._last:  # another session begins
            whole = self.rest()
        self._last = here
        event = entry.event
        if isinstance(event, TurnStarted):
            whole += self._leave_behind(here[0])
            for other in self._open.values():
                if other.turn.ended is None and event.turn != other.turn.started.turn:
                    other.turn.events.append((here[0] - other.start_ms, event))
            if begins and event.turn not in self._open:
                self._open[event.turn] = _open(here[0], event)
        elif opened := self._open.get(event.turn):
            if _add(opened, event, here[0]):
                whole.append(self._open.pop(event.turn).turn)
        elif self._open:
            whole += self._leave_behind(here[0])
        return whole

    def rest(self) -> list[RecordedTurn]:
        """Return the incomplete turns at the end."""
        left = [opened.turn for opened in self._open.values()]
        self._open.clear()
        return left

    def _leave_behind(self, now_ms: int) -> list[RecordedTurn]:
        """Return the turns that can't get any more entries."""
        over = [
            name
            for name, opened in self._open.items()
            if now_ms > opened.start_ms + opened.deadline_ms + _LEAVE_MS
        ]
        return [self._open.pop(name).turn for name in over]


def _open(start_ms: int, started: TurnStarted) -> _Open:
    deadline_ms = started.policy.get("deadline_ms", _DEADLINE_MS)
    turn = RecordedTurn(started, [], None, start_ms)
    return _Open(start_ms, deadline_ms, turn, dict.fromkeys(started.lanes, 0))


def _add(opened: _Open, event: Event, ms: int) -> bool:
    """Add an event of this turn, and return True if the turn is complete now."""
    turn = opened.turn
    if isinstance(event, TurnEnded):
        if turn.ended is None:
            opened.turn = replace(turn, ended=event)
            if event.record != "full":  # what is left of the turn may end nowhere else
                turn.events.append((ms - opened.start_ms, event))
        return not opened.lanes
    turn.events.append((ms - opened.start_ms, event))
    if isinstance(event, LaneStarted):
        opened.lanes[event.lane] = event.attempt
    elif isinstance(event, LaneFinished):
        if event.reason != "handed_over" and event.attempt >= opened.lanes.get(event.lane, 0):
            opened.lanes.pop(event.lane, None)
        return turn.ended is not None and not opened.lanes
    return False


@dataclass(slots=True)
class SessionTurns:
    """All turns of one session, including what was said after their end about how much was heard."""

    _collector: Collector = field(default_factory=Collector)
    _whole: dict[str, RecordedTurn] = field(default_factory=dict)

    def feed(self, entry: Entry) -> None:
        """Add the log's next entry."""
        event = entry.event
        if isinstance(event, TurnInterrupted) and (turn := self._whole.get(event.turn)):
            turn.events.append((entry.ms - turn.start_ms, event))
        else:
            self._whole.update((turn.started.turn, turn) for turn in self._collector.feed(entry))

    def all(self) -> list[RecordedTurn]:
        """Return the turns by their start, including those that go on. Nothing can be added afterwards."""
        self._whole.update((turn.started.turn, turn) for turn in self._collector.rest())
        return sorted(self._whole.values(), key=lambda turn: turn.start_ms)


def read_turns(lines: Iterable[bytes]) -> Iterator[RecordedTurn]:
    """Yield the turns in these lines. Raises ValueError on a broken one."""
    collector = Collector()
    for line in lines:
        entry = read_line(line)
        if entry:
            yield from collector.feed(entry)
    yield from collector.rest()


@dataclass(slots=True)
class TurnSpan:
    """The turns that start in a byte range of a file; reading continues until they are complete."""

    path: Path
    start: int
    end: int
    broken: int = 0  # lines that could not be read, or have no place

    def turns(self) -> Iterator[RecordedTurn]:
        """Yield the turns, each as soon as it is complete. Raises OSError."""
        collector = Collector()
        for line, own in self._lines():
            if not own and not collector.waits:
                break
            entry = self._read(line, own)
            if entry:
                yield from collector.feed(entry, begins=own)
        yield from collector.rest()

    def _lines(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the lines from the part's first one to the file's end, and whether each begins in the
        part.
        """
        with self.path.open("rb") as file:
            offset = max(0, self.start - 1)
            file.seek(offset)
            if self.start:
                offset += len(file.readline())
            for line in file:
                yield line, offset < self.end
                offset += len(line)

    def _read(self, line: bytes, own: bool) -> Entry | None:
        try:
            entry = read_line(line)
            if entry:
                place(entry.id)
        except ValueError:
            self.broken += own and not line.isspace()
            return None
        return entry


def parts_of(path: Path, size: int) -> list[TurnSpan]:
    """Split a file into parts of about this many bytes. Raises OSError."""
    length = path.stat().st_size
    return [TurnSpan(path, start, min(start + size, length)) for start in range(0, length, size)]
