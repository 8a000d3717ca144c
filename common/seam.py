"""Where the draft's text meets the full's: what goes between them."""

import re
import unicodedata

# A block of Markdown that only means what it says at the start of a line.
_BLOCK = re.compile(r"(#{1,6} |[-*+•] |\d{1,3}[.)] |> |```|\|)")
# Scripts written without spaces between sentences, with their punctuation.
LOOK_BACK = 400  # characters of what was said that a seam can depend on
_FENCE = re.compile(r"^```", re.M)
_CODE = re.compile(r"`[^`\n]*`")
_EMPHASIS = re.compile(r"\*\*\*|\*\*|\*(?!\s)|__|(?<!\w)_|_(?!\w)|~~")
_STOPS = ",;:!?)]}»”…—"
_UNSPACED = re.compile(r"[\u2e80-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")


def join(before: str, after: str, *, broken: bool = False) -> str:
    """What belongs between two texts said one after the other: what closes the first, and a space or a line.

    `broken`: the first was cut in the middle of a sentence, which is to be heard.
    """
    if not before or not after:
        return ""
    closed = ("…" if broken else "") + closers(before)
    return closed + _space((closed and before + closed) or before, after)


def closers(text: str) -> str:
    """What closes the Markdown that a text leaves open: emphasis in its last paragraph, code, a block."""
    if len(_FENCE.findall(text)) % 2:
        return "\n```"
    paragraph = text[text.rfind("\n\n") + 1 :] if "\n\n" in text else text
    if paragraph.count("`") % 2:
        return "`"
    paragraph = _CODE.sub("", paragraph)
    open_marks: list[str] = []
    for match in _EMPHASIS.finditer(paragraph):
        mark = match[0]
        if open_marks and open_marks[-1] == mark:
            open_marks.pop()
        elif _opens(paragraph, match.end()):
            open_marks.append(mark)
    return "".join(reversed(open_marks))


def _opens(text: str, place: int) -> bool:
    """Whether a mark that ends here can open emphasis: something follows it that is no space."""
    return place < len(text) and not text[place].isspace()


def _space(before: str, after: str) -> str:
    if after[0].isspace():
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
