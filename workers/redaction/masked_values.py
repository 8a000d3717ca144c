"""Masks personal data in JSON: texts, keys, identifiers, numbers. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common.redaction.masking import MASK, SEAM, blank, mask, mask_together

_NAMES = ("role", "type", "id", "tool_call_id", "document")  # what only tells things apart
_MEDIA = ("input_audio", "image_url", "video_url", "audio_url", "file")
_UNREAD = ("logprobs", "audio")  # of an extra: the words once more, in a form that can't be masked
_LONG_NUMBER = 1_000_000
_SHORT = 64

# What a model's server calls a tool's call: the answer to it, in a later turn, comes under the same.
_MACHINES = re.compile(
    r"(?:call|function-call|toolu|tooluse|tool|fc|chatcmpl(?:-tool)?|cmpl|msg|run|req|resp|item)[_-][\w-]{1,80}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|functions\.\w{1,64}:\d{1,4}"
    r"|(?=\w*[a-zA-Z]\w*[a-zA-Z]\w*[a-zA-Z]\w*[a-zA-Z])(?=\w*\d)\w{16,80}",
    re.ASCII,
)

Path = tuple[Any, ...]
Change = Callable[[Path, str], str]


@dataclass(slots=True)
class _Distinct:
    """Keeps masked names distinct, without trying any number twice."""

    taken: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def of(self, masked: str) -> str:
        """Return the name itself, or a similar one if it is taken."""
        place, number, name = masked.rfind(MASK), self.counts.get(masked, 0), masked
        while name in self.taken and place >= 0:
            number += 1
            name = f"{masked[:place]}{_letters(number)}{masked[place + 1 :]}"
        self.counts[masked] = number
        self.taken.add(name)
        return name


@dataclass(slots=True)
class Values:
    """Masks the JSON of one turn and keeps names distinct. `digit`: the character that masks digits."""

    digit: str
    _names: dict[str, str] = field(default_factory=dict)
    _distinct: _Distinct = field(default_factory=_Distinct)

    def change(self, value: Any, path: Path, change: Change) -> Any:
        """Return the same JSON with its texts changed by `change`, and all else masked.

        Sound, pictures and files are removed, as they cannot be masked.
        """
        if isinstance(value, str):
            return change(path, value)
        if isinstance(value, list):
            return [self.change(item, (*path, place), change) for place, item in enumerate(value)]
        if isinstance(value, dict):
            return self._object(value, path, change)
        return self._number(value)

    def _object(self, value: dict[str, Any], path: Path, change: Change) -> dict[str, Any]:
        if value.get("type") in _MEDIA:
            return {"type": "text", "text": f"({value['type']}: not kept)"}
        kept: dict[str, Any] = {}
        distinct = _Distinct()
        for key, item in value.items():
            if key in _UNREAD and isinstance(item, dict):
                continue
            name = distinct.of(mask(key, self.digit))
            if key in _NAMES and isinstance(item, str):
                kept[name] = self.name(item)
                continue
            changed = self.change(item, (*path, name), change)
            kept[name] = self._named(key, item, changed) if name == key else changed
        return kept

    def name(self, text: str) -> str:
        """Return an identifier: unchanged if a machine made it, else masked and still distinct."""
        if _MACHINES.fullmatch(text):
            return text
        if text not in self._names:
            self._names[text] = self._distinct.of(mask(text, self.digit))
        return self._names[text]

    def _named(self, key: str, item: Any, changed: Any) -> Any:
        """Mask a short value that its key makes personal: {"cvv": 123}."""
        is_number = type(item) in (int, float)
        is_short = isinstance(item, str) and len(item) <= _SHORT and any(map(str.isdigit, item))
        if not (is_number or is_short) or key == "arguments":  # those are JSON, and masked as such
            return changed
        said = str(item)
        masked = mask(f"{key}: {said}", self.digit)[-len(said) :]
        if masked == said:
            return changed
        if is_number or len(changed) != len(masked):
            return masked
        return "".join(m if c == s else c for m, s, c in zip(masked, said, changed, strict=True))

    def _number(self, value: Any) -> Any:
        is_long = type(value) in (int, float) and abs(value) >= _LONG_NUMBER
        return blank(str(value)) if is_long else value


def _letters(number: int) -> str:
    letters = ""
    while number:
        number, letter = divmod(number - 1, 23)
        letters = "abcdefghijklmnopqrstuvw"[letter] + letters
    return letters


# Messages: a number may go over several, and what is asked for in one is told in the next.


def mask_messages(messages: list[Any], digit: str) -> dict[Path, str]:
    """Mask the messages' texts, by path: once in their order, and once more for each speaker alone."""
    slots = list(_texts(messages))
    masked = {path: text for path, _, text in slots}
    _lay_over(masked, slots, digit)
    for role in {role for _, role, _ in slots}:
        own = [slot for slot in slots if slot[1] == role]
        if len(own) > 1:
            _lay_over(masked, own, digit)
    return masked


def _lay_over(masked: dict[Path, str], slots: list[tuple[Path, str, str]], digit: str) -> None:
    pieces: list[str] = []
    before = ""
    for _, role, text in slots:
        pieces += [f"\n{SEAM}" if before not in ("", role) else "\n", text]
        before = role
    kept = mask_together(pieces, digit, between="")[1::2]
    for (path, _, clear), text in zip(slots, kept, strict=True):
        now = masked[path]
        masked[path] = "".join(t if t != c else n for t, c, n in zip(text, clear, now, strict=True))


def _texts(messages: list[Any]) -> Iterator[tuple[Path, str, str]]:
    """Yield each text with its path and its speaker."""
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        role, content = str(message.get("role")), message.get("content")
        if isinstance(content, str):
            yield ("messages", place, "content"), role, content
        elif isinstance(content, list):
            for part, item in enumerate(content):
                if isinstance(item, dict) and isinstance(item.get("text"), str):
                    yield ("messages", place, "content", part, "text"), role, item["text"]


def last_said(messages: list[Any]) -> str:
    """Return the end of the last text, masked or not."""
    said = [text for _, _, text in _texts(messages)]
    return said[-1][-_MOST_BEFORE:] if said else ""


_MOST_BEFORE = 200
