"""Cuts what is released of a turn into sentences to speak, while it still comes."""

from common.releases import Said
from common.sentences import Sentences

_LONGEST = 300  # characters; more is cut between words, so that no caller waits for a list to end


class Cutter:
    """Sentences of a growing text, each cut once: as soon as its end is certain, or nothing more is coming.

    What was spoken before, up to `done`, is passed over.
    """

    def __init__(self, done: int = 0) -> None:
        self.text = ""
        self._sentences = Sentences()
        self._cut = done
        self._looked = 0  # of the certain ends
        self._whole = 0  # up to here all is said that will be: a phrase of its own, or the turn's end

    def feed(self, said: Said) -> None:
        """Add what was let out. A filler is a phrase of its own, however it ends."""
        self.text += said.text
        self._sentences.feed(said.text)
        if said.lane == "filler":
            self._whole = len(self.text)

    def close(self) -> None:
        """No more will come."""
        self._sentences.close()
        self._whole = len(self.text)

    @property
    def rests(self) -> bool:
        """Whether what is left may be a whole sentence, should nothing more come for a while."""
        return self._sentences.rests and bool(self.text[self._cut :].strip())

    def rest(self) -> None:
        """Nothing has come for a while."""
        self._whole = len(self.text)

    def next(self) -> tuple[int, int] | None:
        """The next sentence's place in the text, if there is one."""
        start = self._cut + len(self.text[self._cut :]) - len(self.text[self._cut :].lstrip())
        end = self._next_end(start)
        if end is None:
            return None
        self._cut = end
        return start, end

    def _next_end(self, start: int) -> int | None:
        ends = self._sentences.ends
        while self._looked < len(ends) and ends[self._looked] <= start:
            self._looked += 1
        end = ends[self._looked] if self._looked < len(ends) else None
        if end is None and start < self._whole:
            end = len(self.text[: self._whole].rstrip())
        if end is None and len(self.text) - start > _LONGEST:
            end = len(self.text)
        return end if end is None or end - start <= _LONGEST else self._between_words(start)

    def _between_words(self, start: int) -> int:
        """Where a sentence that is too long may be cut."""
        space = self.text.rfind(" ", start + 1, start + _LONGEST)
        return space if space > 0 else start + _LONGEST
