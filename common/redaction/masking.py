"""Masks personal data in what was said: card, phone and document numbers, addresses, codes. Pure.

It errs on the side of masking: a number masked for nothing costs a reader a moment, one that stays may cost a
caller more. Masks keep a text's length and shape, so that every offset in it stays valid.
"""

import re
from collections.abc import Iterator, Sequence

import orjson

from common.redaction.personal import addresses, contexts, papers
from common.redaction.personal.folding import MANY, SEAM, fold, meaning
from common.redaction.personal.numbers import chains
from common.redaction.personal.tokens import cut

MASK = "x"
_MOST_LOOKS = 8
_BLOCK, _OVERLAP = 32_768, 1_024  # a regex search holds the GIL, so no search may be long
_MOST_ATTACHED = 3  # letters that a number is written with: AB1234567, 12345678Z
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"|x')
_CHARACTERS = re.compile(rf"{MANY.pattern}|[^\W_]", MANY.flags | re.S)


def mask(text: str, digit: str = MASK) -> str:
    """Return the text with `x` for each letter and digit of personal data; `digit`: the mask for digits."""
    known: dict[str, list[tuple[int, int]]] = {}
    for _ in range(_MOST_LOOKS):  # a mask is a word of its own, and may reveal personal data beside it
        masked = _mask_once(text, digit, known)
        if masked == text:
            break
        text = masked
    return text


def mask_json(text: str) -> str:
    """Mask a text that may be JSON, and keep it valid JSON: masked numbers become ones."""
    masked = mask(text)
    if masked == text or not _is_json(text):
        return masked
    return _JSON_STRING.sub(lambda found: "1" if found[0] == MASK else found[0], masked)


def mask_together(texts: Sequence[str], digit: str = MASK, *, between: str = "\n") -> list[str]:
    """Mask consecutive texts as one, as a number may span several, and return them cut as before."""
    whole, at, kept = mask(between.join(texts), digit), 0, []
    for text in texts:
        kept.append(whole[at : at + len(text)])
        at += len(text) + len(between)
    return kept


def blank(text: str, digit: str = MASK) -> str:
    """Return the text with all letters and digits masked; JSON escapes stay as they are."""

    def masked(found: re.Match[str]) -> str:
        char = found[0]
        if char.isalnum():
            return digit if char.isdigit() else MASK
        meant = meaning(char) if char[0] in "\\&" else ""
        if not meant.isalnum() or len(char) == 2:
            return char
        if char[0] == "&":
            return re.sub(r"[^\W_]", digit if meant.isdigit() else MASK, char)
        return f"\\u{ord(digit if meant.isdigit() else MASK):04x}" * (len(char) // 6)

    return _CHARACTERS.sub(masked, text)


def _mask_once(text: str, digit: str, known: dict[str, list[tuple[int, int]]]) -> str:
    """Mask the text once, block by block, so that no search takes long. `known`: spans of blocks already
    searched.
    """
    folded = fold(text)
    spans = []
    for begin in range(0, len(folded.text), _BLOCK):
        first = max(0, begin - _OVERLAP)
        block = folded.text[first : begin + _BLOCK + _OVERLAP]
        if block not in known:
            known[block] = list(_found(block))
        spans += [folded.place(first + found, first + end) for found, end in known[block]]
    parts, done = [], 0
    for begin, end in sorted(spans):
        if end > done:
            begin = max(begin, done)
            parts += [text[done:begin], blank(text[begin:end], digit)]
            done = end
    return "".join([*parts, text[done:]])


def _found(folded: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of personal data; they may overlap."""
    tokens = cut(folded)
    yield from addresses.written(folded)
    yield from addresses.read_aloud(folded, tokens)
    yield from papers.by_form(folded)
    found = chains(folded, tokens)
    for chain in found:
        if chain.is_personal():
            yield _with_letters(folded, chain.begin, chain.end)
    for begin, end in contexts.named(folded, found):
        yield _with_letters(folded, begin, end)


def _with_letters(folded: str, begin: int, end: int) -> tuple[int, int]:
    """Extend a number by the few letters that are written with it."""
    first, last = begin, end
    while begin - first < _MOST_ATTACHED and first and _is_letter(folded[first - 1]):
        first -= 1
    while last - end < _MOST_ATTACHED and last < len(folded) and _is_letter(folded[last]):
        last += 1
    if first and _is_letter(folded[first - 1]):
        first = begin
    if last < len(folded) and _is_letter(folded[last]):
        last = end
    return first, last


def _is_letter(char: str) -> bool:
    return char.isascii() and char.isalpha()


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


__all__ = ["MASK", "SEAM", "blank", "mask", "mask_json", "mask_together"]
