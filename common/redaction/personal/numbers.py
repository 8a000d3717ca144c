"""Personal numbers, in digits or in words: cards, telephones, accounts, documents. Pure.

Digits, number words and Chinese numerals that follow each other closely form one chain. The chain is judged
as a whole, and every step is bounded by the chain's own length.
"""

import re
from dataclasses import dataclass, field

from common.redaction.personal.folding import SEAM
from common.redaction.personal.innocent import innocent_spans, is_list
from common.redaction.personal.number_words import (
    ARTICLES,
    DIGITS,
    FILLERS,
    LINKS,
    NOUNS,
    REPEATED,
    THOUSAND,
    UNITS,
    WORDS,
    Spoken,
    chinese,
)
from common.redaction.personal.tokens import TextToken

FEWEST = 7
"""The fewest digits of a number that counts as personal in any context."""

_MOST_BETWEEN = 3
_MOST_FILLERS = 3
_FEWEST_SPOKEN = 3  # numbers: "one million two hundred thousand" is an amount
_MARKDOWN = re.compile(r"[*_`~\\]")
_BLANKS = re.compile(r"\s+")
_AGAIN = re.compile(r"(.)\1+", re.S)
_OPERATORS = re.compile(r"[=+*×÷<>%^°$€£¥₽&#§]")
_CARD = re.compile(
    r"4(?:.{12}|.{15,18})|(?:5[1-5]|2[2-7]).{14}|3[47].{13}|3[0689].{12,17}|35.{14}|(?:6|5[06-8]).{12,18}"
)
_YEAR_BEGINS = ("17", "18", "19", "20")


@dataclass(slots=True)
class Group:
    """Digits said in one go. `gap`: the marks before it; `is_weak`: these marks hardly join it to the last
    group.
    """

    begin: int
    end: int
    digits: str
    gap: str = ""
    is_weak: bool = False
    spoken: Spoken | None = None
    is_amount: bool = False  # of thousands, or with Chinese units


@dataclass(slots=True)
class Chain:
    """Groups that follow each other closely."""

    groups: list[Group] = field(default_factory=list)

    @property
    def begin(self) -> int:
        return self.groups[0].begin

    @property
    def end(self) -> int:
        return self.groups[-1].end

    @property
    def digits(self) -> str:
        return "".join(group.digits for group in self.groups)

    def is_personal(self) -> bool:
        """Return True if a number of this many digits is most likely personal."""
        digits = self.digits
        if len(digits) < FEWEST or all(group.is_amount for group in self.groups):
            return False
        if is_card(digits):
            return True
        if len(self.groups) < _FEWEST_SPOKEN and all(group.spoken for group in self.groups):
            return False
        numbers = _with_years(self.groups)
        return not is_list([number for number, _ in numbers], [gap for _, gap in numbers[1:]])

    def is_card_in_pieces(self) -> bool:
        """Return True if it is a card number despite letters or arithmetic signs within it."""
        if len(self.groups) > 19 or not is_card(self.digits):
            return False
        widths = [len(group.digits) for group in self.groups]
        return len(set(widths)) == 1 or widths in ([4, 6, 5], [4, 4, 4, 4, 3])


def is_card(digits: str) -> bool:
    """Return True if it is a payment card's number, by its length, first digit and check digit."""
    if not 13 <= len(digits) <= 19 or not _CARD.fullmatch(digits) or len(set(digits)) == 1:
        return False
    total = sum(map(int, digits[-1::-2])) + sum(2 * d - 9 * (d > 4) for d in map(int, digits[-2::-2]))
    return total % 10 == 0


def chains(folded: str, tokens: list[TextToken]) -> list[Chain]:
    """Return all chains of a text in order, short ones too, and the parts of those with weak joints."""
    builder = _Builder(folded)
    spans = iter(innocent_spans(folded))
    begin, end = next(spans, (len(folded), len(folded)))
    for token in tokens:
        while token.begin >= end and begin < len(folded):
            begin, end = next(spans, (len(folded), len(folded)))
        if token.begin >= begin:
            builder.close()
        elif builder.is_open or token.kind in _NUMERIC or token.text in _STARTS:
            builder.take(token)
    builder.close()
    return builder.found


_NUMERIC = ("digits", "numeral")
_STARTS = WORDS.keys() | NOUNS.keys() | REPEATED.keys()


