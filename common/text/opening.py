"""The opening of a text that follows another: which of its first sentences are left out. Here, none."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from common.text.growing_text import Text


class Opening:
    """An opening that is spoken whole. A subclass that leaves something out overrides what differs.

    As the text grows, its speaker calls `set_spoken` with what was spoken before it, and `scan` with the text
    itself; `start_speaking`, once, when nothing more is spoken before it; then `releasable` for how far it
    may be spoken, and `said_between` for the text between two places without what is left out.
    """

    def __init__(self) -> None:
        self.left_out: list[tuple[int, int]] = []
        self.begin: int | None = 0
        """The start of the first sentence that is spoken, if there is one yet."""
        self.whole = False
        """True once a sentence that is spoken is complete."""

    @property
    def settled(self) -> int:
        """Return the place up to which the decisions are final: nothing before it is needed any more."""
        return 0

    def set_spoken(self, text: Text, ends: Sequence[int], spoken: int) -> None:
        """Update the preceding text: its sentence ends, and how much of it is out."""

    def scan(self, text: Text, ends: Sequence[int], over: bool, flows: bool) -> None:
        """Update the text and its sentence ends. `flows`: the preceding text is still being spoken."""
        self.whole = bool(ends)

    def start_speaking(self, text: Text) -> None:
        """Note that the text is spoken from now on; this is what there is of it so far."""

    def releasable(self, text: Text) -> int:
        """Return how far the text may be spoken now."""
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
