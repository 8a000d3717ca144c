"""The behavior of a simulated model: its pace, its words and its faults."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

_JSON_NAMES = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}
_DRAFT_NAME = re.compile(r"draft|small|mini|7b", re.IGNORECASE)


class BehaviourError(ValueError):
    """A behaviour has an unknown field, a wrong type or a value out of range; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One function call to emit; `arguments` is the JSON text, without an `id` one is made up."""

    name: str
    arguments: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Pace, words and faults of a model. A fault after N tokens needs an answer of at least N tokens."""

    ttft_ms: float = 0.0  # request to first token
    tpot_ms: float = 0.0  # between tokens
    jitter: float = 0.0  # 0..1, share of both times which varies, the same for the same request
    text: str | None = None  # None: an answer from the answers files or an own one
    tool_calls: tuple[ToolCall, ...] = ()  # alone unless `text` is given, which then comes first
    finish_reason: str | None = None  # None: stop, length or tool_calls, as it happens
    reasoning: str | None = None  # said before the text, as reasoning_content
    status: int | None = None  # answers this HTTP error after ttft_ms
    retry_after_s: float | None = None  # header sent with `status`
    stall_headers: bool = False  # never answers at all
    stall_after: int | None = None  # tokens, then silent until the client leaves
    cut_after: int | None = None  # tokens, then the connection breaks
    error_after: int | None = None  # tokens, then an error object ends the stream
    garble_after: int | None = None  # tokens, then one line which is not JSON; the rest follows
    no_done: bool = False  # ends without finish_reason and [DONE]
    dribble: bool = False  # writes bodies byte by byte

    def __post_init__(self) -> None:
        _require(0 <= self.ttft_ms < float("inf"), "ttft_ms", "must be 0 or more")
        _require(0 <= self.tpot_ms < float("inf"), "tpot_ms", "must be 0 or more")
        _require(0 <= self.jitter <= 1, "jitter", "must be from 0 to 1")
        _require(self.status is None or 400 <= self.status <= 599, "status", "must be from 400 to 599")
        _require(self.retry_after_s is None or self.retry_after_s >= 0, "retry_after_s", "must be 0 or more")
        for name in ("stall_after", "cut_after", "error_after", "garble_after"):
            tokens = getattr(self, name)
            _require(tokens is None or tokens >= 0, name, "must be 0 or more")


def is_draft(model: str) -> bool:
    """Return True if a model's name is that of a small, quick one."""
    return _DRAFT_NAME.search(model) is not None


def behaviour_from_json(value: object, base: Behaviour) -> Behaviour:
    """Put the fields of a JSON object over `base`; raises BehaviourError."""
    if not isinstance(value, Mapping):
        raise BehaviourError("behaviour", "must be a JSON object")
    return replace(base, **{name: _field_from_json(name, item) for name, item in value.items()})


_TYPES = {field.name: get_args(field.type) or (field.type,) for field in fields(Behaviour)}


def _field_from_json(name: str, value: object) -> Any:
    if name not in _TYPES:
        raise BehaviourError(name, "unknown field")
    if name == "tool_calls":
        return _tool_calls_from_json(value)
    types: tuple[Any, ...] = _TYPES[name]
    allowed = (*types, int) if float in types else types
    # In Python True is an int, in JSON it is not a number.
    right = isinstance(value, allowed) and (bool in types or not isinstance(value, bool))
    _require(right, name, "must be " + " or ".join(_JSON_NAMES[kind] for kind in types))
    return value


def _tool_calls_from_json(value: object) -> tuple[ToolCall, ...]:
    if not isinstance(value, list):
        raise BehaviourError("tool_calls", "must be a list")
    return tuple(map(_tool_call_from_json, value))


def _tool_call_from_json(value: object) -> ToolCall:
    match value:
        case {"name": str(name), **others} if set(others) <= {"id", "arguments"}:
            arguments, call_id = others.get("arguments", "{}"), others.get("id")
            if isinstance(arguments, str) and isinstance(call_id, str | None):
                return ToolCall(name, arguments, call_id)
    raise BehaviourError("tool_calls", "must hold objects of name, arguments and id, all of them texts")


def _require(holds: bool, field: str, message: str) -> None:
    if not holds:
        raise BehaviourError(field, message)
