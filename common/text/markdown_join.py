"""The seam between two lanes' texts: what goes between them, and where a text may stop."""

import re
import unicodedata

from common.text.growing_text import Text

# A block of Markdown that only means what it says at the start of a line.
_BLOCK = re.compile(r"#{1,6} |[-*+•] |\d{1,3}[.)] |> |```|~~~|\||(?:---|\*\*\*|___)\s")
# The beginning of what may turn out to be such a mark.
_MAYBE_BLOCK = re.compile(r"\s*(?:#{0,6}|[-*+•>]|[-*_]{1,3}|\d{1,3}[.)]?|`{1,2}|~{1,2})\Z")
# A line of a block that would swallow what follows it on the same line.
_BLOCK_LINE = re.compile(r"\s*(?:#{1,6} |[-*+•] |\d{1,3}[.)] |>|```|~~~|\|)")
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.M)
_PARAGRAPH = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:#{1,6} |[-*+•] |\d{1,3}[.)] |> |\|))")
_ESCAPED = re.compile(r"\\[\\`*_~]")
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.S)
_OPEN_CODE = re.compile(r"(?<!`)`+(?!`)")
_RUN = re.compile(r"\*+|_+|~~")
_STOPS = ",;:!?)]}»”…—"
# Scripts written without spaces between sentences, with their punctuation.
_UNSPACED = re.compile(r"[\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")

# At a text's end: a line's marker, a mark of emphasis or code.
_OPENING = re.compile(r"(?=\S)(?:(?<=\n)(?:[-*+•>]|#{1,6}|\d{1,3}[.)])[ \t]*)?(?P<mark>[*_~`]+)?\Z")
_BACK = 16
_HELD_BACK = 300  # characters searched for what a mark closes, at each mark
_LOOKED_BACK = 2_000  # characters of a paragraph searched for open marks

LEAD = 64
"""How many characters of a text's beginning are enough to choose the gap before it."""

_GAPS = ("", " ", "\n", "\n\n")


def join_texts(before: str, after: str, *, broken: bool = False, goes_on: bool = False) -> str:
    """Return a text as it is said after another: with the marks that close that one, and a space or a line
    between them.

    `broken`: the first was cut in the middle of a sentence, which should be audible. `goes_on`: the second
    was generated as a continuation of the first, so at most a space is missing.
    """
    if not before or not after:
        return after
    closed = "" if goes_on else ("…" if broken else "") + closers(before)
    before += closed
    body = after.lstrip()
    lead, trail = after[: len(after) - len(body)], before[len(before.rstrip()) :]
    wanted, there = _gap(before.rstrip(), body, goes_on=goes_on), _size(trail)
    if lead and not there and _size(lead) >= wanted:
        return closed + after
    wanted = max(wanted, _size(lead))
    missing = _GAPS[wanted] if wanted > there else ""
    return closed + (missing[1:] if there == 2 else missing) + body


def is_undecided(text: str) -> bool:
    """Return True if the gap before a text that begins like this can't be decided yet."""
    return len(text) <= LEAD and _MAYBE_BLOCK.match(text) is not None


def dangling_markup(text: Text) -> int:
    """Return how many characters at a text's end only open something empty: emphasis, code, a list item."""
    # A line's marker is one behind a line's end, which is looked back at too.
    end = text[max(0, len(text) - _BACK - 1) :]
    found = _OPENING.search(end, max(0, len(end) - _BACK))
    if found is None:
        return 0
    if found["mark"]:
        mark = len(text) - len(end) + found.start("mark")
        if closers(text[max(0, mark - _HELD_BACK) : mark]).startswith(found["mark"][0]):
            return 0  # it closes
    return len(end) - found.start()


def closers(text: str) -> str:
    """Return the marks that close what Markdown a text leaves open: a code block, code, emphasis."""
    fence, start = "", 0
    for match in _FENCE.finditer(text):
        if not fence or fence == match[1]:
            fence, start = "" if fence else match[1], match.end()
    if fence:
        return fence if text.endswith("\n") else "\n" + fence
    part = _PARAGRAPH.split(text[start:])[-1][-_LOOKED_BACK:]
    part = _CODE.sub("x", _ESCAPED.sub("x", part))
    code = _OPEN_CODE.search(part)
    if code:
        return code[0] + "".join(reversed(_open_emphasis(part[: code.start()] + "x")))
    return "".join(reversed(_open_emphasis(part)))


def _open_emphasis(text: str) -> list[str]:
    """Return the emphasis marks that a paragraph without code leaves open, in order."""
    marks: list[str] = []
    for match in _RUN.finditer(text):
        run, before = match[0], text[max(0, match.start() - 1) : match.start()]
        after = text[match.end() : match.end() + 1]
        while run and marks and marks[-1][0] == run[0] and _closes(run, before, after):
            if len(run) < len(marks[-1]) and _opens(run, before, after):
                break  # an inner one begins
            size = min(len(run), len(marks[-1]))
            marks[-1], run = marks[-1][size:], run[size:]
            if not marks[-1]:
                marks.pop()
        if run and _opens(run, before, after):
            marks.append(run)
    return marks


def _closes(run: str, before: str, after: str) -> bool:
    within = run[0] == "_" and bool(after) and (after.isalnum() or after == "_")
    return bool(before) and not before.isspace() and not within


def _opens(run: str, before: str, after: str) -> bool:
    if not after or after.isspace() or len(run) > 3:
        return False
    if run[0] == "_":
        return not before.isalnum()
    if run == "*" and before.isascii() and before.isalnum():
        return False  # a product, a footnote's star
    return not (before.isdigit() and after.isdigit())


def _gap(before: str, body: str, *, goes_on: bool) -> int:
    """Return the size of the gap between two texts: none, a space, a line break or a paragraph break."""
    if not goes_on and (_BLOCK.match(body) or _BLOCK_LINE.match(before[before.rfind("\n") + 1 :])):
        return 3
    # A full stop of the one script and a letter of the other need no space either.
    return 0 if _UNSPACED.match(before[-1:]) or _UNSPACED.match(body) else 1


def _size(blank: str) -> int:
    return min(2, blank.count("\n")) + 1 if blank else 0


def word_boundary(text: Text, low: int, high: int) -> int:
    """Return the last place in text[low:high] that surely does not split a word; `low` if there is none."""
    part = text[low : high + 1]
    for place in range(min(high - low, len(part)), 0, -1):
        if _word_ends(part[place - 1], part[place : place + 1]):
            return low + place
    return low


def _word_ends(before: str, after: str) -> bool:
    """Return True if a text may stop between these two characters; `after` is empty if not known yet."""
    if _UNSPACED.match(before):
        return not _clings(after)
    if not after:
        return False
    # Before the space, not after it: the full's text may bring a space of its own.
    return after.isspace() or (after in _STOPS and not before.isdigit())


def _clings(character: str) -> bool:
    """Return True if this character belongs to the one before it."""
    return bool(character) and unicodedata.category(character) in (
        "Mn",
        "Me",
        "Mc",
        "Cf",
        "Sk",
        "Pe",
        "Pf",
        "Po",
    )
