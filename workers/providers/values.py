"""Reads other servers' JSON as leniently as is safe, and writes strict JSON."""

import json
import re
from typing import Any

import orjson

_HALVES = re.compile("[\ud800-\udfff]")
_MOST_COUNT = 1_000_000_000
MOST_VALUES = 25_000
"""Of one event, about: each costs a microsecond or two, in which nobody else has a turn."""
_MOST_LENIENT = 262_144  # the most bytes for the slower parser


def parsed(data: bytes) -> Any:
    """Parse JSON. Half characters, NaN and broken UTF-8 are tolerated. Raises ValueError."""
    if len(data) > MOST_VALUES and sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError("too many values to be an answer")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if len(data) > _MOST_LENIENT:
            raise
    try:
        return json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def has_halves(text: str) -> bool:
    """Return True if the text has lone surrogates, which cannot be stored."""
    return not text.isascii() and _HALVES.search(text) is not None


def mended(text: str) -> str:
    """Return the text with surrogates paired; a lone one becomes U+FFFD."""
    return (
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if has_halves(text) else text
    )


def as_json(value: Any) -> str:
    """Return a value as JSON. Raises ValueError if it is nested too deeply."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        pass
    try:
        return mended(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (RecursionError, TypeError):
        raise ValueError("nested too deeply") from None


def text_in(value: Any) -> str:
    """Return a text, or a number as one; empty for anything else."""
    if isinstance(value, str):
        return value
    return as_json(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def count_in(value: Any) -> int:
    """Return a count, from a number or its digits; else 0."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value <= _MOST_COUNT else 0


def dict_in(value: Any) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_in(value: Any) -> list[Any]:
    """Return a list; a single value becomes a list of it, None an empty one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
