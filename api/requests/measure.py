"""Bounds a request's body beside its bytes, in linear time, before it is validated."""

from typing import Any

from common.errors import BadRequest

MOST_MESSAGES = 4_096
MOST_TOOLS = 1_024
MOST_VALUES = 40_000  # each is work in every process that reads the turn
MOST_DEPTH = 64


def check_fields(raw: bytes) -> None:
    """Raises BadRequest where a body names more fields than it may hold values: before it is parsed.

    A quotation mark in a text has a backslash before it: where none has, a colon follows a field's name.
    """
    if raw.count(b'":') - raw.count(b'\\":') > MOST_VALUES:
        raise _too_many()


def check_measure(body: dict[str, Any]) -> None:
    """Raises BadRequest where there are too many messages, tools or values, or they are nested too deeply."""
    for name, most in (("messages", MOST_MESSAGES), ("tools", MOST_TOOLS)):
        found = body.get(name)
        if isinstance(found, list) and len(found) > most:
            raise BadRequest(f"{name}: {len(found)} of {most} at most", code="too_many_items", param=name)
    level: list[Any] = [body]
    depth = values = 0
    while level:
        depth += 1
        values += sum(map(len, level))
        if values > MOST_VALUES:
            raise _too_many()
        if depth > MOST_DEPTH:
            raise BadRequest(f"the body is nested deeper than {MOST_DEPTH}", code="invalid_json")
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]


def _too_many() -> BadRequest:
    return BadRequest(f"the body holds more than {MOST_VALUES} values", code="too_many_items")
