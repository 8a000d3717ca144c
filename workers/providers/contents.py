"""Reads a message's content, which may be a text, a part or a list of parts."""

from collections.abc import Iterator
from typing import Any, Literal

from workers.providers.values import text_in

Kind = Literal["text", "thought", "refusal"]

_TEXTS = (None, "", "text", "output_text", "text_delta", "input_text")
_THOUGHTS = ("thinking", "reasoning", "thought", "reasoning_text", "reasoning_content", "thinking_delta")
_WORDS = (
    "text",
    "value",
    "thinking",
    "reasoning",
    "reasoning_text",
    "reasoning_content",
    "content",
    "summary",
)
_MOST_DEEP = 8


def read_content(content: Any, deep: int = 0) -> Iterator[tuple[Kind, str]]:
    """Yield its texts in order: words, thoughts and refusals. Everything else is skipped."""
    if isinstance(content, list):
        for part in content:
            yield from read_content(part, deep + 1) if deep < _MOST_DEEP else ()
    elif not isinstance(content, dict):
        if text := text_in(content):
            yield "text", text
    elif content.get("type") in _THOUGHTS or content.get("thought") is True:
        if text := words_in(content):
            yield "thought", text
    elif content.get("type") == "refusal":
        if text := text_in(content.get("refusal")):
            yield "refusal", text
    elif isinstance(content.get("parts"), list):
        yield from read_content(content["parts"], deep + 1) if deep < _MOST_DEEP else ()
    elif content.get("type") in _TEXTS and (text := words_in(content)):
        yield "text", text


def words_in(value: Any, deep: int = 0) -> str:
    """Return all words of a part, however deeply they are nested."""
    if deep > _MOST_DEEP:
        return ""
    if isinstance(value, list):
        return "".join(words_in(item, deep + 1) for item in value)
    if isinstance(value, dict):
        return next(filter(None, (words_in(value.get(key), deep + 1) for key in _WORDS)), "")
    return text_in(value)
