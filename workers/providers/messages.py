"""Takes OpenAI's messages apart, for dialects that lack its roles or parts."""

from collections.abc import Iterable
from typing import Any

import orjson

from workers.prompts import note_of
from workers.providers.custom_tools import as_function, as_function_call, is_custom
from workers.providers.values import as_json, parsed

Message = dict[str, Any]

_MODES = ("auto", "none", "required", "any", "allowed_tools")

SILENCE = "…"
"""What stands where a dialect wants words and there are none."""


def text_of(content: Any) -> str:
    """Return the words of a content, whether it is a text or a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(part["text"]) for part in content if part.get("type") == "text")


def without_prefill(messages: list[Message]) -> list[Message]:
    """Replace the assistant's text at the end, if any, by a note that asks the model to go on from it."""
    last = messages[-1]
    if last["role"] != "assistant" or last.get("tool_calls"):
        return messages
    return [*messages[:-1], {"role": "system", "content": note_of(text_of(last.get("content")), messages)}]


def split_system(messages: Iterable[Message]) -> tuple[str, list[Message]]:
    """Split messages into the system's text and the others' messages."""
    system, others = [], []
    for message in messages:
        if message["role"] in ("system", "developer"):
            system.append(text_of(message.get("content")))
        else:
            others.append(message)
    return "\n\n".join(filter(None, system)), others


def names_of_calls(messages: Iterable[Message]) -> dict[str, str]:
    """Return the functions' names by the ids of their calls, as a result only has the id."""
    return {
        call["id"]: function_of(call)["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
    }


def function_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return the name and the arguments of a call; a custom tool's input is its argument."""
    if is_custom(call):
        return as_function_call(call)
    function: dict[str, Any] = call["function"]
    return function


def input_of(arguments: Any) -> dict[str, Any]:
    """Return a call's arguments as an object, also if a model wrote something else."""
    try:
        given = parsed(arguments.encode()) if isinstance(arguments, str) else arguments
    except ValueError:
        given = arguments
    if isinstance(given, dict):
        return given
    return {"input": given} if given not in (None, "") else {}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def arguments_of(arguments: Any) -> str:
    """Return a call's arguments as the JSON of an object, unchanged if they are that already."""
    given = input_of(arguments)
    return arguments if isinstance(arguments, str) and _is_object(arguments) else as_json(given)


def may_call(body: dict[str, Any]) -> bool:
    """Return True if the model may call a tool."""
    return bool(_mode(body) != "none")


def _mode(body: dict[str, Any]) -> Any:
    """Return the choice of tools as a word: some clients wrap it into an object, as other dialects do."""
    choice = body.get("tool_choice")
    if allowed := _allowed(body):
        return allowed.get("mode")
    return choice.get("type") if isinstance(choice, dict) else choice


def functions_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the functions that the request offers, custom tools included; other kinds are skipped."""
    functions = [function for tool in body.get("tools") or () if (function := _function_in(tool))]
    allowed = _allowed(body).get("tools")
    if allowed is None:
        return functions
    names = {function["name"] for tool in allowed if (function := _function_in(tool))}
    return [function for function in functions if function["name"] in names]


def _function_in(tool: dict[str, Any]) -> dict[str, Any] | None:
    if is_custom(tool):
        return as_function(tool)
    if tool.get("type") not in ("function", None):
        return None
    function: dict[str, Any] = tool.get("function") or tool  # newer clients write its parts flat
    return function


def _allowed(body: dict[str, Any]) -> dict[str, Any]:
    """Return the request's `allowed_tools`: which tools the model may choose from, and whether it must."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return {}
    return choice.get("allowed_tools") or choice  # flat as well


def forced_function(body: dict[str, Any]) -> str:
    """Return the name of the function that the model must call, or an empty text."""
    choice = body.get("tool_choice")
    if not may_call(body) or not isinstance(choice, dict) or choice.get("type") in _MODES:
        return ""
    named = choice.get("function") or choice.get("custom") or choice  # newer clients write the name flat
    return str(named["name"])


def must_call(body: dict[str, Any]) -> bool:
    """Return True if the model must call some tool of its choice."""
    return _mode(body) in ("required", "any")


def most_tokens(body: dict[str, Any]) -> int | None:
    """Return the answer's limit in tokens, or None."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("maxTokens")
    return int(limit) if limit else None


def stops_of(body: dict[str, Any]) -> list[str]:
    """Return the texts at which the answer ends."""
    stop = body.get("stop") or []
    return [stop] if isinstance(stop, str) else list(stop)
