"""Translates OpenAI requests to Anthropic's Messages.

Sources: https://docs.anthropic.com/en/api/messages,
https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview
"""

import re
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
    split_system,
    stops_of,
    text_of,
)

_NOT_IN_IDS = re.compile("[^a-zA-Z0-9_-]")
_MAX_TOKENS = 4096  # Anthropic wants a limit; OpenAI's clients need not name one


def to_anthropic(body: dict[str, Any]) -> dict[str, Any]:
    """Translate a request. Raises ValueError, TypeError, LookupError or AttributeError if it is malformed."""
    system, messages = split_system(body["messages"])
    asked: dict[str, Any] = {
        "model": body["model"],
        "max_tokens": most_tokens(body) or _MAX_TOKENS,
        "messages": _merged(messages),
        "stream": True,
    }
    if system:
        asked["system"] = system
    if body.get("temperature") is not None:
        asked["temperature"] = min(body["temperature"], 1)
    if body.get("top_p") is not None:
        asked["top_p"] = body["top_p"]
    if stops := [stop for stop in stops_of(body) if stop.strip()]:  # blanks alone are refused
        asked["stop_sequences"] = stops
    if functions := functions_of(body) or _called(messages):
        asked["tools"] = [_tool(function) for function in functions]
        asked["tool_choice"] = _choice(body)
    if body.get("user"):
        asked["metadata"] = {"user_id": str(body["user"])}
    return asked


def _merged(messages: list[Message]) -> list[Message]:
    """Merge each side's consecutive messages, the user's first. Results of calls count as the user's."""
    turns: list[Message] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        if not (blocks := _blocks(message)):
            if role == "assistant" or message is not messages[-1]:
                continue  # nothing said, and an empty block is refused
            blocks = [_text(SILENCE)]  # else the assistant's words before would be a prefill
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": SILENCE}]})
    for turn in turns:
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")  # they must come first
    last = turns[-1]["content"][-1]
    if turns[-1]["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()  # a prefill that ends in a space is refused
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    content = message.get("content")
    if message["role"] == "tool":
        of = _id(message["tool_call_id"])
        return [{"type": "tool_result", "tool_use_id": of, "content": text_of(content)}]
    blocks = [_block(part) for part in content] if isinstance(content, list) else [_text(text_of(content))]
    for call in message.get("tool_calls") or ():
        function = function_of(call)
        given = input_of(function.get("arguments"))
        blocks.append({"type": "tool_use", "id": _id(call["id"]), "name": function["name"], "input": given})
    return [block for block in blocks if block.get("text") != ""]


def _block(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return _text(part["text"])
    if part["type"] == "refusal":
        return _text(part["refusal"])
    if part["type"] != "image_url":
        raise ValueError("no such part in Anthropic's dialect")
    url = part["image_url"]["url"]
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _id(call_id: str) -> str:
    """Return a call's id in the characters that Anthropic allows: other models' ids have dots and colons."""
    return _NOT_IN_IDS.sub(lambda other: f"_{ord(other[0]):x}_", call_id) or "_"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text if text.strip() else ""}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    tool = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    return tool | ({"description": function["description"]} if function.get("description") else {})


def _called(messages: list[Message]) -> list[dict[str, Any]]:
    """Return the functions that were called, if the request has no tools: Anthropic wants them named."""
    names = dict.fromkeys(
        function_of(call)["name"] for message in messages for call in message.get("tool_calls") or ()
    )
    return [{"name": name} for name in names]


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    if not (may_call(body) and functions_of(body)):
        return {"type": "none"}
    if name := forced_function(body):
        choice: dict[str, Any] = {"type": "tool", "name": name}
    else:
        choice = {"type": "any" if must_call(body) else "auto"}
    if body.get("parallel_tool_calls") is False:
        choice["disable_parallel_tool_use"] = True
    return choice
