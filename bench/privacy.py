"""Phrases with personal data in six languages, and without: what of it is masked, what for nothing.

Beside our masking stands Presidio (presidio-analyzer's recognisers that need no language model), where it is
installed. Each phrase counts once: found, where every personal part of it is masked; masked for nothing,
where anything else is.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import orjson

LANGUAGES = ("en", "ru", "zh", "de", "es", "fr")
_FOLDER = Path(__file__).parent / "privacy_phrases"
_ESCAPE = re.compile(r"\\n|\\u[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """What somebody says. `personal`: the places of what is somebody's."""

    language: str
    text: str
    personal: tuple[tuple[int, int], ...]

    def is_found(self, masked: set[int]) -> bool:
        """Whether every letter and digit of what is personal is among these places."""
        return self._personal() <= masked | {at for at, char in enumerate(self.text) if char in "xX"}

    def is_overdone(self, masked: set[int]) -> bool:
        """Whether anything else is."""
        return bool(masked - self._personal())

    def _personal(self) -> set[int]:
        return {at for begin, end in self.personal for at in range(begin, end) if self.text[at].isalnum()}


def phrases(language: str) -> list[Phrase]:
    """All of a language."""
    lines = (_FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    return [_read(language, line) for line in lines if line and not line.startswith("# ")]


def _read(language: str, line: str) -> Phrase:
    text, personal = "", list[tuple[int, int]]()
    said = _ESCAPE.sub(lambda found: str(orjson.loads(f'"{found[0]}"')), line)
    for part in re.split(r"(\[\[.*?\]\](?!\]))", said):
        if part.startswith("[[") and part.endswith("]]"):
            personal.append((len(text), len(text) + len(part) - 4))
            part = part[2:-2]
        text += part
    return Phrase(language, text, tuple(personal))


def masked_places(text: str, kept: str) -> set[int]:
    """Where a text was masked."""
    return {at for at, (said, then) in enumerate(zip(text, kept, strict=True)) if said != then}
