"""Tool calls as servers stream them: told apart, numbered from 0, with all that is said of them."""

from typing import Any

import pytest

from common.events import LaneStarted, ToolPart
from common.turn.lane_state import LaneState
from workers.providers.base import ToolCallDelta
from workers.providers.calls import Calls
from workers.providers.halves import Halves
from workers.providers.openai_answer import OpenAIAnswer

Part = dict[str, Any]


def part(
    index: Any = None, id: str | None = None, name: str | None = None, arguments: Any = None, **more: Any
) -> Part:
    said = {"index": index, "id": id, **more, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in said.items() if value is not None}


def called(*deltas: list[Part] | Part) -> list[dict[str, Any]]:
    """The calls as a client gets them, of deltas with these parts."""
    answer, state, at = OpenAIAnswer(), LaneState("full"), dict[int, int]()
    state.apply(LaneStarted("t", "full", 1, "w"))
    pieces: list[Any] = []
    for delta in deltas:
        parts = delta if isinstance(delta, list) else [delta]
        pieces += answer.read_value({"choices": [{"index": 0, "delta": {"tool_calls": parts}}]})
    answer.over = True
    pieces += answer.end()
    halves = Halves()
    for piece in map(halves.feed, pieces):
        if isinstance(piece, ToolCallDelta):
            i, start = piece.index, at.get(piece.index, 0)
            state.apply(
                ToolPart("t", "full", 1, i, start, piece.id, piece.name, piece.arguments, 0, piece.rest)
            )
            at[i] = start + len(piece.arguments)
    assert sorted(state.calls) == list(range(len(state.calls)))
    return [state.calls[index].whole() for index in sorted(state.calls)]


def told(*deltas: Any) -> list[tuple[str, str]]:
    """Names and arguments of the calls; each has an id of its own."""
    calls = called(*deltas)
    assert len({call["id"] for call in calls}) == len(calls)
    assert all(call["id"] for call in calls)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


TWO = [("find", '{"q":1}'), ("ring", '{"n":2}')]
FIRST, SECOND = {"id": "a", "name": "find"}, {"id": "b", "name": "ring"}
ONE, OTHER = '{"q":1}', '{"n":2}'

SHAPES: dict[str, list[Any]] = {
    "as OpenAI has it": [
        part(0, **FIRST, arguments=""),
        part(0, arguments='{"q"'),
        part(0, arguments=":1}"),
        part(1, **SECOND, arguments=""),
        part(1, arguments=OTHER),
    ],
    "all counted 0, in one delta": [[part(0, **FIRST, arguments=ONE), part(0, **SECOND, arguments=OTHER)]],
    "all counted 0, in two": [part(0, **FIRST, arguments=ONE), part(0, **SECOND, arguments=OTHER)],
    "all counted 0, in pieces": [
        part(0, **FIRST),
        part(0, arguments='{"q":'),
        part(0, arguments="1}"),
        part(0, **SECOND),
        part(0, arguments=OTHER),
    ],
    "uncounted": [[part(**FIRST, arguments=ONE), part(**SECOND, arguments=OTHER)]],
    "uncounted, in pieces": [part(**FIRST), part(arguments=ONE), part(**SECOND), part(arguments=OTHER)],
    "uncounted, without ids": [[part(name="find", arguments=ONE), part(name="ring", arguments=OTHER)]],
    "without ids, in two": [part(0, name="find", arguments=ONE), part(0, name="ring", arguments=OTHER)],
    "counted from 1": [part(1, **FIRST, arguments=ONE), part(2, **SECOND, arguments=OTHER)],
    "with gaps": [part(3, **FIRST), part(3, arguments=ONE), part(900, **SECOND), part(900, arguments=OTHER)],
    "counted in texts": [part("0", **FIRST, arguments=ONE), part("1", **SECOND, arguments=OTHER)],
    "below zero": [part(-1, **FIRST, arguments=ONE), part(10**30, **SECOND, arguments=OTHER)],
    "side by side": [
        [part(0, **FIRST), part(1, **SECOND)],
        [part(1, arguments='{"n"'), part(0, arguments='{"q"')],
        [part(0, arguments=":1}"), part(1, arguments=":2}")],
    ],
    "counted only at first": [
        part(0, **FIRST),
        part(arguments=ONE),
        part(1, **SECOND),
        part(arguments=OTHER),
    ],
    "an id in each piece": [
        part(0, id="a", name="find", arguments='{"q"'),
        part(0, id="a", arguments=":1}"),
        part(1, id="b", name="ring", arguments=OTHER),
    ],
    "id and name in each piece": [
        part(0, **FIRST, arguments='{"q"'),
        part(0, **FIRST, arguments=":1}"),
        part(0, **SECOND, arguments='{"n":'),
        part(0, **SECOND, arguments="2}"),
    ],
    "told apart by ids alone": [
        part(**FIRST),
        part(**SECOND),
        part(id="a", arguments=ONE),
        part(id="b", arguments=OTHER),
    ],
    "a new id for each piece": [
        part(0, **FIRST, arguments='{"q"'),
        part(0, id="x", arguments=":1}"),
        part(1, **SECOND, arguments=OTHER),
    ],
    "one id for all": [
        part(0, id="x", name="find", arguments=ONE),
        part(1, id="x", name="ring", arguments=OTHER),
    ],
    "one id and place for all": [
        part(0, id="x", name="find", arguments=ONE),
        part(0, id="x", name="ring", arguments=OTHER),
    ],
    "names in pieces": [
        part(0, id="a", name="fi"),
        part(0, name="nd"),
        part(0, arguments=ONE),
        part(1, id="b", name="r"),
        part(1, name="in"),
        part(1, name="g", arguments=OTHER),
    ],
    "names that grow": [
        part(0, id="a", name="fi"),
        part(0, id="a", name="find"),
        part(0, id="a", name="find", arguments=ONE),
        part(1, **SECOND, arguments=OTHER),
    ],
    "the id late": [
        part(0, name="find"),
        part(0, id="a"),
        part(0, arguments=ONE),
        part(1, **SECOND, arguments=OTHER),
    ],
    "objects": [part(0, **FIRST, arguments={"q": 1}), part(1, **SECOND, arguments={"n": 2})],
    "said twice": [
        part(0, **FIRST, arguments=ONE),
        part(0, **FIRST, arguments=ONE),
        part(1, **SECOND, arguments=OTHER),
    ],
    "objects said twice": [
        part(0, **FIRST, arguments={"q": 1}),
        part(0, **FIRST, arguments={"q": 1}),
        part(1, **SECOND, arguments={"n": 2}),
    ],
    "flat": [
        {"id": "a", "name": "find", "arguments": {"q": 1}},
        {"id": "b", "type": "function", "name": "ring", "parameters": {"n": 2}},
    ],
    "with empty ones between": [
        part(0, **FIRST, arguments=ONE),
        part(1),
        part(0, id="", name="", arguments=""),
        part(1, **SECOND, arguments=OTHER),
    ],
}


