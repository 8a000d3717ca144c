"""Texts folded for the search for personal data: one form for what looks or sounds alike, with the way back.

Case, accents, full-width forms, other scripts' digits, invisible characters, Markdown, HTML and JSON escapes
make no difference in the folded text.
"""

import html
import re
import unicodedata
from array import array
from dataclasses import dataclass

_TAGS = (
    "a|abbr|b|big|blockquote|br|break|code|dd|del|div|dl|dt|em|emphasis|font|h[1-6]|hr|i|ins|kbd|li|mark|ol|p|"
    "phoneme|pre|prosody|s|samp|say-as|small|span|speak|strong|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul|wbr"
)
# Sequences that stand for one character. A tag that holds digits or an address is text.
MANY = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[nrtbf]|\\[^\w\s]"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});"
    rf"|</?(?:{_TAGS})(?:\s[^<>\d@]{{0,80}})?/?>"
    r"|%(?:20|2[bBdDeE]|40|5[fF]|3[aA])|\*{2,}|(?<![\d\s])\*|\*(?![\d\s])|(?<=\d)\*(?=\s|\Z)|(?<=\s)\*(?=\d)|`+|~~",
    re.I,
)
_STARTS = ("\\", "&", "<", "*", "`", "~~", "%")
_NOTHING = "\u115f\u1160\u2800\u3164\uffa0"  # drawn as nothing, though they are letters or signs
_ALIKE = {
    "\u2212": "-", "\u3001": ",", "\u30fb": "·", "\u2022": "·", "\u2219": "·", "\u22c5": "·", "\u25cf": "·",
    "\u2044": "/", "\u2215": "/", "\u3002": ".", "ё": "е",
}  # fmt: skip
_PIECE = 512
SEAM = "\x1e"
"""Separates the texts of two speakers: no number spans it."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text. `starts`, `ends`: for each character, its place in the original text; None if they
    are the same.
    """

    text: str
    starts: "array[int] | None"
    ends: "array[int] | None"

    def place(self, begin: int, end: int) -> tuple[int, int]:
        """Return the span of the original text that this part covers; the part must not be empty."""
        if self.starts is None or self.ends is None:
            return begin, end
        return self.starts[begin], self.ends[end - 1]


class _Forms(dict[str, str]):
    """The form of each character, computed when it is first met."""

    def __missing__(self, char: str) -> str:
        self[char] = form = _form(char)
        return form


def _form(char: str) -> str:
    if char in _NOTHING or char == SEAM:
        return "" if char in _NOTHING else char
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Me"):
        return ""
    if category in ("Zs", "Cc", "Zl", "Zp", "Cs"):
        return " " if category == "Zs" or char == "\t" else "\n"
    if (digit := unicodedata.digit(char, None)) is not None:
        return str(digit)
    if category == "Pd":
        return "-"
    if char in _ALIKE:
        return _ALIKE[char]
    folded = unicodedata.normalize("NFKD", char.casefold()).casefold()
    if "\uac00" <= char <= "\ud7a3":
        return char
    kept = "".join(c for c in folded if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return "".join(_ALIKE.get(c, c) for c in kept)


_FORMS = _Forms()


def fold(text: str) -> Folded:
    """Return the text in the form that is searched."""
    marked = any(mark in text for mark in _STARTS)
    if text.isascii() and not marked and text.isprintable():
        return Folded(text.lower(), None, None)
    parts: list[str] = []
    starts, ends = array("l"), array("l")

    def add(begin: int, end: int) -> None:
        for first in range(begin, end, _PIECE):
            last = min(first + _PIECE, end)
            forms = list(map(_FORMS.__getitem__, text[first:last]))
            parts.extend(forms)
            if set(map(len, forms)) == {1}:
                starts.extend(range(first, last))
                ends.extend(range(first + 1, last + 1))
                continue
            for place, form in enumerate(forms, first):
                starts.extend([place] * len(form))
                ends.extend([place + 1] * len(form))

    done = 0
    for found in MANY.finditer(text) if marked else ():
        add(done, found.start())
        done = found.end()
        form = "".join(_FORMS[char] for char in meaning(found[0]))
        parts.append(form)
        starts.extend([found.start()] * len(form))
        ends.extend([done] * len(form))
    add(done, len(text))
    return Folded("".join(parts), starts, ends)


def meaning(written: str) -> str:
    """Return the text that an escape, entity, tag or mark stands for."""
    if written[0] == "\\":
        if written[1] in "uU":
            units = bytes.fromhex(written[2:6] + written[8:12])
            return units.decode("utf-16-be", "replace")
        return "\n" if written[1] in "nrtbfNRTBF" else written[1]
    if written[0] == "&":
        return html.unescape(written)
    if written[0] == "%":
        return chr(int(written[1:], 16))
    if written[0] == "<":
        return "\n" if re.match(r"</?(?:br|p|div|td|th|tr|li|hr|h\d)\b", written, re.I) else ""
    return ""
