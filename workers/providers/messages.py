"""OpenAI's messages, taken apart for the dialects that know no such roles or parts."""

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
    """The words of a content, be it a text or a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(part["text"]) for part in content if part.get("type") == "text")


def without_prefill(messages: list[Message]) -> list[Message]:
    """The same, with a note in place of a text at the end that the model is to go on from."""
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
    """The functions' names by the ids of their calls: a result says only the id."""
    return {
        call["id"]: function_of(call)["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
    }


def function_of(call: dict[str, Any]) -> dict[str, Any]:
    """The name and the arguments of a call; a custom tool's input is its argument."""
    if is_custom(call):
        return as_function_call(call)
    function: dict[str, Any] = call["function"]
    return function


def input_of(arguments: Any) -> dict[str, Any]:
    """A call's arguments as the object that they must be there, also where a model wrote something else."""
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
    """A call's arguments as the text of an object, as it was written where it is one."""
    given = input_of(arguments)
    return arguments if isinstance(arguments, str) and _is_object(arguments) else as_json(given)


def may_call(body: dict[str, Any]) -> bool:
    """Return whether the model may call anything."""
    return bool(_mode(body) != "none")


def _mode(body: dict[str, Any]) -> Any:
    """The choice of tools as a word: some clients wrap it into an object, as other dialects do."""
    choice = body.get("tool_choice")
    if allowed := _allowed(body):
        return allowed.get("mode")
    return choice.get("type") if isinstance(choice, dict) else choice


def functions_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions that the request offers, its custom tools among them; tools of other kinds are none."""
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
    """The tools of which the model may choose, and whether it must, where the request says so."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return {}
    return choice.get("allowed_tools") or choice  # flat as well


def forced_function(body: dict[str, Any]) -> str:
    """The name of the function that the model must call, if one is named."""
    choice = body.get("tool_choice")
    if not may_call(body) or not isinstance(choice, dict) or choice.get("type") in _MODES:
        return ""
    named = choice.get("function") or choice.get("custom") or choice  # newer clients write the name flat
    return str(named["name"])


def must_call(body: dict[str, Any]) -> bool:
    """Return whether the model must call something, whichever it likes."""
    return _mode(body) in ("required", "any")


def most_tokens(body: dict[str, Any]) -> int | None:
    """Return how long the answer may be."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("maxTokens")
    return int(limit) if limit else None


def stops_of(body: dict[str, Any]) -> list[str]:
    """The texts at which the answer ends."""
    stop = body.get("stop") or []
    return [stop] if isinstance(stop, str) else list(stop)
