"""What of a text is read aloud: its words, without Markdown, emoji and addresses spelled out."""

import re

_RULES = (
    (re.compile(r"^\s*(?:```|~~~).*$", re.M), ""),  # a fence, with the name of its language
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$", re.M), ""),  # a rule
    (re.compile(r"^\s*\|?(?:\s*:?-+:?\s*\|)+\s*:?-*:?\s*$", re.M), ""),  # the line under a table's head
    (re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),  # a link or picture: its words
    (re.compile(r"<?https?://(?:www\.)?([^\s/>)]+)[^\s>)]*"), r"\1"),  # an address: its host
    (re.compile(r"</?[a-zA-Z][^<>\n]*>"), " "),  # a tag
    (re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+•]\s+)+", re.M), ""),  # a heading's, quote's or item's mark
    (re.compile(r"\s*\|\s*"), ", "),  # a table's cells
    (re.compile(r"[*`~]+|(?<!\w)_+|_+(?!\w)"), ""),  # emphasis and code
    (
        re.compile(
            "[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3]+"
        ),
        " ",
    ),  # emoji, arrows, signs
    (re.compile(r"\s+"), " "),
)
_LONE = re.compile(r"(?:^|(?<=[.!?]))[\s,]+|[\s,]+$")


def speakable(text: str) -> str:
    """The words of a sentence; empty where there is nothing in it to say."""
    for pattern, by in _RULES:
        text = pattern.sub(by, text)
    text = _LONE.sub(" ", text).strip()
    return text if any(char.isalnum() for char in text) else ""
