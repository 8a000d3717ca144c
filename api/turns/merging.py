"""Adds a streamed choice up: texts grow, items of lists are told apart by their `index`.

Linear in what came: texts are joined once, at the end.
"""

import base64
import binascii
from typing import Any

_NAMES = frozenset(  # texts that tell what a thing is, and are said again rather than gone on with
    ("role", "type", "id", "format", "name", "object", "status", "expires_at", "title", "url", "mime_type")
)
_MOST_DEEP = 32


class _Text:
    """A text that grows."""

    def __init__(self, key: str, parent: str) -> None:
        self._pieces: list[str] = []
        self._is_sound = (parent, key) == ("audio", "data")

    def add(self, piece: str) -> None:
        self._pieces.append(piece)

    def whole(self) -> str:
        if self._is_sound and any(piece.endswith("=") for piece in self._pieces[:-1]):
            try:  # each piece of sound is base64 by itself
                sound = b"".join(base64.b64decode(piece, validate=True) for piece in self._pieces)
                return base64.b64encode(sound).decode()
            except (binascii.Error, ValueError):
                pass
        return "".join(self._pieces)


class _Items:
    """A list that grows: what has an `index` goes on with the item of that index, all else is said once.

    Tokens (`logprobs`) and numbers are all kept, as they may well be the same.
    """

    def __init__(self, key: str, parent: str, deep: int) -> None:
        self._key, self._deep, self._keeps_all = key, deep, parent == "logprobs"
        self._by_index: dict[Any, _Object] = {}
        self._plain: list[Any] = []
        self._seen: set[str] = set()

    def add(self, items: list[Any]) -> None:
        for item in items:
            index = item.get("index") if isinstance(item, dict) else None
            if isinstance(index, int | str) and not isinstance(index, bool):
                if index not in self._by_index:
                    self._by_index[index] = _Object(self._key, self._deep + 1)
                self._by_index[index].add(item)
            elif self._keeps_all or not isinstance(item, dict | str):
                self._plain.append(item)
            elif (said := repr(item)) not in self._seen:
                self._seen.add(said)
                self._plain.append(item)

    def whole(self) -> list[Any]:
        items = [item.whole() for item in self._by_index.values()]
        if self._key == "tool_calls":  # counted only where they stream
            items = [{key: value for key, value in item.items() if key != "index"} for item in items]
        return [*self._plain, *items]


class _Object:
    """An object that grows. `replaces`: a text in it takes the place of the one before."""

    def __init__(self, key: str = "", deep: int = 0, *, replaces: bool = False) -> None:
        self._key, self._deep, self._replaces = key, deep, replaces
        self._values: dict[str, Any] = {}

    def add(self, part: dict[str, Any]) -> None:
        for key, value in part.items():
            if value is not None or key not in self._values:
                self._values[key] = self._grown(key, value)

    def _grown(self, key: str, value: Any) -> Any:
        kept = self._values.get(key)
        grown: Any = None
        if isinstance(value, str) and key not in _NAMES and not self._replaces:
            grown = kept if isinstance(kept, _Text) else _Text(key, self._key)
        elif isinstance(value, list) and self._deep < _MOST_DEEP:
            grown = kept if isinstance(kept, _Items) else _Items(key, self._key, self._deep)
        elif isinstance(value, dict) and self._deep < _MOST_DEEP:
            grown = kept if isinstance(kept, _Object) else _Object(key, self._deep + 1)
        if grown is None:
            return value
        grown.add(value)
        return grown

    def whole(self) -> dict[str, Any]:
        return {
            key: value.whole() if isinstance(value, _Text | _Items | _Object) else value
            for key, value in self._values.items()
        }


class MergedChoice:
    """One choice of an answer, as a client that doesn't stream gets it."""

    def __init__(self) -> None:
        self._message = _Object()
        self._rest = _Object(replaces=True)

    def add(self, part: dict[str, Any]) -> None:
        """A streamed choice's part. Where it also has the message so far, that is the same once more."""
        new = part.get("delta") or part.get("message")
        if isinstance(new, dict):
            self._message.add(new)
        rest = {key: value for key, value in part.items() if key not in ("delta", "message", "index")}
        self._rest.add({key: value for key, value in rest.items() if value is not None})

    def message(self) -> dict[str, Any]:
        """Return the message in one piece."""
        return self._message.whole()

    def rest(self) -> dict[str, Any]:
        """Return the other fields of a choice: `logprobs`, `finish_reason`."""
        return self._rest.whole()
