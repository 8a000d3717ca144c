"""Phrases with personal data in six languages, and without: what of it is masked, what for nothing.

Beside our masking stands Presidio (presidio-analyzer's recognisers that need no language model), where it is
installed. Each phrase counts once: found, where every personal part of it is masked; masked for nothing,
where anything else is.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from common.redaction.masking import mask

LANGUAGES = ("en", "ru", "zh", "de", "es", "fr")
_FOLDER = Path(__file__).parent / "privacy_phrases"
_ESCAPE = re.compile(r"\\n|\\u[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A spoken phrase. `personal`: the places of personal data in it."""

    language: str
    text: str
    personal: tuple[tuple[int, int], ...]

    def is_found(self, masked: set[int]) -> bool:
        """Return True if every letter and digit of the personal parts is masked."""
        return self._personal() <= masked | {at for at, char in enumerate(self.text) if char in "xX"}

    def is_overdone(self, masked: set[int]) -> bool:
        """Return True if anything else is masked."""
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
    """Return the places at which a text was masked."""
    return {at for at, (said, then) in enumerate(zip(text, kept, strict=True)) if said != then}


# `python -m bench.privacy`, in an environment that has presidio-analyzer too: what each finds.

_REGIONS = ("US", "GB", "RU", "CN", "DE", "AT", "CH", "ES", "MX", "FR")
_RECOGNISERS = (
    *("CreditCard", "Email", "Iban", "Ip", "MacAddress", "UsSsn", "UsPassport", "UsBank", "UsLicense"),
    *("AbaRouting", "UkNino", "UkPassport", "EsNif", "EsNie", "EsPassport", "DePassport", "DeIdCard"),
    *("DeTaxId", "DeSocialSecurity", "ItFiscalCode", "InPan"),
)
_SURE = 0.3  # patterns that hold without a word beside them


def _by_presidio() -> Callable[[Phrase], set[int]] | None:
    """Return what Presidio finds in a phrase; None where it isn't installed."""
    try:
        there: Any = importlib.import_module("presidio_analyzer.predefined_recognizers")
    except ImportError:
        return None
    made = [getattr(there, f"{name}Recognizer")() for name in _RECOGNISERS]
    made.append(there.PhoneRecognizer(supported_regions=_REGIONS))

    def find(phrase: Phrase) -> set[int]:
        found = set[int]()
        for one in made:
            for result in one.analyze(phrase.text, one.supported_entities, None) or []:
                if result.score >= _SURE:
                    found |= {at for at in range(result.start, result.end) if phrase.text[at].isalnum()}
        return found

    return find


def _told(name: str, find: Callable[[Phrase], set[int]]) -> None:
    """One line a language: personal phrases and how many were found, innocent ones and how many not."""
    for language in LANGUAGES:
        said = phrases(language)
        personal = [phrase for phrase in said if phrase.personal]
        found = sum(phrase.is_found(find(phrase)) for phrase in personal)
        innocent = [phrase for phrase in said if not phrase.personal]
        overdone = sum(phrase.is_overdone(find(phrase)) for phrase in innocent)
        share = f"{100 * found / len(personal):3.0f} %"
        print(
            f"{name:10} {language}  found {found:3} of {len(personal):3} ({share})  masked for nothing",
            end=" ",
        )
        print(f"{overdone:2} of {len(innocent)}")


if __name__ == "__main__":
    _told("fast-reply", lambda phrase: masked_places(phrase.text, mask(phrase.text)))
    if presidio := _by_presidio():
        _told("presidio", presidio)
    else:
        print("presidio   is not installed: pip install presidio-analyzer")
