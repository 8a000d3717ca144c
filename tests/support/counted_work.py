"""Work that is counted, not timed; and pieces of texts whose work may grow faster than they do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from common.text.growing_text import GrowingText

PIECES = {
    "words": "grow ",
    "one word": "aaaa",
    "blanks": "    ",
    "lines": "\n \n ",
    "emphasis": "*a* ",
    "stars": "****",
    "code": "`` `",
    "exclamations": "!!!!",
    "dots": "....",
    "numbers": "1.2,",
    "short sentences": "Ok. ",
    "Chinese": "我们开门",
    "Chinese sentences": "我们。",
    "items": "\n- a",
    "apostrophes": "it's",
    "brackets": "((a)",
    "quotes": '" "a',
    "emoji": "👩‍👧",
}


@contextmanager
def counting() -> Iterator[list[int]]:
    """Counts the characters that are read of growing texts, and the calls of functions."""
    work, read = [0], GrowingText.__getitem__

    def counted(text: GrowingText, part: Any) -> str:
        found = read(text, part)
        work[0] += len(found)
        return found

    def called(frame: Any, event: str, argument: Any) -> None:
        work[0] += event in ("call", "c_call")

    GrowingText.__getitem__ = counted  # type: ignore[method-assign]
    sys.setprofile(called)
    try:
        yield work
    finally:
        sys.setprofile(None)
        GrowingText.__getitem__ = read  # type: ignore[method-assign]
