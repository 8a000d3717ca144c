"""Custom tools, which take plain text, for dialects that only know functions.

Source: https://platform.openai.com/docs/guides/function-calling#custom-tools
Each becomes a function with one text parameter; a model's call of it is given back as a custom call.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from workers.providers.base import Finish, StreamPart, ToolCallDelta
from workers.providers.exchange import garbled
from workers.providers.values import as_json, dict_in, parsed, text_in

_INPUT = "input"
_MOST_CHARS = 1_048_576  # of all inputs: each is held back until it is whole


def is_custom(tool: dict[str, Any]) -> bool:
    """Return True if a tool, or a call, is a custom one, also where its type is not said."""
    return tool.get("type") == "custom" or bool(tool.get("custom") and not tool.get("function"))


def as_function(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a custom tool as a function.

    A grammar is put into words: only OpenAI's dialect can enforce one.
    """
    custom = tool.get("custom") or tool  # newer clients write its parts flat
    given: dict[str, Any] = {"type": "string"}
    if rule := _rule(dict_in(custom.get("format"))):
        given["description"] = rule
    parameters = {"type": "object", "properties": {_INPUT: given}, "required": [_INPUT]}
    described = {"description": custom["description"]} if custom.get("description") else {}
    return {"name": custom["name"], **described, "parameters": parameters}


def as_function_call(call: dict[str, Any]) -> dict[str, Any]:
    """Return the name and the arguments of an earlier custom call."""
    custom = call.get("custom") or call
    return {"name": custom["name"], "arguments": as_json({_INPUT: custom.get(_INPUT) or ""})}


class CustomCalls:
    """The calls of one answer; those of the request's custom tools are given back as custom calls."""

    def __init__(self, body: dict[str, Any]) -> None:
        tools = [tool for tool in body.get("tools") or () if isinstance(tool, dict)]
        self._names = {_name(tool) for tool in tools if is_custom(tool)}
        self._names -= {_name(tool) for tool in tools if not is_custom(tool)}
        self._open: dict[int, list[str]] = {}
        self._size = 0

    def told(self, pieces: Iterator[StreamPart]) -> Iterator[StreamPart]:
        """Yield the same parts, with each input whole and at the answer's end. Raises UpstreamError."""
        return self._told(pieces) if self._names else pieces

    def _told(self, pieces: Iterator[StreamPart]) -> Iterator[StreamPart]:
        for piece in pieces:
            if isinstance(piece, Finish):
                yield from self._close()
            if not isinstance(piece, ToolCallDelta):
                yield piece
            elif piece.index in self._open:
                yield self._hold(piece)
            elif piece.name in self._names:
                self._open[piece.index] = []
                yield self._hold(replace(piece, rest={**piece.rest, "type": "custom"}))
            else:
                yield piece

    def _hold(self, piece: ToolCallDelta) -> ToolCallDelta:
        """Keep a part's arguments, and return it without them as a sign of life."""
        self._size += len(piece.arguments)
        if self._size > _MOST_CHARS:
            raise garbled()
        self._open[piece.index].append(piece.arguments)
        return replace(piece, arguments="")

    def _close(self) -> Iterator[StreamPart]:
        for index, held in self._open.items():
            yield ToolCallDelta(index, "", "", _input_in("".join(held)))
        self._open = {}


def _name(tool: dict[str, Any]) -> str:
    return text_in(dict_in(tool.get("custom") or tool.get("function") or tool).get("name"))


def _rule(form: dict[str, Any]) -> str:
    """Return in words how the input must look."""
    grammar = dict_in(form.get("grammar")) or form  # newer clients write its parts flat
    if form.get("type") != "grammar" or not grammar.get("definition"):
        return ""
    if grammar.get("syntax") == "regex":
        return f"It must match this regular expression: {grammar['definition']}"
    return f"It must follow this grammar ({grammar.get('syntax') or 'lark'}):\n{grammar['definition']}"


def _input_in(arguments: str) -> str:
    """Return the text that a model meant, also if it has not used the one parameter."""
    try:
        given = parsed(arguments.encode("utf-8", "surrogatepass"))
    except ValueError:
        return arguments
    if isinstance(given, dict):
        if len(given) == 1 and _INPUT not in given:
            (given,) = given.values()  # by another name
        else:
            given = given.get(_INPUT, given) if given else ""
    if isinstance(given, str):
        return given
    return "" if given is None else as_json(given)
