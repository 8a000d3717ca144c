"""Units in which a spoken turn is let out: whole sentences, and clauses of a very long one.

Speech is heard by the sentence: a token more is no sound. So the fold lets such turns out in units, and takes
for silence what is silent to a caller.
"""

from bisect import bisect_right
from collections.abc import Sequence

from common.events import TurnStarted
from common.text.growing_text import GrowingText
from common.text.markdown_join import word_boundary
from common.text.sentence_rules import KINDS, Kind
from common.turn.lane_state import LaneState

REST_MS = 50
"""Where a text stops at what may be a sentence's end, it is taken for one after this."""
LONGEST_MS = 8_000
"""A sentence that is spoken for longer is cut at a clause: no caller waits for a list to end."""

_FEWEST = LONGEST_MS // 300  # characters that can take so long
_LONGEST_ADDRESS = 300
_LONGEST = 8_000  # characters of which a unit ends at the latest, were it full of addresses
_USUAL = 256  # characters in which most units end
_MOST_MARKS = 16
_PART = 4  # a clause is no shorter than such a part of the longest
_MARKS = ",;:—–"
_WIDE_MARKS = "，、；：،؛"

# Milliseconds that a character is spoken for, spaces and pauses included: see `api/sessions/heard.py`.
_MS_OF_KIND = {Kind.LOWER: 67, Kind.UPPER: 67, Kind.WIDE: 230, Kind.UNCASED: 90, Kind.DIGIT: 250}
_USUAL_MS = 67
_SCRIPTS = (("\u3040", "\u30ff", 167), ("\uac00", "\ud7af", 154), ("\u0e00", "\u0eff", 80))


def is_spoken(started: TurnStarted) -> bool:
    """Return True if the turn's answer goes out as sentences or as sound."""
    return bool(started.speech) or "calls_event" in started.reply


def speech_ms(text: str) -> int:
    """About how long a text is spoken for."""
    return sum(map(_ms_of, text))


def _ms_of(char: str) -> int:
    kind = KINDS[char]
    if kind in (Kind.WIDE, Kind.UNCASED):
        for low, high, ms in _SCRIPTS:
            if low <= char <= high:
                return ms
    return _MS_OF_KIND.get(kind, _USUAL_MS)


def unit_end(text: str, start: int, end: int | None) -> int | None:
    """Return where the unit ends that begins at `start`, or None while that isn't known.

    `end`: where its sentence ends, if that is known. It hangs on the text alone, not on how it came.
    """
    if (len(text) if end is None else end) - start < _FEWEST:
        return end
    place = _place_in(text, start, len(text) if end is None else end)
    if place is None:
        return end
    if clause := _clause_end(text, start, place):
        return clause
    words = word_boundary(text, start, place)
    return words if words > start else _before_mark(text, start, place)


def _place_in(text: str, start: int, end: int) -> int | None:
    """Return how far a unit may go; None where the text isn't spoken for that long."""
    left, address = LONGEST_MS, 0
    for place in range(start, end):
        char = text[place]
        if address and char.isascii() and not char.isspace():
            address -= 1  # of an address the path is not said
            continue
        address = 0
        left -= _ms_of(char)
        if left < 0:
            return place
        if char == "/" and text[place - 2 : place + 1] == "://":
            address = _LONGEST_ADDRESS
    return None


def _clause_end(text: str, start: int, upto: int) -> int:
    """The last place where a clause ends that is no mere scrap; 0 where there is none."""
    for place in range(upto, start + max(1, (upto - start) // _PART), -1):
        mark, after = text[place - 1], text[place]
        if (mark in _MARKS and after.isspace()) or (mark in _WIDE_MARKS and not after.isdigit()):
            return place
    return 0


def _before_mark(text: str, start: int, place: int) -> int:
    """The place, or that of the character whose accent stands there."""
    low = max(start + 1, place - _MOST_MARKS)
    while place > low and KINDS[text[place]] is Kind.MARK:
        place -= 1
    return place


class Units:
    """One lane's text in units. `ends`: where they end; what is behind the last one is held."""

    def __init__(self, lane: LaneState) -> None:
        self.ends = [0]
        self._lane = lane
        self._seen = 0
        self._seen_ms = 0
        self._next = 0  # of the lane's sentence ends
        self._start = 0  # of the next unit, as far as is known

    def upto(self, most: int) -> int:
        """The last unit's end that is no further than that."""
        return self.ends[bisect_right(self.ends, most) - 1]

    def update(self, now_ms: int) -> None:
        """Take in what has come of the lane since."""
        lane = self._lane
        if len(lane.text) > self._seen:
            self._seen, self._seen_ms = len(lane.text), now_ms
        while (end := self._next_end(lane.text, lane.sentences.ends)) is not None:
            self.ends.append(end)
        if lane.over and len(lane.text) > self.ends[-1]:
            self.ends.append(len(lane.text))

    @property
    def rest_ms(self) -> int | None:
        """Return when held text is taken for a whole sentence, should nothing more come."""
        lane = self._lane
        if lane.over or max(self._start, self.ends[-1]) >= len(lane.text) or not lane.sentences.rests:
            return None
        return self._seen_ms + REST_MS

    def rest(self) -> None:
        """Nothing has come for a while."""
        self.ends.append(len(self._lane.text))

    def _next_end(self, text: GrowingText, ends: Sequence[int]) -> int | None:
        start = self._start = after_blank(text, max(self._start, self.ends[-1]))
        while self._next < len(ends) and ends[self._next] <= start:
            self._next += 1
        return next_unit_end(text, start, ends[self._next] if self._next < len(ends) else None)


def next_unit_end(text: GrowingText, start: int, end: int | None) -> int | None:
    """The same of a text that grows: of it no more is read than a unit may have."""
    most = _LONGEST if end is None else min(end - start, _LONGEST)
    size = 0
    while size < most:
        size = min(max(_USUAL, 4 * size), most)
        part = text[start : start + size]
        found = unit_end(part, 0, None if end is None or size < most else size)
        if found is not None:
            return start + found
        if len(part) < size:
            break
    return None


def after_blank(text: str | GrowingText, place: int) -> int:
    """The next place that is not blank."""
    while place < len(text) and text[place].isspace():
        place += 1
    return place


class Aloud:
    """The units of a turn's lanes, where its answer is spoken; else there are none, and nothing is held."""

    def __init__(self, started: TurnStarted, *lanes: LaneState) -> None:
        self._units = {lane.lane: Units(lane) for lane in lanes} if is_spoken(started) else {}

    def __bool__(self) -> bool:
        return bool(self._units)

    def of(self, lane: LaneState) -> Units | None:
        """A lane's units."""
        return self._units.get(lane.lane)

    def update(self, lane: LaneState, now_ms: int) -> None:
        """Take in what has come of a lane since."""
        if units := self._units.get(lane.lane):
            units.update(now_ms)

    def rest_ms(self, *lanes: LaneState) -> int | None:
        """The next time at which what one of these lanes has said is taken for whole, as it rests."""
        times = [units.rest_ms for lane in lanes if (units := self._units.get(lane.lane))]
        return min((ms for ms in times if ms is not None), default=None)

    def rest(self, now_ms: int) -> None:
        """The time has come."""
        for units in self._units.values():
            if (due_ms := units.rest_ms) is not None and due_ms <= now_ms:
                units.rest()
