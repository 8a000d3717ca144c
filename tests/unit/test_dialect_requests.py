"""OpenAI requests in the other dialects."""

from typing import Any

import pytest

from common.tenants.dialects import split_dialect
from workers.providers.anthropic_request import to_anthropic
from workers.providers.ernie_request import to_ernie
from workers.providers.messages import SILENCE
from workers.providers.yandex_request import to_yandex

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": PARAMETERS}}]


def said(role: str, text: Any) -> dict[str, Any]:
    return {"role": role, "content": text}


def call(*ids: str) -> dict[str, Any]:
    calls = [
        {"id": each, "type": "function", "function": {"name": f"f{each}", "arguments": '{"x": 1}'}}
        for each in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(each: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": each, "content": f"r{each}"}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **fields}


HI = said("user", "Hi")


class TestErnie:
    def test_system_and_options(self) -> None:
        asked = to_ernie(
            body(
                said("system", "A"),
                HI,
                said("developer", "B"),
                temperature=0,
                top_p=0.5,
                max_tokens=1,
                stop=["x", "y" * 21, "1", "2", "3", "4"],
                user="u",
                response_format={"type": "json_object"},
            )
        )
        assert asked == {
            "messages": [HI],
            "stream": True,
            "system": "A\n\nB",
            "temperature": 0.01,
            "top_p": 0.5,
            "max_output_tokens": 2,
            "stop": ["x", "1", "2", "3"],
            "user_id": "u",
            "response_format": "json_object",
        }
        assert to_ernie(body(HI, temperature=1.7))["temperature"] == 1

    @pytest.mark.parametrize(
        ("messages", "roles"),
        [
            ([HI], ["user"]),
            ([HI, said("user", "again")], ["user"]),
            ([said("assistant", "Good day"), HI], ["user", "assistant", "user"]),
            ([HI, said("assistant", "a"), said("assistant", "b"), HI], ["user", "assistant", "user"]),
            ([said("system", "s")], ["user"]),
            ([HI, said("assistant", ""), HI], ["user"]),
            ([HI, call("1"), result("1")], ["user", "assistant", "function"]),
            (
                [HI, call("1", "2"), result("1"), result("2")],
                ["user", "assistant", "function", "assistant", "function"],
            ),
            (
                [HI, call("1"), result("1"), HI],
                ["user", "assistant", "function", "assistant", "user"],
            ),
            ([HI, call("1")], ["user", "assistant", "function"]),
        ],
    )
    def test_the_sides_take_turns(self, messages: list[dict[str, Any]], roles: list[str]) -> None:
        asked = to_ernie(body(*messages))["messages"]
        assert [message["role"] for message in asked] == roles
        assert all(message["content"].strip() or "function_call" in message for message in asked)

    def test_each_call_is_followed_by_its_result(self) -> None:
        asked = to_ernie(body(HI, call("1", "2"), result("2"), result("1")))["messages"]
        assert asked[1] == {
            "role": "assistant",
            "content": "",
            "function_call": {"name": "f1", "arguments": '{"x": 1}'},
        }
        assert asked[2] == {"role": "function", "name": "f1", "content": "r1"}
        assert asked[4] == {"role": "function", "name": "f2", "content": "r2"}

    def test_what_was_said_is_a_note(self) -> None:
        asked = to_ernie(body(said("system", "A"), HI, said("assistant", "We open")))
        assert asked["messages"] == [HI]
        assert asked["system"].startswith("A\n\n")
        assert "We open" in asked["system"]

    def test_functions(self) -> None:
        asked = to_ernie(
            body(HI, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "weather"}})
        )
        assert asked["functions"] == [{"name": "weather", "description": "d", "parameters": PARAMETERS}]
        assert asked["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
        assert "functions" not in to_ernie(body(HI, tools=TOOLS, tool_choice="none"))


class TestYandex:
    def test_model_and_options(self) -> None:
        asked = to_yandex(
            body(said("system", "A"), HI, said("system", "B"), temperature=1.5, max_completion_tokens=7), "f"
        )
        assert asked == {
            "modelUri": "gpt://f/m",
            "completionOptions": {"stream": True, "temperature": 1, "maxTokens": "7"},
            "messages": [{"role": "system", "text": "A\n\nB"}, {"role": "user", "text": "Hi"}],
        }
        assert to_yandex({**body(HI), "model": "gpt://g/x/rc"}, "f")["modelUri"] == "gpt://g/x/rc"

    def test_calls_and_their_results(self) -> None:
        asked = to_yandex(body(HI, call("1", "2"), result("1"), result("2"), tools=TOOLS), "f")
        calls = [{"functionCall": {"name": f"f{each}", "arguments": {"x": 1}}} for each in "12"]
        results = [{"functionResult": {"name": f"f{each}", "content": f"r{each}"}} for each in "12"]
        assert asked["messages"][1:] == [
            {"role": "assistant", "toolCallList": {"toolCalls": calls}},
            {"role": "assistant", "toolResultList": {"toolResults": results}},
        ]
        assert asked["tools"] == [{"function": TOOLS[0]["function"]}]

    @pytest.mark.parametrize(
        ("fields", "form"),
        [
            ({"tools": TOOLS, "tool_choice": "required"}, {"toolChoice": {"mode": "REQUIRED"}}),
            ({"tools": TOOLS, "parallel_tool_calls": False}, {"parallelToolCalls": False}),
            ({"response_format": {"type": "json_object"}}, {"jsonObject": True}),
            (
                {"response_format": {"type": "json_schema", "json_schema": {"schema": PARAMETERS}}},
                {"jsonSchema": {"schema": PARAMETERS}},
            ),
        ],
    )
    def test_choices_and_forms(self, fields: dict[str, Any], form: dict[str, Any]) -> None:
        assert form.items() <= to_yandex(body(HI, **fields), "f").items()

    def test_what_was_said_is_a_note(self) -> None:
        messages = to_yandex(body(HI, said("assistant", "We open")), "f")["messages"]
        assert [message["role"] for message in messages] == ["system", "user"]
        assert "We open" in messages[0]["text"]


class TestAnthropic:
    def test_system_and_options(self) -> None:
        asked = to_anthropic(body(said("system", "A"), HI, temperature=1.5, stop="x", user="u"))
        assert asked == {
            "model": "m",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "stream": True,
            "system": "A",
            "temperature": 1,
            "stop_sequences": ["x"],
            "metadata": {"user_id": "u"},
        }
        assert to_anthropic(body(HI, max_tokens=9))["max_tokens"] == 9

    def test_results_are_the_users_and_sides_are_merged(self) -> None:
        asked = to_anthropic(
            body(HI, said("assistant", "Well"), call("1", "2"), result("1"), result("2"), HI)
        )
        user, assistant, results = asked["messages"]
        assert [message["role"] for message in (user, assistant, results)] == ["user", "assistant", "user"]
        assert assistant["content"] == [
            {"type": "text", "text": "Well"},
            {"type": "tool_use", "id": "1", "name": "f1", "input": {"x": 1}},
            {"type": "tool_use", "id": "2", "name": "f2", "input": {"x": 1}},
        ]
        assert results["content"] == [
            {"type": "tool_result", "tool_use_id": "1", "content": "r1"},
            {"type": "tool_result", "tool_use_id": "2", "content": "r2"},
            {"type": "text", "text": "Hi"},
        ]

    def test_a_prefill_ends_in_no_space_and_the_user_is_first(self) -> None:
        asked = to_anthropic(body(said("assistant", "Good day"), HI, said("assistant", "We open ")))
        assert asked["messages"][0] == {"role": "user", "content": [{"type": "text", "text": SILENCE}]}
        assert asked["messages"][-1]["content"] == [{"type": "text", "text": "We open"}]

    def test_images(self) -> None:
        parts = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]
        asked = to_anthropic(body(said("user", parts)))["messages"][0]["content"]
        assert asked[1]["source"] == {"type": "url", "url": "https://x/y.png"}
        assert asked[2]["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}

    @pytest.mark.parametrize(
        ("fields", "choice"),
        [
            ({}, {"type": "auto"}),
            ({"tool_choice": "required"}, {"type": "any"}),
            (
                {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
                {"type": "tool", "name": "weather"},
            ),
            ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ],
    )
    def test_tools(self, fields: dict[str, Any], choice: dict[str, Any]) -> None:
        asked = to_anthropic(body(HI, tools=TOOLS, **fields))
        assert asked["tools"] == [{"name": "weather", "description": "d", "input_schema": PARAMETERS}]
        assert asked["tool_choice"] == choice


@pytest.mark.parametrize(
    ("url", "dialect", "address"),
    [
        ("https://api.openai.com/v1", "openai", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000/v1", "openai", "http://127.0.0.1:8000/v1"),
        ("models.local/v1", "openai", "models.local/v1"),
        ("ernie://", "ernie", ""),
        ("ernie://aip.baidubce.com", "ernie", "https://aip.baidubce.com"),
        ("ernie+http://127.0.0.1:1", "ernie", "http://127.0.0.1:1"),
        ("yandex:///b1gfolder", "yandex", "https:///b1gfolder"),
        ("litellm://", "litellm", ""),
    ],
)
def test_the_scheme_names_the_dialect(url: str, dialect: str, address: str) -> None:
    assert split_dialect(url) == (dialect, address)
