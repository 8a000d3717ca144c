"""A text that grows at its end, and whose parts are read at a cost proportional to their length."""

from bisect import bisect_left
from collections.abc import Sequence
from io import StringIO
from typing import Protocol, overload

_WINDOW = 64


class Text(Protocol):
    """A string or a growing text, read by index and slice."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> str: ...


class GrowingText:
    """A text that is appended to piece by piece.

    Appending to a string copies all of it, so that a text of many pieces would cost the square of its length.
    """

    __slots__ = ("_io", "_length", "_solid_at", "first", "solid")

    def __init__(self, text: str = "") -> None:
        self._io = StringIO(newline="\n")
        self._length = 0
        self._solid_at = (0, 0)  # the last answer of `solid_before`
        self.first = -1  # the index of its first character that is not whitespace
        self.solid = 0  # just after the last such character
        self.append(text)

    def append(self, piece: str) -> None:
        """Append a piece."""
        here = self._length
        self._io.seek(here)
        self._io.write(piece)
        self._length += len(piece)
        bare = piece.rstrip()
        if bare:
            self.solid = here + len(bare)
            if self.first < 0:
                self.first = here + len(bare) - len(bare.lstrip())

    def solid_before(self, place: int) -> int:
        """Return the place just after the last non-whitespace character before this place; 0 if there is
        none.
        """
        if place >= self.solid:
            return self.solid
        if self._solid_at[0] != place:
            end, bare = place, ""
            while end > 0 and not bare:
                begin = max(0, end - _WINDOW)
                bare = self[begin:end].rstrip()
                end = begin
            self._solid_at = (place, end + len(bare))
        return self._solid_at[1]

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, part: int, /) -> str: ...

    @overload
    def __getitem__(self, part: slice, /) -> str: ...

    def __getitem__(self, part: int | slice, /) -> str:
        if isinstance(part, int):
            if not -self._length <= part < self._length:
                raise IndexError("there is no such place in the text")
            start, stop = part % self._length, part % self._length + 1
        else:
            start, stop, step = part.indices(self._length)
            assert step == 1, "a text is read from left to right"
        self._io.seek(start)
        return self._io.read(max(0, stop - start))

    def __str__(self) -> str:
        return self._io.getvalue()

    def __repr__(self) -> str:
        return repr(str(self))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | GrowingText) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


def is_among(ends: Sequence[int], place: int) -> bool:
    """Return True if a place is in this sorted sequence."""
    at = bisect_left(ends, place)
    return at < len(ends) and ends[at] == place