class _Builder:
    """Joins tokens into chains."""

    def __init__(self, folded: str) -> None:
        self.found: list[Chain] = []
        self._folded = folded
        self._groups: list[Group] = []
        self._at = 0  # where the last token of the chain ends
        self._marks = ""  # what stood between tokens since the last group
        self._fillers = 0
        self._letters = False
        self._link = ""
        self._times = 1

    @property
    def is_open(self) -> bool:
        """Return True if the next token may matter whatever it is."""
        return bool(self._groups) or self._times > 1

    def close(self) -> None:
        """End the chain."""
        if groups := self._groups:
            weak = [place for place, group in enumerate(groups) if place and group.is_weak]
            for begin, end in zip([0, *weak], [*weak, len(groups)], strict=True):
                self.found.append(Chain(groups[begin:end]))
            if weak and (whole := Chain(groups)).is_card_in_pieces():
                self.found.append(whole)
            self._groups = []
        self._between()
        self._times = 1

    def _between(self) -> None:
        self._marks, self._fillers, self._letters, self._link = "", 0, False, ""

    def take(self, token: TextToken) -> None:
        """Add the next token."""
        text = token.text
        if self._groups:
            self._marks += self._folded[self._at : token.begin]
            if len(self._marks) > 400 or not (_is_near(self._marks) or self._fillers):
                self.close()
        is_word = token.kind == "word"
        if token.kind in ("digits", "numeral") or (is_word and (text in WORDS or text in NOUNS)):
            self._number(token)
        elif is_word and text in REPEATED:
            self._times = REPEATED[text]
        elif self._times > 1 and text in ARTICLES:
            pass
        elif not self._groups:
            self._times = 1
        elif is_word and text in LINKS and self._groups[-1].spoken and not self._link:
            self._link = text
        elif is_word and text in FILLERS and self._fillers < _MOST_FILLERS:
            self._fillers += 1
        elif is_word and len(self._marks) + len(text) < _MOST_BETWEEN and not self._letters:
            self._letters = True
        else:
            self.close()
        self._at = token.end

    def _number(self, token: TextToken) -> None:
        group = self._group(token)
        last = self._groups[-1] if self._groups else None
        if last and token.kind == "word" and self._joins(last, token):
            last.end = token.end
            self._between()
            return
        if self._link:
            self.close()
        if self._times > 1:
            group.digits = group.digits * self._times if len(group.digits) == 1 else group.digits
        if self._groups:
            group.gap = self._marks
            group.is_weak = self._letters or _is_arithmetic(self._marks)
        self._groups.append(group)
        self._times = 1
        self._between()

    def _group(self, token: TextToken) -> Group:
        text = token.text
        if token.kind == "digits":
            return Group(token.begin, token.end, text)
        if token.kind == "numeral":
            if any(char in UNITS for char in text):
                return Group(token.begin, token.end, str(chinese(text)), is_amount=True)
            return Group(token.begin, token.end, "".join(str(DIGITS[char]) for char in text))
        if text in WORDS:
            spoken = Spoken.of(WORDS[text])
            return Group(token.begin, token.end, str(spoken.value), spoken=spoken)
        return Group(token.begin, token.end, str(NOUNS[text]), spoken=Spoken.of(NOUNS[text]))

    def _joins(self, last: Group, token: TextToken) -> bool:
        """Return True if the word continues the number before it; it is added to that number."""
        if self._times > 1 or self._letters or self._fillers or self._marks.strip(" -"):
            return False
        if token.text not in WORDS:
            times = last.spoken.value if last.spoken else 0
            if 2 <= times <= 9 and len(last.digits) == 1:
                last.digits, last.spoken = str(NOUNS[token.text]) * times, Spoken(room=0)
                return True
            return False
        value = WORDS[token.text]
        if last.spoken is None:
            last.is_amount = last.is_amount or value < 0  # "5 million"
            return value < 0
        if len(last.digits) > 1 and last.spoken.value < 10:  # "double five"
            return False
        if (spoken := last.spoken.with_word(value, linked=bool(self._link))) is None:
            return False
        last.spoken, last.digits = spoken, str(spoken.value)
        last.is_amount = last.is_amount or value <= THOUSAND
        return True


def _is_near(marks: str) -> bool:
    """Return True if the marks between two groups are few enough for them to be parts of one number."""
    if SEAM in marks:
        return False
    bare = _BLANKS.sub(" ", _MARKDOWN.sub("", marks))
    return len(_AGAIN.sub(r"\1", bare)) <= _MOST_BETWEEN


def _is_arithmetic(marks: str) -> bool:
    bare = _MARKDOWN.sub("", marks)
    return "\n" not in marks and bool(_OPERATORS.search(bare if bare.strip() else marks))


def _with_years(groups: list[Group]) -> list[tuple[str, str]]:
    """Return the groups' digits and gaps, with a year said in two halves joined."""
    numbers: list[tuple[str, str]] = []
    for group in groups:
        last, gap = numbers[-1] if numbers else ("", "")
        halves = group.spoken and len(group.digits) == 2 and last in _YEAR_BEGINS
        if halves and not group.gap.strip(" -"):
            numbers[-1] = (last + group.digits, gap)
        else:
            numbers.append((group.digits, group.gap))
    return numbers
