"""Cuts a folded text into words, numbers and the signs of addresses. Pure, in one pass."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from common.redaction.personal.number_words import DIGITS, UNITS

HAN = "\u2e80-\u2fff\u3005\u3007\u3021-\u3029\u3400-\u9fff\uf900-\ufaff"
_NUMERALS = "".join([*DIGITS, *UNITS])
_SAID = "艾特|小老鼠|下划线|下横线|横杠|减号|中划线|空格|圈a|点|點|杠|嗯|呃|额"  # words that matter, within Chinese
_TOKEN = re.compile(
    rf"(?P<digits>[0-9]+)|(?P<numeral>[{_NUMERALS}]+)"
    rf"|(?P<word>[^\W\d_{HAN}]+|{_SAID}|(?:(?!{_SAID}|[{_NUMERALS}])[{HAN}])+)|(?P<at>@)"
)


class TextToken(NamedTuple):
    """A token with its span in the folded text. `kind`: digits, numeral, word or at."""

    kind: str
    begin: int
    end: int
    text: str


def cut(folded: str) -> list[TextToken]:
    """Return the text's tokens in order; between them are spaces and marks."""
    return [
        TextToken(found.lastgroup or "", found.start(), found.end(), found[0])
        for found in _TOKEN.finditer(folded)
    ]


_DIGITS = re.compile(r"\d+")


def near_digits(pattern: re.Pattern[str], folded: str, before: int, longest: int) -> Iterator[re.Match[str]]:
    """Yield all matches that begin at most `before` characters before a digit.

    No match is longer than `longest`, so only the text close to digits is searched.
    """
    done = first = last = 0
    for digits in [*_DIGITS.finditer(folded), None]:
        if digits and last and digits.start() - before <= last:
            last = digits.end()
            continue
        at = max(done, first)
        while last and at < last and (found := pattern.search(folded, at, last + longest + 2)):
            if found.start() >= last:
                break
            yield found
            at = done = max(found.end(), found.start() + 1)
        if digits:
            first, last = max(0, digits.start() - before), digits.end()
