"""Tools, calls of the past and odd texts in the other dialects' requests."""

from typing import Any

import pytest

from workers.providers.anthropic_request import to_anthropic
from workers.providers.ernie_request import to_ernie
from workers.providers.messages import SILENCE
from workers.providers.yandex_request import to_yandex

HI = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
NAMED = {"type": "function", "function": {"name": "f"}}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **fields}


def calling(arguments: Any, call_id: str = "c") -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result(text: Any = "20 °C", call_id: str = "c") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def said(role: str, text: Any) -> dict[str, Any]:
    return {"role": role, "content": text}


CHOICES: list[tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any] | None]] = [
    # the choice, Anthropic's, YandexGPT's, ERNIE's; None where no tools may be sent
    ("auto", {"type": "auto"}, {}, {}),
    (None, {"type": "auto"}, {}, {}),
    ({"type": "auto"}, {"type": "auto"}, {}, {}),
    ("required", {"type": "any"}, {"toolChoice": {"mode": "REQUIRED"}}, {}),
    ({"type": "required"}, {"type": "any"}, {"toolChoice": {"mode": "REQUIRED"}}, {}),
    ({"type": "any"}, {"type": "any"}, {"toolChoice": {"mode": "REQUIRED"}}, {}),
    (NAMED, {"type": "tool", "name": "f"}, {"toolChoice": {"functionName": "f"}}, {"tool_choice": NAMED}),
    (
        {"type": "function", "name": "f"},
        {"type": "tool", "name": "f"},
        {"toolChoice": {"functionName": "f"}},
        {"tool_choice": NAMED},
    ),
    ("none", {"type": "none"}, {}, None),
    ({"type": "none"}, {"type": "none"}, {}, None),
]


@pytest.mark.parametrize(("choice", "anthropic", "yandex", "ernie"), CHOICES)
def test_the_choice_of_tools(
    choice: Any, anthropic: dict[str, Any], yandex: dict[str, Any], ernie: dict[str, Any] | None
) -> None:
    request = body(HI, tools=TOOLS, tool_choice=choice)
    assert to_anthropic(request)["tool_choice"] == anthropic
    assert to_anthropic(request)["tools"] == [{"name": "f", "input_schema": SCHEMA}]
    others = to_yandex(request, "d")
    assert {key: others[key] for key in ("toolChoice",) if key in others} == yandex
    asked = to_ernie(request)
    assert {key: asked[key] for key in ("tool_choice",) if key in asked} == (ernie or {})
    assert ("functions" in asked) is ("tools" in others) is (ernie is not None)


def test_no_choice_is_sent_where_there_is_nothing_to_choose_from() -> None:
    for fields in ({"tool_choice": NAMED}, {"tool_choice": "required", "tools": []}):
        request = body(HI, **fields)
        assert not {"tools", "tool_choice"} & to_anthropic(request).keys()
        assert not {"tools", "toolChoice"} & to_yandex(request, "d").keys()
        assert not {"functions", "tool_choice"} & to_ernie(request).keys()


def test_calls_of_the_past_name_their_tool_where_the_request_names_none() -> None:
    asked = to_anthropic(body(HI, calling("{}"), result(), tool_choice="auto"))
    assert asked["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert asked["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("arguments", "given", "text"),
    [
        ('{"x": 1}', {"x": 1}, '{"x": 1}'),
        ('{"x": {"y": []}}', {"x": {"y": []}}, '{"x": {"y": []}}'),
        ({"x": 1}, {"x": 1}, '{"x":1}'),
        ("", {}, "{}"),
        (None, {}, "{}"),
        ("null", {}, "{}"),
        ("Moscow", {"input": "Moscow"}, '{"input":"Moscow"}'),
        ('{"x": 1', {"input": '{"x": 1'}, '{"input":"{\\"x\\": 1"}'),
        ('{"x": 1}{"x": 2}', {"input": '{"x": 1}{"x": 2}'}, '{"input":"{\\"x\\": 1}{\\"x\\": 2}"}'),
        ("[1, 2]", {"input": [1, 2]}, '{"input":[1,2]}'),
        ("7", {"input": 7}, '{"input":7}'),
        ('"a"', {"input": "a"}, '{"input":"a"}'),
        ('{"x": NaN}', {"x": None}, '{"x":null}'),
    ],
)
def test_arguments_of_the_past_are_an_object_whatever_a_model_wrote(
    arguments: Any, given: dict[str, Any], text: str
) -> None:
    request = body(HI, calling(arguments), result(), tools=TOOLS)
    assert to_anthropic(request)["messages"][1]["content"][0]["input"] == given
    calls = to_yandex(request, "d")["messages"][1]["toolCallList"]["toolCalls"]
    assert calls[0]["functionCall"]["arguments"] == given
    assert to_ernie(request)["messages"][1]["function_call"]["arguments"] == text


def test_results_stand_before_the_users_words() -> None:
    """Anthropic refuses a message in which anything stands before the results of the calls."""
    asked = to_anthropic(body(HI, calling("{}"), said("user", "Hurry"), result(), tools=TOOLS))
    assert asked["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c", "content": "20 °C"},
        {"type": "text", "text": "Hurry"},
    ]


def test_a_result_of_nothing_is_one() -> None:
    request = body(HI, calling("{}"), result(""), tools=TOOLS)
    results = to_anthropic(request)["messages"][2]["content"]
    assert results == [{"type": "tool_result", "tool_use_id": "c", "content": ""}]
    (told,) = to_yandex(request, "d")["messages"][2]["toolResultList"]["toolResults"]
    assert told == {"functionResult": {"name": "f", "content": ""}}
    assert to_ernie(request)["messages"][2] == {"role": "function", "name": "f", "content": SILENCE}


