"""Other people's JSON: read as leniently as is safe, and never written as Python would."""

import json
import re
from typing import Any

import orjson

_HALVES = re.compile("[\ud800-\udfff]")
_MOST_COUNT = 1_000_000_000
MOST_VALUES = 25_000
"""Of one event, about: each costs a microsecond or two, in which nobody else has a turn."""
_MOST_LENIENT = 262_144  # bytes that are read by the slower parser


def parsed(data: bytes) -> Any:
    """The value. Halves of characters, NaN and broken UTF-8 are let be. Raises ValueError."""
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
    """Return whether there are halves of characters in it, which can't be written down."""
    return not text.isascii() and _HALVES.search(text) is not None


def mended(text: str) -> str:
    """The same with halves paired; one that is alone becomes U+FFFD."""
    return (
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if has_halves(text) else text
    )


def as_json(value: Any) -> str:
    """A value as JSON. Raises ValueError on what is nested too deeply."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        pass
    try:
        return mended(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (RecursionError, TypeError):
        raise ValueError("nested too deeply") from None


def text_in(value: Any) -> str:
    """A text where one is to stand; a number is one too, all else is none."""
    if isinstance(value, str):
        return value
    return as_json(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def count_in(value: Any) -> int:
    """A count where one is to stand, be it a number or its digits; else 0."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value <= _MOST_COUNT else 0


def dict_in(value: Any) -> dict[str, Any]:
    """An object where one is to stand; else an empty one."""
    return value if isinstance(value, dict) else {}


def list_in(value: Any) -> list[Any]:
    """A list where one is to stand; one thing is a list of it, nothing an empty one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
