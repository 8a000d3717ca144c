"""Turns text into search terms, the same for documents and questions, in any language."""

import re
import unicodedata

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

# Scripts without spaces between words, and Hangul, whose endings cling to its words: found by pairs.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+")
_LONGEST_TERM = 60
# As good as stemming in most European languages: McNamee and Mayfield, Character N-Gram Tokenization, 2004.
_PART = 4
# Stop words that tantivy's English list lacks: they are in every question and say nothing.
_ASKING = [
    "am", "can", "could", "did", "do", "does", "has", "have", "how", "i", "me", "my", "our", "should",
    "was", "we", "were", "what", "when", "where", "which", "who", "why", "would", "you", "your",
]  # fmt: skip


def build_analyzer() -> TextAnalyzer:
    """Build the analyzer for prepared text. A stemmer leaves words of the other script alone."""
    return (
        TextAnalyzerBuilder(Tokenizer.simple())
        .filter(Filter.remove_long(_LONGEST_TERM))
        .filter(Filter.lowercase())
        .filter(Filter.ascii_fold())
        .filter(Filter.stopword("english"))
        .filter(Filter.stopword("russian"))
        .filter(Filter.custom_stopword(_ASKING))
        .filter(Filter.stemmer("english"))
        .filter(Filter.stemmer("russian"))
        .build()
    )


def prepare(text: str) -> str:
    """Normalize a text for the analyzer: one form of each character, unspaced scripts in pairs."""
    text = unicodedata.normalize("NFKC", text).replace("ё", "е").replace("Ё", "Е")
    return _UNSPACED.sub(_in_pairs, text)


def parts(terms: list[str]) -> list[str]:
    """Return the four-letter parts of the terms, by which a word is found where a stemmer sees no
    relation.
    """
    words = filter(str.isalpha, terms)  # a part of a number says nothing
    return [word[at : at + _PART] for word in words for at in range(len(word) - _PART + 1)]


def _in_pairs(run: re.Match[str]) -> str:
    chars = run[0]
    pairs = [chars[at : at + 2] for at in range(len(chars) - 1)]
    return f" {' '.join(pairs or [chars])} "
