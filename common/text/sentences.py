"""Finds sentence ends in a growing text, independently of how the text was cut into pieces."""

from dataclasses import dataclass
from enum import Enum

from common.text.sentence_rules import (
    CLOSERS,
    KINDS,
    PAIRS,
    Kind,
    Rule,
    goes_on_counting,
    is_list_marker,
    rule_of,
    starts_sentence,
)

# Always look back the same number of characters: a piece's length must not change the answer.
_BACK = 48
_DEPTH = 16  # of brackets remembered
_QUIET = Kind.QUIET
_SPACE = Kind.SPACE
_LETTERS = (Kind.LOWER, Kind.UPPER, Kind.WIDE, Kind.UNCASED)
# A straight quote or emphasis right after these opens nothing: inches, snake_case, 2*3.
_TIGHT = (Kind.LOWER, Kind.UPPER, Kind.DIGIT)
_STRAIGHT = (Kind.QUOTE, Kind.EMPHASIS)
_CLOSES = {closer: "".join(o for o in PAIRS if closer in PAIRS[o]) for closer in "".join(PAIRS.values())}


class _Verdict(Enum):
    WAIT = "the character belongs to the end, or settles nothing"
    HERE = "the sentence ends after this character"
    ENDED = "the sentence ended at the stop"
    WENT_ON = "the stop ended nothing"


@dataclass(slots=True)
class _Stop:
    """A terminator that may have ended a sentence."""

    end: int
    kind: Kind
    rule: Rule = Rule.LETTER
    wide: bool = False  # a script that writes no space after it
    closed: bool = False  # by a quote or bracket
    apart: bool = False  # whitespace followed
    word: str = ""  # that follows, where only some words start a sentence
    word_at: int = 0


