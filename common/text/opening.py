"""The opening of a text that follows on another: which of its first sentences are left out. Here none."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from common.text.growing_text import Text


class Opening:
    """An opening that is said whole. A rule that leaves something out overrides what it does otherwise.

    Whoever speaks the text calls, as it grows, `set_spoken` with what was said before it and `scan` with
    the text itself; `start_speaking`, once, when nothing more is said before it; then `releasable` for how
    far it may be said, and `said_between` for the text between two places without what is left out.
    """

    def __init__(self) -> None:
        self.left_out: list[tuple[int, int]] = []
        self.begin: int | None = 0
        """Where the first sentence begins that is said, if there is one yet."""
        self.whole = False
        """Whether a sentence that is said is there to its end."""

    @property
    def settled(self) -> int:
        """Up to here it is known what is said: all that is held of it may go."""
        return 0

    def set_spoken(self, text: Text, ends: Sequence[int], spoken: int) -> None:
        """Take in the text that goes before, its sentence ends, and how much of it is out."""

    def scan(self, text: Text, ends: Sequence[int], over: bool, flows: bool) -> None:
        """Take in the text and its sentence ends. `flows`: what goes before is still being said."""
        self.whole = bool(ends)

    def start_speaking(self, text: Text) -> None:
        """Take in that the text is spoken from now on; this is what there is of it."""

    def releasable(self, text: Text) -> int:
        """Return how far the text may be said now."""
        return len(text)

    def said_between(self, text: Text, start: int, upto: int) -> str:
        """Return the text between two places, without what is left out."""
        parts = []
        for at in range(bisect_right(self.left_out, start, key=itemgetter(1)), len(self.left_out)):
            begin, end = self.left_out[at]
            if begin >= upto:
                break
            if start < begin:
                parts.append(text[start:begin])
            start = max(start, end)
        return "".join([*parts, text[start:upto]])
