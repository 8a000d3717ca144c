r"""Joins characters that a server cuts in two: JSON may hold half of one (`\ud83d`), UTF-8 cannot."""

from collections.abc import Iterator
from typing import Any

from workers.providers.base import Finish, PassThrough, StreamPart, ToolCallDelta, Usage
from workers.providers.values import has_halves, mended

_FIRST_HALF = ("\ud800", "\udbff")
_LOST = "\ufffd"
_MOST_HELD = 1_000
_MOST_DEEP = 12  # no words of an answer stand deeper

Place = tuple[Any, ...]


class Halves:
    """Joins halves that come in two pieces at the same place; a lone half becomes U+FFFD."""

    def __init__(self) -> None:
        self._held: dict[Place, str] = {}

    def feed(self, piece: StreamPart) -> StreamPart:
        """Return the piece without halves: one at its end waits for the other."""
        if isinstance(piece, str):
            return self._join(("text",), piece)
        if isinstance(piece, ToolCallDelta):
            index = piece.index
            return ToolCallDelta(
                index,
                self._join((index, "id"), piece.id),
                self._join((index, "name"), piece.name),
                self._join((index, "arguments"), piece.arguments),
                self._walk(("call", index), piece.rest, holds=False),
            )
        if isinstance(piece, PassThrough):
            return PassThrough(self._walk(("choice", piece.choice.get("index")), piece.choice, holds=True))
        if isinstance(piece, Usage):
            return Usage(self._walk((), piece.tokens, holds=False))
        return Finish(mended(piece.reason), piece.alone)

    def end(self) -> Iterator[StreamPart]:
        """Return replacements for halves whose other half never came."""
        held, self._held = self._held, {}
        for place in held:
            if place == ("text",):
                yield _LOST
            elif place[-1] == "arguments" and len(place) == 2:
                yield ToolCallDelta(place[0], "", "", _LOST)
            elif place[:1] == ("choice",) and place[2:3] == ("delta",) and len(place) == 4:
                index = {} if place[1] is None else {"index": place[1]}
                yield PassThrough({**index, "delta": {place[3]: _LOST}})

    def _join(self, place: Place, text: str) -> str:
        if not text or (text.isascii() and not self._held):
            return text
        text = self._held.pop(place, "") + text
        if not has_halves(text):
            return text
        if _FIRST_HALF[0] <= text[-1] <= _FIRST_HALF[1] and len(self._held) < _MOST_HELD:
            self._held[place], text = text[-1], text[:-1]
        return mended(text)

    def _walk(self, place: Place, value: Any, *, holds: bool) -> Any:
        """Join the texts in a value; an item of a list has the place that its `index` names."""
        if holds and len(place) > _MOST_DEEP:
            place, holds = (), False
        if isinstance(value, str):
            return self._join(place, value) if holds else mended(value)
        if isinstance(value, dict):
            named = ((mended(key), item) for key, item in value.items())
            return {key: self._walk((*place, key) if holds else (), item, holds=holds) for key, item in named}
        if isinstance(value, list):
            return [
                self._walk((*place, _index(item, number)) if holds else (), item, holds=holds)
                for number, item in enumerate(value)
            ]
        return value


def _index(item: Any, number: int) -> Any:
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else number