class Sentences:
    """The sentence ends of a growing text.

    `ends` holds the certain ones, each just after a terminator and what closes with it. An end once in it
    stays, and neither its place nor its moment depends on how the text was cut into pieces.
    """

    __slots__ = (
        "_back", "_begin", "_closed", "_closing", "_fence", "_lead", "_length", "_marker", "_maybe_open",
        "_only_emoji", "_open", "_parts", "_previous", "_solid", "_stop", "_table", "ends",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ends: list[int] = []
        self._parts: list[str] = []
        self._length = 0
        self._solid = 0  # just after the last character that is not whitespace
        self._back = ""  # the end of the text before the piece, as far as the rules look back
        self._previous = ""
        self._stop: _Stop | None = None
        self._begin = 0  # of this sentence: its first character that is not whitespace
        self._lead = -1  # of this sentence: its first letter or digit
        self._marker = 0  # just after this sentence's list marker
        self._only_emoji = True
        self._open = ""  # brackets, quotes and emphasis of this line that are not closed
        self._maybe_open = ""  # a straight quote or emphasis: opens unless whitespace follows
        self._closing = False  # the run of emphasis being read closes
        self._table = False
        self._fence = False
        self._closed = False

    @property
    def text(self) -> str:
        """Everything fed so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def rests(self) -> bool:
        """Return True if the text, should it stop here, stops at a sentence's end as far as can be known."""
        last = self.ends[-1] if self.ends else 0
        if self._solid == last or self._only_emoji:
            return last > 0
        stop = self._stop
        if stop is None or stop.end != self._solid:
            return self._back.rstrip().endswith(("...", "…")) and not self._open
        if self._open:
            return False  # what closes it will follow
        # As an answer of one word "No." is no "number".
        alone = stop.end - self._lead == 3 and self._back.rstrip().endswith("No.")
        return stop.kind is not Kind.DOT or stop.wide or stop.rule in (Rule.SPACE, Rule.LETTER) or alone

    def feed(self, piece: str) -> None:
        """Append the next piece."""
        if self._closed:
            raise ValueError("the text was closed")
        self._parts.append(piece)
        window = self._back + piece
        offset = len(self._back) - self._length  # from an index of the text to one of the window
        kinds = KINDS
        quiet = self._is_quiet()
        for at, char in enumerate(piece, self._length):
            kind = kinds[char]
            if quiet and kind <= _SPACE:
                if kind <= _QUIET:
                    self._solid = at + 1
            else:
                here = at + offset
                self._read(char, kind, at, window[here - _BACK if here > _BACK else 0 : here])
                quiet = self._is_quiet()
            self._previous = char
        self._length += len(piece)
        self._back = window[-_BACK:]

    def close(self) -> None:
        """End the text: its tail, unless blank, ends at its last visible character."""
        if self._closed:
            return
        self._closed = True
        stop = self._stop
        if stop is not None and stop.word and _begins(stop, ""):
            self._end(stop.end)
        if self._solid > (self.ends[-1] if self.ends else 0):
            self._end(self._solid)

    def _is_quiet(self) -> bool:
        """Return True if the next letter, digit or space can change nothing."""
        return self._stop is None and self._lead >= 0 and not self._maybe_open

    def _end(self, end: int, lead: int = -1) -> None:
        self.ends.append(end)
        self._stop = None
        self._lead = lead
        self._only_emoji = lead < 0

    def _read(self, char: str, kind: Kind, at: int, back: str) -> None:
        closes = self._pair(char, kind)
        stop = self._stop
        if stop is not None:
            verdict = self._judge(stop, char, kind, at, closes, back)
            if verdict in (_Verdict.WAIT, _Verdict.HERE):
                if kind is not Kind.SPACE:
                    self._solid = at + 1
                if verdict is _Verdict.HERE:
                    self._end(at + 1)
                return
            if verdict is _Verdict.ENDED:
                self._end(stop.end, stop.word_at if stop.word else -1)
            elif verdict is _Verdict.WENT_ON:
                self._stop = None
        if kind is Kind.NEWLINE:
            self._newline()
        elif kind is not Kind.SPACE:
            self._add(char, kind, at, back)

    def _pair(self, char: str, kind: Kind) -> bool:
        """Track what is open, and return True if this character closes something."""
        if self._maybe_open and self._maybe_open != char:
            if kind not in (Kind.SPACE, Kind.NEWLINE):
                self._open = (self._open + self._maybe_open)[:_DEPTH]
            self._maybe_open = ""
        if char == "(" and self._previous in (":", ";"):
            return False  # a smiley
        if kind is Kind.OPEN and not (char == "“" and "„" in self._open):
            self._open = (self._open + char)[:_DEPTH]
        elif kind in (Kind.OPEN, Kind.CLOSE):
            place = max(self._open.rfind(opener) for opener in _CLOSES[char])
            if place >= 0:
                self._open = self._open[:place]
            return place >= 0
        elif kind in _STRAIGHT:
            return self._pair_straight(char)
        return False

    def _pair_straight(self, char: str) -> bool:
        if char == self._previous and char != '"':
            return self._closing  # as the run it goes on with
        self._closing = char in self._open
        if self._closing:
            self._open = self._open[: self._open.rindex(char)]
        elif not self._previous or KINDS[self._previous] not in _TIGHT:
            self._maybe_open = char
        return self._closing

    def _newline(self) -> None:
        # A list marker alone on its line belongs to what follows.
        if self._solid > (self.ends[-1] if self.ends else 0) and self._solid != self._marker:
            self._end(self._solid)
        self._open = self._maybe_open = ""
        self._table = False

    def _add(self, char: str, kind: Kind, at: int, back: str) -> None:
        """Add a visible character to the sentence."""
        if self._solid == (self.ends[-1] if self.ends else 0):
            self._begin = at
            self._table = self._table or char == "|"
            if char in "-*+•–—":
                self._marker = at + 1
        self._solid = at + 1
        if self._only_emoji and kind not in (Kind.EMOJI, Kind.MARK):
            self._only_emoji = False
        if self._lead < 0 and (kind in _LETTERS or kind is Kind.DIGIT):
            self._lead = at
        if char == "`" and at == self._begin + 2 and back.endswith("``"):
            self._fence = not self._fence
        elif char in ")）" and 0 < at - self._begin < 7 and is_list_marker(back[self._begin - at :]):
            self._marker = at + 1
        elif kind >= Kind.DOT and self._stop is None and self._lead >= 0 and not (self._table or self._fence):
            self._open_stop(kind, at, back)

    def _open_stop(self, kind: Kind, at: int, back: str) -> None:
        if kind is Kind.FULL and not self._open:
            self._end(at + 1)
            return
        if kind is Kind.DOT and KINDS[back[-1]] is Kind.DOT:
            kind = Kind.DOTS
        rule = Rule.LETTER
        if kind is Kind.DOT:
            rule = rule_of(back, self._lead - at + len(back))
            if rule is Rule.MARKER:
                self._marker = at + 1
            if rule in (Rule.MARKER, Rule.NEVER):
                return
        before = back.rstrip(CLOSERS)[-1:]
        wide = kind >= Kind.WIDE_BANG or (before != "" and KINDS[before] is Kind.WIDE)
        self._stop = _Stop(end=at + 1, kind=kind, rule=rule, wide=wide)

    def _judge(self, stop: _Stop, char: str, kind: Kind, at: int, closes: bool, back: str) -> _Verdict:
        """Return what the next character says about a stop."""
        if stop.word:
            return _judge_word(stop, char, kind)
        if kind >= Kind.DOT:
            _repeat(stop, kind, at + 1)
            return _Verdict.HERE if kind is Kind.FULL and not self._open else _Verdict.WAIT
        if stop.apart:
            return _judge_apart(stop, char, kind, at)
        if _belongs(stop, kind, closes, self._previous):
            stop.end = at + 1
            stop.closed = stop.closed or kind > _QUIET
            settled = stop.wide and stop.kind is not Kind.DOTS and not self._open
            # Emphasis closes with a run of unknown length, and a mark with more marks.
            return _Verdict.HERE if settled and kind in (Kind.CLOSE, Kind.QUOTE) else _Verdict.WAIT
        if kind is Kind.NEWLINE:
            return _Verdict.ENDED
        if stop.wide:
            return _judge_wide(stop, kind)
        return _judge_touching(stop, char, kind, back)


def _repeat(stop: _Stop, kind: Kind, end: int) -> None:
    """Extend a terminator by another: '?!', '...', '! !'."""
    stop.end, stop.rule, stop.apart = end, Rule.LETTER, False
    if kind >= Kind.BANG:
        stop.kind = kind
        stop.wide = stop.wide or kind > Kind.BANG
    elif stop.kind is Kind.DOT:
        stop.kind = Kind.DOTS


def _belongs(stop: _Stop, kind: Kind, closes: bool, previous: str) -> bool:
    """Return True if a character right after a terminator belongs to its sentence."""
    if kind is Kind.EMOJI:
        return previous == "\u200d"  # the two are one character to a reader
    if kind is Kind.QUOTE and not stop.wide:
        return True
    return closes or kind in (Kind.CLOSE, Kind.APOSTROPHE, Kind.MARK)


def _judge_wide(stop: _Stop, kind: Kind) -> _Verdict:
    if stop.kind is Kind.FULL:
        goes_on = False
    elif stop.kind is Kind.DOTS:
        goes_on = kind not in (Kind.SPACE, Kind.OPEN, Kind.QUOTE, Kind.INVERTED, Kind.EMOJI)
    elif stop.kind is Kind.DOT:
        goes_on = kind in (Kind.COMMA, Kind.LOWER, Kind.UPPER, Kind.DIGIT)  # a file's or host's name
    else:
        goes_on = kind is Kind.COMMA
    return _Verdict.WENT_ON if goes_on else _Verdict.ENDED


def _judge_touching(stop: _Stop, char: str, kind: Kind, back: str) -> _Verdict:
    """Judge a stop by the character right after it, in a script that writes a space there."""
    bang = stop.kind is Kind.BANG
    ends = False
    if kind is Kind.SPACE:
        ends = stop.kind is Kind.DOT and stop.rule is Rule.SPACE and not stop.closed
        stop.apart = True
    elif kind in (Kind.OPEN, Kind.DASH) or char == "*":
        stop.apart = True
    elif kind in (Kind.EMOJI, Kind.INVERTED):
        ends = True
    elif kind is Kind.WIDE:
        ends = bang or (stop.kind is Kind.DOT and stop.rule in (Rule.SPACE, Rule.LETTER))
    elif kind in (Kind.UPPER, Kind.UNCASED):
        ends = bang and not set(back.split()[-1]) & set("/=&@#\\")
    if ends:
        return _Verdict.ENDED
    return _Verdict.WAIT if stop.apart else _Verdict.WENT_ON


def _judge_apart(stop: _Stop, char: str, kind: Kind, at: int) -> _Verdict:
    """Judge a stop by a character after it and whitespace or the like: the first letter decides."""
    if stop.rule in (Rule.STARTER, Rule.THING) and kind in _LETTERS:
        if kind is not Kind.UPPER:
            goes_on = stop.rule is Rule.STARTER or kind is Kind.LOWER
            return _Verdict.WENT_ON if goes_on else _Verdict.ENDED
        if stop.rule is Rule.THING and not goes_on_counting(char, whole=False):
            return _Verdict.ENDED
        stop.word, stop.word_at = char, at
        return _Verdict.WAIT
    if kind in (Kind.SPACE, Kind.OPEN, Kind.APOSTROPHE, Kind.DASH, *_STRAIGHT):
        return _Verdict.WAIT
    if kind in (Kind.LOWER, Kind.COMMA, Kind.CLOSE, Kind.MARK):
        return _Verdict.WENT_ON
    if kind in (Kind.DIGIT, Kind.SYMBOL) and stop.rule not in (Rule.SPACE, Rule.LETTER):
        return _Verdict.WENT_ON
    return _Verdict.ENDED


def _judge_word(stop: _Stop, char: str, kind: Kind) -> _Verdict:
    """Judge a stop by a character after the start of the word that follows an abbreviation."""
    if kind in (Kind.LOWER, Kind.UPPER):
        stop.word = (stop.word + char)[:16]
        other = stop.rule is Rule.THING and not goes_on_counting(stop.word, whole=False)
        return _Verdict.ENDED if other else _Verdict.WAIT
    return _Verdict.ENDED if _begins(stop, char) else _Verdict.WENT_ON


def _begins(stop: _Stop, after: str) -> bool:
    """Return True if the word that follows a stop, with `after` behind it, begins a sentence."""
    if stop.rule is Rule.THING:
        return not goes_on_counting(stop.word, whole=True)
    return starts_sentence(stop.word, after)


def rests_at_end(text: str) -> bool:
    """Return True if a text that stops right here stops at a sentence's end as far as can be known."""
    sentences = Sentences()
    sentences.feed(text)
    return sentences.rests


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a whole text; whitespace stays with the sentence before it."""
    sentences = Sentences()
    sentences.feed(text)
    sentences.close()
    parts, start = [], 0
    for end in sentences.ends:
        while end < len(text) and text[end].isspace():
            end += 1
        parts.append(text[start:end])
        start = end
    return parts or ([text] if text else [])