@pytest.mark.parametrize("call_id", ["functions.f:0", "call|1", "звонок", ""])
def test_ids_of_other_models_are_written_in_anthropics_letters(call_id: str) -> None:
    asked = to_anthropic(body(HI, calling("{}", call_id), result("x", call_id), tools=TOOLS))
    call, told = asked["messages"][1]["content"][0], asked["messages"][2]["content"][0]
    assert call["id"] == told["tool_use_id"]
    assert call["id"].isascii()
    assert call["id"].replace("_", "").replace("-", "").isalnum() or set(call["id"]) == {"_"}


def test_two_ids_stay_two() -> None:
    one, other = calling("{}", "call.1"), calling("{}", "call:1")
    asked = to_anthropic(body(HI, one, result("a", "call.1"), other, result("b", "call:1"), tools=TOOLS))
    blocks = [block for message in asked["messages"] for block in message["content"]]
    calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    assert calls == results
    assert len(set(calls)) == 2


def test_a_system_message_in_the_middle_goes_to_the_head() -> None:
    request = body(said("system", "A"), HI, said("system", "B"), said("assistant", "Hello"), HI)
    assert to_anthropic(request)["system"] == to_ernie(request)["system"] == "A\n\nB"
    assert to_yandex(request, "d")["messages"][0] == {"role": "system", "text": "A\n\nB"}
    for asked in (to_anthropic(request), to_ernie(request)):
        assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("empty", ["", "  \n", None, [], [{"type": "text", "text": ""}]])
def test_who_says_nothing_is_silent_and_lets_no_words_be_gone_on_with(empty: Any) -> None:
    """Without the last message the assistant's before it would be a prefill."""
    request = body(HI, said("assistant", "Hello."), said("user", empty))
    last = to_anthropic(request)["messages"][-1]
    assert last == {"role": "user", "content": [{"type": "text", "text": SILENCE}]}
    assert to_ernie(request)["messages"][-1] == said("user", SILENCE)
    assert to_yandex(request, "d")["messages"][-1] == {"role": "user", "text": SILENCE}


def test_empty_texts_of_the_past_are_left_out() -> None:
    request = body(HI, said("assistant", " "), said("user", ""), said("user", "Go on"))
    words = [block["text"] for message in to_anthropic(request)["messages"] for block in message["content"]]
    assert words == ["Hi", "Go on"]
    assert [message["text"] for message in to_yandex(request, "d")["messages"]] == ["Hi", "Go on"]


def test_a_system_prompt_alone_is_answered() -> None:
    request = body(said("system", "A"))
    assert to_anthropic(request)["messages"] == [said("user", [{"type": "text", "text": SILENCE}])]
    assert to_yandex(request, "d")["messages"][1:] == [{"role": "user", "text": SILENCE}]
    assert to_ernie(request)["messages"] == [said("user", SILENCE)]


def test_a_refusal_of_the_past_is_text() -> None:
    parts = [{"type": "refusal", "refusal": "I can't do that."}]
    asked = to_anthropic(body(HI, said("assistant", parts), HI))
    assert asked["messages"][1]["content"] == [{"type": "text", "text": "I can't do that."}]


def test_stops_of_blanks_are_refused_by_anthropic_and_left_out() -> None:
    assert to_anthropic(body(HI, stop=["\n", "", "END"]))["stop_sequences"] == ["END"]
    assert "stop_sequences" not in to_anthropic(body(HI, stop="\n\n"))


ERNIES = {
    "disable_search": True,
    "enable_citation": False,
    "enable_trace": True,
    "penalty_score": 1.5,
    "max_output_tokens": 64,
    "min_output_tokens": 2,
}


def test_what_only_ernie_knows_goes_to_it_and_to_nobody_else() -> None:
    asked = to_ernie(body(HI, **ERNIES, top_p=0.3, stop="END", frequency_penalty=1, seed=4))
    assert asked == {"messages": [HI], "stream": True, **ERNIES, "top_p": 0.3, "stop": ["END"]}
    for others in (to_anthropic(body(HI, **ERNIES)), to_yandex(body(HI, **ERNIES), "d")):
        assert not ERNIES.keys() & others.keys()
    assert to_ernie(body(HI, **dict.fromkeys(ERNIES))) == {"messages": [HI], "stream": True}


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"maxTokens": 9}, {"maxTokens": "9"}),
        ({"maxTokens": "9"}, {"maxTokens": "9"}),
        ({"max_tokens": 7, "maxTokens": 9}, {"maxTokens": "7"}),
        (
            {"completionOptions": {"maxTokens": "9", "temperature": 0.2}},
            {"maxTokens": "9", "temperature": 0.2},
        ),
        ({"completionOptions": {"temperature": 0.2}, "temperature": 0}, {"temperature": 0}),
        ({"completionOptions": {"stream": False}}, {}),
        ({"completionOptions": "x"}, {}),
        ({"temperature": 2}, {"temperature": 1}),
        (
            {"reasoningOptions": {"mode": "ENABLED_HIDDEN"}},
            {"reasoningOptions": {"mode": "ENABLED_HIDDEN"}},
        ),
        (
            {"completionOptions": {"reasoningOptions": {"mode": "DISABLED"}}},
            {"reasoningOptions": {"mode": "DISABLED"}},
        ),
    ],
)
def test_yandexs_options(fields: dict[str, Any], options: dict[str, Any]) -> None:
    assert to_yandex(body(HI, **fields), "d")["completionOptions"] == {**options, "stream": True}


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}, {"schema": SCHEMA}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}},
            {"schema": SCHEMA},
        ),
        ({"type": "text"}, None),
        (None, None),
    ],
)
def test_yandexs_schema(form: Any, asked: Any) -> None:
    assert to_yandex(body(HI, response_format=form), "d").get("jsonSchema") == asked
