"""Translates OpenAI requests to ERNIE's: user and assistant alternate, the user first and last.

A message has at most one call.
Source: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy
"""

from collections.abc import Iterator
from typing import Any

from workers.providers.messages import (
    SILENCE,
    Message,
    arguments_of,
    forced_function,
    function_of,
    functions_of,
    may_call,
    most_tokens,
    split_system,
    stops_of,
    text_of,
    without_prefill,
)

_LEAST_TEMPERATURE = 0.01  # it must be over 0
_LEAST_TOKENS = 2
_MOST_STOPS = 4
_MOST_STOP_CHARS = 20
_OWN = (  # what only ERNIE knows goes as it came
    "disable_search",
    "enable_citation",
    "enable_trace",
    "enable_system_memory",
    "system_memory_id",
    "penalty_score",
    "max_output_tokens",
    "min_output_tokens",
)


def to_ernie(body: dict[str, Any]) -> dict[str, Any]:
    """Translate a request. Raises ValueError, TypeError, LookupError or AttributeError if it is malformed."""
    system, messages = split_system(without_prefill(body["messages"]))
    asked: dict[str, Any] = {"messages": _in_turns(_said(messages)), "stream": True}
    if system:
        asked["system"] = system
    if body.get("temperature") is not None:
        asked["temperature"] = min(max(body["temperature"], _LEAST_TEMPERATURE), 1)
    if body.get("top_p") is not None:
        asked["top_p"] = body["top_p"]
    if limit := most_tokens(body):
        asked["max_output_tokens"] = max(limit, _LEAST_TOKENS)
    if stops := [stop for stop in stops_of(body) if len(stop) <= _MOST_STOP_CHARS]:
        asked["stop"] = stops[:_MOST_STOPS]
    if may_call(body) and (functions := functions_of(body)):
        asked["functions"] = [_function(function) for function in functions]
        if name := forced_function(body):
            asked["tool_choice"] = {"type": "function", "function": {"name": name}}
    if (body.get("response_format") or {}).get("type") == "json_object":
        asked["response_format"] = "json_object"
    if body.get("user"):
        asked["user_id"] = str(body["user"])
    return asked | {name: body[name] for name in _OWN if body.get(name) is not None}


def _said(messages: list[Message]) -> Iterator[Message]:
    """Return the messages in ERNIE's roles: each call is followed by its own result."""
    results = {m["tool_call_id"]: text_of(m.get("content")) for m in messages if m["role"] == "tool"}
    for message in messages:
        text = text_of(message.get("content")).strip()
        if message["role"] != "tool" and (text or message["role"] == "user"):
            yield {"role": message["role"], "content": text or SILENCE}
        for call in message.get("tool_calls") or ():
            given = function_of(call)
            function = {"name": given["name"], "arguments": arguments_of(given.get("arguments"))}
            yield {"role": "assistant", "content": "", "function_call": function}
            result = results.get(call["id"]) or SILENCE
            yield {"role": "function", "name": function["name"], "content": result}


def _in_turns(said: Iterator[Message]) -> list[Message]:
    """Join consecutive messages of one side; where that can't be, put a silent one between them."""
    turns: list[Message] = []
    for message in said:
        assistant = message["role"] == "assistant"
        if not turns:
            if assistant:
                turns.append({"role": "user", "content": SILENCE})
        elif (turns[-1]["role"] == "assistant") is assistant:
            if turns[-1].keys() == message.keys() == {"role", "content"}:
                turns[-1]["content"] += "\n" + message["content"]
                continue
            turns.append({"role": "user" if assistant else "assistant", "content": SILENCE})
        turns.append(message)
    if not turns or turns[-1]["role"] == "assistant":
        turns.append({"role": "user", "content": SILENCE})
    return turns


def _function(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function.get("description") or function["name"],
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
    }
