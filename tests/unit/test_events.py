"""The bytes of an event: what comes back is what was written, and what is broken is said to be."""

from dataclasses import fields, replace
from typing import Any

import orjson
import pytest

from common.events import (
    KINDS,
    Event,
    Retrieved,
    TimerFired,
    TurnEnded,
    TurnInterrupted,
    decode,
    encode,
    kind_of,
)
from tests.support.turn_events import begin, call, end, extra, say, started

EVENTS: list[Event] = [
    started(),
    begin("full"),
    say("full", 0, "Hello."),
    call(0, 0, "{}"),
    extra(0, {"delta": {}}),
    end("full"),
    end("full", usage={"prompt_tokens": 1}, error={"code": "x"}),
    Retrieved("t", "c", [], None, 0),
    TimerFired("t", 0, "deadline", ""),
    TurnInterrupted("t", "client", -1),
    TurnEnded("t", "stop", 0, {}, "", degraded=False, error=None),
]


def _decoded(name: str, values: Any) -> Any:
    return decode(b"1-0", {name.encode(): orjson.dumps(values)})


@pytest.mark.parametrize("event", EVENTS)
def test_what_was_written_is_read(event: Event) -> None:
    entry = decode(b"1-0", {name.encode(): body for name, body in encode(event).items()})
    assert entry and entry.event == event


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("odd", [None, 1.5, True, "x", [], {}, 7])
def test_a_field_of_another_type_is_broken(event: Event, odd: Any) -> None:
    """A fold, or whoever else takes it, never sees it."""
    whole = orjson.loads(orjson.dumps(event))
    for each in fields(event):
        if isinstance(odd, type(whole[each.name])) or _may_be(event, each.name, odd):
            continue
        with pytest.raises(ValueError):
            _decoded(kind_of(event), {**whole, each.name: odd})


def _may_be(event: Event, name: str, odd: Any) -> bool:
    """Fields that may be null are either that or an object or a text; a number may be `true` to Python."""
    nullable = {"usage": dict, "error": str if isinstance(event, Retrieved) else dict}
    if name in nullable and not (name == "usage" and isinstance(event, TurnEnded)):
        return odd is None or isinstance(odd, nullable[name])
    return odd is True and isinstance(getattr(event, name), int)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"7", b"null", b'"x"', b"{}"])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_no_event_is_broken(name: str, body: bytes) -> None:
    with pytest.raises(ValueError):
        decode(b"1-0", {name.encode(): body})


def test_a_later_kind_and_a_later_field_are_passed_over() -> None:
    assert _decoded("invented.later", {"turn": "t"}) is None
    event = say("full", 0, "Hello.")
    assert _decoded("delta", {**orjson.loads(orjson.dumps(event)), "later": [1]}).event == replace(event)
