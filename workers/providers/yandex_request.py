"""Translates OpenAI requests to YandexGPT's own API.

Sources: https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion,
https://yandex.cloud/en/docs/foundation-models/operations/yandexgpt/function-call
"""

from typing import Any

from workers.providers.messages import (
    SILENCE,
    Message,
    forced_function,
    function_of,
    functions_of,
    input_of,
    may_call,
    most_tokens,
    must_call,
    names_of_calls,
    split_system,
    text_of,
    without_prefill,
)
from workers.providers.values import dict_in


def to_yandex(body: dict[str, Any], folder: str) -> dict[str, Any]:
    """Translate a request. Raises ValueError, TypeError, LookupError or AttributeError if it is malformed."""
    # Its own options are sent as they came; OpenAI's words for them go before.
    options: dict[str, Any] = {**dict_in(body.get("completionOptions")), "stream": True}
    if reasoning := body.get("reasoningOptions"):
        options["reasoningOptions"] = reasoning
    if body.get("temperature") is not None:
        options["temperature"] = min(body["temperature"], 1)
    if limit := most_tokens(body):
        options["maxTokens"] = str(limit)  # an int64 of protobuf is a text in JSON
    asked: dict[str, Any] = {
        "modelUri": _model_uri(body["model"], folder),
        "completionOptions": options,
        "messages": _messages(body["messages"]),
    }
    if may_call(body) and (functions := functions_of(body)):
        asked["tools"] = [{"function": _function(function)} for function in functions]
        asked |= _choice(body)
    return asked | _form(body.get("response_format") or {})


def _model_uri(model: str, folder: str) -> str:
    """Return a model's URI: its full name `gpt://<folder>/<model>`, or its name in the upstream's folder."""
    return model if "://" in model or not folder else f"gpt://{folder}/{model}"


def _messages(messages: list[Message]) -> list[Message]:
    names = names_of_calls(messages)
    # What the API makes of a text of the assistant's at the end is not documented.
    system, others = split_system(without_prefill(messages))
    said: list[Message] = [{"role": "system", "text": system}] if system else []
    for message in others:
        if message["role"] == "tool":
            result = {"name": names[message["tool_call_id"]], "content": text_of(message.get("content"))}
            _add_result(said, {"functionResult": result})
            continue
        text = text_of(message.get("content"))
        if not text.strip() and message["role"] == "user" and message is others[-1]:
            text = SILENCE  # an empty text is refused, and the user's must be there
        if text.strip():
            said.append({"role": message["role"], "text": text})
        if calls := message.get("tool_calls"):
            said.append({"role": "assistant", "toolCallList": {"toolCalls": [_call(call) for call in calls]}})
    return said if others else [*said, {"role": "user", "text": SILENCE}]


def _add_result(said: list[Message], result: dict[str, Any]) -> None:
    """Add a result; those of one message's calls go into one list."""
    if said and "toolResultList" in said[-1]:
        said[-1]["toolResultList"]["toolResults"].append(result)
    else:
        said.append({"role": "assistant", "toolResultList": {"toolResults": [result]}})


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = function_of(call)
    return {"functionCall": {"name": function["name"], "arguments": input_of(function.get("arguments"))}}


def _function(function: dict[str, Any]) -> dict[str, Any]:
    return {key: function[key] for key in ("name", "description", "parameters", "strict") if key in function}


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if name := forced_function(body):
        chosen["toolChoice"] = {"functionName": name}
    elif must_call(body):
        chosen["toolChoice"] = {"mode": "REQUIRED"}
    if body.get("parallel_tool_calls") is False:
        chosen["parallelToolCalls"] = False
    return chosen


def _form(wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted.get("type") == "json_object":
        return {"jsonObject": True}
    if wanted.get("type") == "json_schema":
        return {"jsonSchema": {"schema": wanted["json_schema"]["schema"]}}
    return {}
