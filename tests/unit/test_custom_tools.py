"""Custom tools in the dialects that know functions alone: asked as functions, given back as custom calls."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from common.events import LaneStarted, ToolPart
from common.net.sse import ServerEvent
from common.turn.lane_state import LaneState
from workers.providers import anthropic, ernie, yandex
from workers.providers.anthropic_request import to_anthropic
from workers.providers.base import Finish, StreamPart, ToolCallDelta, UpstreamError
from workers.providers.custom_tools import CustomCalls
from workers.providers.ernie_request import to_ernie
from workers.providers.yandex_request import to_yandex

HI = {"role": "user", "content": "Hi"}
SQL = {"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}
FLAT = {"type": "custom", "name": "sql", "description": "Runs a query."}
UNTYPED = {"custom": {"name": "sql", "description": "Runs a query."}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
FORM = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
QUERY = 'select "}" -- {\n\tfrom täble 🙂'


def body(*tools: dict[str, Any], messages: Iterable[dict[str, Any]] = (HI,), **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), "tools": list(tools), **fields}


@pytest.mark.parametrize("tool", [SQL, FLAT, UNTYPED], ids=["nested", "flat", "untyped"])
def test_a_custom_tool_is_a_function_of_one_text(tool: dict[str, Any]) -> None:
    asked = body(tool, WEATHER)
    named = {"name": "sql", "description": "Runs a query."}
    assert to_anthropic(asked)["tools"][0] == {**named, "input_schema": FORM}
    assert to_yandex(asked, "d")["tools"][0] == {"function": {**named, "parameters": FORM}}
    assert to_ernie(asked)["functions"][0] == {**named, "parameters": FORM}
    assert len(to_anthropic(asked)["tools"]) == len(to_ernie(asked)["functions"]) == 2


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "grammar"}, None),
        ({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}, "(lark):\nstart: X"),
        ({"type": "grammar", "syntax": "lark", "definition": "start: X"}, "(lark):\nstart: X"),
        ({"type": "grammar", "grammar": {"syntax": "regex", "definition": "[a-z]+"}}, "expression: [a-z]+"),
    ],
)
def test_a_grammar_is_told_in_words(form: Any, words: str | None) -> None:
    (tool,) = to_anthropic(body({"type": "custom", "custom": {"name": "sql", "format": form}}))["tools"]
    told = tool["input_schema"]["properties"]["input"].get("description")
    assert told is None if words is None else told.endswith(words)


@pytest.mark.parametrize(
    "choice", [{"type": "custom", "custom": {"name": "sql"}}, {"type": "custom", "name": "sql"}]
)
def test_a_custom_tool_can_be_demanded(choice: dict[str, Any]) -> None:
    asked = body(SQL, WEATHER, tool_choice=choice)
    assert to_anthropic(asked)["tool_choice"] == {"type": "tool", "name": "sql"}
    assert to_yandex(asked, "d")["toolChoice"] == {"functionName": "sql"}
    assert to_ernie(asked)["tool_choice"] == {"type": "function", "function": {"name": "sql"}}


@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("flat", [False, True])
def test_of_all_tools_only_those_that_are_allowed_are_offered(mode: str, flat: bool) -> None:
    allowed = {"mode": mode, "tools": [{"type": "custom", "custom": {"name": "sql"}}]}
    choice = {"type": "allowed_tools", **(allowed if flat else {"allowed_tools": allowed})}
    asked = body(WEATHER, SQL, tool_choice=choice)
    assert [tool["name"] for tool in to_anthropic(asked)["tools"]] == ["sql"]
    assert to_anthropic(asked)["tool_choice"] == {"type": "any" if mode == "required" else "auto"}
    assert [tool["function"]["name"] for tool in to_yandex(asked, "d")["tools"]] == ["sql"]
    assert [function["name"] for function in to_ernie(asked)["functions"]] == ["sql"]


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c", "type": "custom", "custom": {"name": "sql", "input": QUERY}},
        {"id": "c", "type": "custom", "function": None, "custom": {"name": "sql", "input": QUERY}},
        {"id": "c", "custom": {"name": "sql", "input": QUERY}, "extra_content": {"x": 1}},
        {"id": "c", "type": "custom", "name": "sql", "input": QUERY},
    ],
)
def test_a_custom_call_of_the_past_is_a_functions(call: dict[str, Any]) -> None:
    result = {"role": "tool", "tool_call_id": "c", "content": "7 rows"}
    asked = body(SQL, messages=[HI, {"role": "assistant", "content": None, "tool_calls": [call]}, result])
    use, told = to_anthropic(asked)["messages"][1:]
    assert use["content"] == [{"type": "tool_use", "id": "c", "name": "sql", "input": {"input": QUERY}}]
    assert told["content"] == [{"type": "tool_result", "tool_use_id": "c", "content": "7 rows"}]
    (given,) = to_yandex(asked, "d")["messages"][1]["toolCallList"]["toolCalls"]
    assert given == {"functionCall": {"name": "sql", "arguments": {"input": QUERY}}}
    function = to_ernie(asked)["messages"][1]["function_call"]
    assert function["name"] == "sql"
    assert orjson.loads(function["arguments"]) == {"input": QUERY}


def test_a_custom_call_without_input_has_an_empty_one() -> None:
    for call in ({"name": "ping", "input": None}, {"name": "ping"}):
        told = {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": call}]}
        (use,) = to_anthropic(body(messages=[HI, told]))["messages"][1]["content"]
        assert use["input"] == {"input": ""}


# What comes back.


def calls_in(pieces: Iterable[StreamPart]) -> list[dict[str, Any]]:
    """The calls as a client gets them."""
    state, at = LaneState("full"), dict[int, int]()
    state.apply(LaneStarted("t", "full", 1, "w"))
    for piece in pieces:
        if isinstance(piece, ToolCallDelta):
            part = (piece.index, at.get(piece.index, 0), piece.id, piece.name, piece.arguments, 0, piece.rest)
            state.apply(ToolPart("t", "full", 1, *part))
            at[piece.index] = at.get(piece.index, 0) + len(piece.arguments)
    return [{**call.whole(), "id": ""} for call in state.calls.values()]


CUSTOM = {"id": "", "type": "custom", "custom": {"name": "sql", "input": QUERY}}
FUNCTION = {"id": "", "type": "function", "function": {"name": "weather", "arguments": '{"input":"x"}'}}


def event(value: dict[str, Any]) -> ServerEvent:
    return ServerEvent(orjson.dumps(value))


def test_anthropics_call_of_a_custom_tool() -> None:
    answer, customs = anthropic._Answer(), CustomCalls(body(SQL, WEATHER))
    given = orjson.dumps({"input": QUERY}).decode()

    def block(index: int, name: str, *parts: str) -> list[dict[str, Any]]:
        start = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        return [
            {"type": "content_block_start", "index": index, "content_block": start},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    told = [*block(0, "sql", *given), *block(1, "weather", '{"input":', '"x"}'), *block(2, "sql")]
    ending: list[dict[str, Any]] = [
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    pieces = [piece for each in (*told, *ending) for piece in customs.told(answer.read(event(each)))]
    assert calls_in(pieces) == [CUSTOM, FUNCTION, {**CUSTOM, "custom": {"name": "sql", "input": ""}}]
    signs = [piece for piece in pieces if isinstance(piece, ToolCallDelta) and piece.index == 0]
    assert len(signs) > len(given)  # while an input is held back, it shows that it comes
    assert Finish("tool_calls") in pieces


def test_yandexs_and_ernies_call_of_a_custom_tool() -> None:
    calls = [
        {"functionCall": {"name": "sql", "arguments": {"input": QUERY}}},
        {"functionCall": {"name": "weather", "arguments": {"input": "x"}}},
    ]
    message = {"role": "assistant", "toolCallList": {"toolCalls": calls}}
    line = orjson.dumps({"alternatives": [{"message": message, "status": "ALTERNATIVE_STATUS_TOOL_CALLS"}]})
    customs = CustomCalls(body(SQL, WEATHER))
    assert calls_in(customs.told(yandex._Answer().read(line))) == [CUSTOM, FUNCTION]
    call = {"name": "sql", "arguments": orjson.dumps({"input": QUERY}).decode()}
    told = event({"result": "", "is_end": True, "finish_reason": "function_call", "function_call": call})
    assert calls_in(CustomCalls(body(FLAT)).told(ernie.ErnieAnswer().read(told))) == [CUSTOM]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "a"}', "a"),
        ('{"input": ""}', ""),
        ("{}", ""),
        ("", ""),
        ("null", ""),
        ('{"input": null}', ""),
        ('{"query": "a"}', "a"),
        ('{"input": "a", "why": "b"}', "a"),
        ('{"a": "x", "b": "y"}', '{"a":"x","b":"y"}'),
        ('{"input": {"a": 1}}', '{"a":1}'),
        ('{"input": ["a", 1]}', '["a",1]'),
        ('{"input": 7}', "7"),
        ('"a"', "a"),
        ("[1]", "[1]"),
        ("select 1", "select 1"),
        ('{"input": "sel', '{"input": "sel'),
        ('{"input": "\\ud83d\\ude42"}', "🙂"),
    ],
)
def test_the_text_that_was_meant_is_found(arguments: str, text: str) -> None:
    pieces = [ToolCallDelta(0, "a", "sql", ""), *(ToolCallDelta(0, "", "", char) for char in arguments)]
    (call,) = calls_in(CustomCalls(body(SQL)).told(iter([*pieces, Finish("tool_calls")])))
    assert call["custom"] == {"name": "sql", "input": text}


def test_functions_stay_as_they_are() -> None:
    pieces: list[StreamPart] = [ToolCallDelta(0, "a", "weather", '{"input": "x"}'), Finish("tool_calls")]
    named_alike = {"type": "function", "function": {"name": "sql"}}
    for tools in ([WEATHER], [SQL, WEATHER], []):
        assert list(CustomCalls(body(*tools)).told(iter(pieces))) == pieces
    (call,) = calls_in(CustomCalls(body(SQL, named_alike)).told(iter([ToolCallDelta(0, "a", "sql", "{}")])))
    assert call["type"] == "function"


def test_an_input_without_end_is_no_answer() -> None:
    pieces = [ToolCallDelta(0, "a", "sql", ""), *[ToolCallDelta(0, "", "", "x" * 1_000)] * 2_000]
    with pytest.raises(UpstreamError, match="no answer"):
        list(CustomCalls(body(SQL)).told(iter(pieces)))
