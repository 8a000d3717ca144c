"""Cuts text into pieces about as large as a BPE tokenizer's; joined, they are the text again."""

import re
import unicodedata
from functools import lru_cache

_CJK = "\u2e80-\u2fff\u3040-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
_LETTER = rf"(?![{_CJK}])[^\W\d_]"
_PIECE = re.compile(
    rf"""\s*(?:
        (?:{_LETTER}){{1,7}}(?!{_LETTER})   # a whole word
      | (?:{_LETTER}){{6}}                  # a part of a long one
      | [{_CJK}]{{1,2}}
      | \d{{1,3}}
      | [\U0001f1e6-\U0001f1ff]{{2}}        # a flag
      | \S
    )|\s+""",
    re.VERBOSE,
)

_ZWJ = "\u200d"
_VIRAMA = 9  # combining class of the signs which join two Indic consonants
# Characters which belong to the one before them, besides the marks (category M): joiners, skin
# tones, Korean vowels and finals, half-width Japanese voicing, and the letters of tag sequences.
_EXTENDS = re.compile(
    "[\u200c\u200d\U0001f3fb-\U0001f3ff\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f\U000e0020-\U000e007f]"
)


@lru_cache(maxsize=2048)
def split_tokens(text: str) -> tuple[str, ...]:
    """Cut `text` into tokens, never inside of a character as readers see it."""
    tokens: list[str] = []
    for piece in _PIECE.findall(text):
        if tokens and _belongs(tokens[-1], piece):
            tokens[-1] += piece
        else:
            tokens.append(piece)
    return tuple(tokens)


def _belongs(before: str, piece: str) -> bool:
    first, last = piece[0], before[-1]
    if piece.isspace():
        return True
    if last == _ZWJ and not first.isspace():
        return True
    if first.isascii():
        return False
    extends = unicodedata.category(first)[0] == "M" or _EXTENDS.match(first) is not None
    return extends or (unicodedata.combining(last) == _VIRAMA and not first.isspace())
