"""Keeps what servers repeat with each chunk only once, so that a log grows with the answer alone."""

from typing import Any

_STREAMED = ("index", "delta", "finish_reason", "logprobs")  # of a choice: each piece is new
_SAID_ANEW = (
    "annotations",
    "citations",
    "search_results",
    "sources",
)  # of a delta: lists of the whole so far


class Annotations:
    """The notes on one answer. What is said of a choice is held to the end, the last word of each kind."""

    def __init__(self) -> None:
        self._held: dict[int, dict[str, Any]] = {}
        self._seen: set[str] = set()

    def feed(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """Return the part of a chunk's choice that is to be told now; None where there is nothing."""
        index = choice.get("index")
        place = index if isinstance(index, int) else 0
        now = {key: value for key, value in choice.items() if key in _STREAMED}
        # The message so far is what its deltas have said already.
        notes = {key: value for key, value in choice.items() if key not in (*_STREAMED, "message")}
        if notes:
            self._held.setdefault(place, {}).update(notes)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            now["delta"] = dict(self._new(place, delta))
        tells = now.get("delta") or now.get("logprobs") or now.get("finish_reason")
        return now if tells else None

    def rest(self) -> list[dict[str, Any]]:
        """Return what was held, a choice each; it is told once."""
        held, self._held = self._held, {}
        return [
            {**({"index": place} if place else {}), **notes, "delta": {}} for place, notes in held.items()
        ]

    def _new(self, place: int, delta: dict[str, Any]) -> list[tuple[str, Any]]:
        kept: list[tuple[str, Any]] = []
        for key, value in delta.items():
            if key in _SAID_ANEW and isinstance(value, list):
                value = [item for item in value if self._is_new(place, key, item)]
                if not value:
                    continue
            kept.append((key, value))
        return kept

    def _is_new(self, place: int, key: str, item: Any) -> bool:
        said = repr((place, key, item))
        known = said in self._seen
        self._seen.add(said)
        return not known
