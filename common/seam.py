"""Where the draft's text meets the full's: what goes between them."""

import re
import unicodedata

# A block of Markdown that only means what it says at the start of a line.
_BLOCK = re.compile(r"(#{1,6} |[-*+•] |\d{1,3}[.)] |> |```|\|)")
# Scripts written without spaces between sentences, with their punctuation.
_STOPS = ",;:!?)]}»”…—"
_UNSPACED = re.compile(r"[\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")


def join(before: str, after: str) -> str:
    """What belongs between two texts said one after the other: nothing, a space, or an empty line."""
    if not before or not after or after[0].isspace():
        return ""
    if _BLOCK.match(after):
        return "" if before.endswith("\n\n") else "\n" if before.endswith("\n") else "\n\n"
    if before[-1].isspace() or _UNSPACED.match(before[-1]) or _UNSPACED.match(after):
        return ""
    return " "


def word_boundary(text: str, low: int, high: int) -> int:
    """The last place in text[low:high] that surely doesn't cut a word in two; `low` if there is none."""
    for place in range(min(high, len(text)), low, -1):
        if _word_ends(text[place - 1], text[place : place + 1]):
            return place
    return low


def in_word(text: str, place: int) -> bool:
    """Whether the text, should it go on, may go on in the middle of a word at this place."""
    before, after = text[place - 1 : place], text[place : place + 1]
    return before.isalnum() and not _UNSPACED.match(before) and not (after and _word_ends(before, after))


def _word_ends(before: str, after: str) -> bool:
    """Whether a text may stop between these two characters; `after` is empty where it isn't known yet."""
    if _UNSPACED.match(before):
        return not _clings(after)
    if not after:
        return False
    # Before the space, not after it: the full's text may bring a space of its own.
    return after.isspace() or (after in _STOPS and not before.isdigit())


def _clings(character: str) -> bool:
    """Whether this character belongs to the one before it."""
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
