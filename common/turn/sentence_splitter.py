"""Cuts what is released of a turn into sentences to speak, while it still comes."""

from collections import deque

from common.text.growing_text import GrowingText
from common.text.sentences import Sentences
from common.turn.aloud import after_blank, next_unit_end
from common.turn.outputs import TextReleased


class SentenceSplitter:
    """Sentences of a growing text, each cut once: as soon as its end is certain, or nothing more is coming.

    What was spoken before, up to `done`, is passed over. `whole`: the fold lets whole sentences out.
    """

    def __init__(self, done: int = 0, *, whole: bool = False) -> None:
        self.text = GrowingText()
        self._sentences = Sentences()
        self._cut = self._start = done
        self._all_whole = whole
        self._looked = 0  # of the certain ends
        self._whole = deque([0])  # ends of what is a phrase: a filler, what rests, the turn's last words

    def feed(self, said: TextReleased) -> None:
        """Add what was let out. A filler is a phrase of its own, however it ends."""
        self.text.append(said.text)
        self._sentences.feed(said.text)
        if said.lane == "filler" or self._all_whole:
            self._whole.append(len(self.text))

    def close(self) -> None:
        """No more will come."""
        self._sentences.close()
        self.rest()

    @property
    def rests(self) -> bool:
        """Return True if what is left may be a whole sentence, should nothing more come for a while."""
        return self._sentences.rests and self._begin() < len(self.text)

    def rest(self) -> None:
        """Nothing has come for a while."""
        self._whole.append(len(self.text))

    def next(self) -> tuple[int, int] | None:
        """The next sentence's place in the text, if there is one."""
        start = self._begin()
        end = next_unit_end(self.text, start, self._next_end(start))
        if end is None:
            return None
        self._cut = end
        return start, end

    def _begin(self) -> int:
        """Return where the next sentence begins, or will."""
        self._start = after_blank(self.text, max(self._start, self._cut))
        return self._start

    def _next_end(self, start: int) -> int | None:
        ends, whole = self._sentences.ends, self._whole
        while self._looked < len(ends) and ends[self._looked] <= start:
            self._looked += 1
        while whole and whole[0] <= start:
            whole.popleft()
        found = ends[self._looked : self._looked + 1]
        if whole:
            found.append(max(start, self.text.solid_before(whole[0])))
        return min(found, default=None)