@pytest.mark.parametrize("deltas", SHAPES.values(), ids=SHAPES)
def test_two_calls_are_two_and_leave_numbered_from_0(deltas: list[Any]) -> None:
    assert told(*deltas) == TWO


@pytest.mark.parametrize("arguments", [None, "", {}, "{}"])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    assert told(part(0, "a", "hang_up", arguments), part(1, **SECOND, arguments=OTHER)) == [
        ("hang_up", "{}"),
        TWO[1],
    ]


def test_arguments_are_json_never_pythons() -> None:
    given = {"a": None, "b": True, "c": ["é", 'x"']}
    assert told(part(0, "a", "f", given)) == [("f", '{"a":null,"b":true,"c":["é","x\\""]}')]


def test_braces_in_texts_end_no_arguments() -> None:
    pieces = ['{"q": "}', '{\\"", "r": {', '"s": "\\\\"}}']
    deltas = [part(0, **FIRST), *(part(0, arguments=piece) for piece in pieces)]
    assert told(*deltas, part(0, **SECOND, arguments=OTHER)) == [("find", "".join(pieces)), TWO[1]]


def test_what_is_unknown_in_a_call_goes_with_it() -> None:
    signature = {"google": {"thought_signature": "c2ln"}}
    (call,) = called(
        part(0, **FIRST, extra_content=signature),
        part(0, arguments=ONE),
        {"index": 0, "function": {"arguments": "", "strict": True}, "extra_content": {"other": 1}},
    )
    assert call == {
        "id": "a",
        "type": "function",
        "function": {"name": "find", "arguments": ONE, "strict": True},
        "extra_content": {**signature, "other": 1},
    }


def test_what_is_unknown_is_joined_however_deep_and_told_once() -> None:
    signed: dict[str, Any] = {"extra_content": {"google": {"thought_signature": "c2ln", "of": {"a": [1]}}}}
    more: dict[str, Any] = {"extra_content": {"google": {"thought": True, "of": {"b": None}}}}
    again = [part(0, arguments=" ", **each) for each in (signed, more) * 3]
    deltas = [part(0, **FIRST, arguments="{", **signed), part(0, arguments="", **more), *again]
    (call,) = called(*deltas, part(0, arguments="}"))
    assert call["extra_content"] == {
        "google": {"thought_signature": "c2ln", "of": {"a": [1], "b": None}, "thought": True}
    }
    calls = Calls()
    assert [piece.rest for delta in deltas for piece in calls.read([delta])] == [signed, more, *[{}] * 6]


@pytest.mark.parametrize(
    "deltas",
    [
        [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "select } 1"}}],
        [
            {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}},
            {"index": 0, "custom": {"input": "select } "}},
            {"index": 0, "custom": {"input": "1"}},
        ],
        [{"id": "a", "type": "custom", "name": "sql", "input": "select } 1"}],
    ],
)
def test_a_custom_tools_input_is_its_own(deltas: list[Part]) -> None:
    assert called(*deltas) == [
        {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "select } 1"}}
    ]


def test_a_name_without_end_is_no_name() -> None:
    with pytest.raises(Exception, match="no answer"):
        called(*[part(0, "a", f"x{number}") for number in range(2_000)])
