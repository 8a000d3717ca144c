"""Reads answers in OpenAI's dialect, in all the ways in which servers speak it."""

from collections.abc import Iterator
from typing import Any

from common.net.sse import ServerEvent
from workers.providers.base import Finish, PassThrough, StreamPart, Usage
from workers.providers.calls import Calls
from workers.providers.contents import read_content
from workers.providers.costs import cost_in, read_cost
from workers.providers.exchange import broke_off, cut, garbled
from workers.providers.faults import fault_in, fault_of
from workers.providers.reasons import reason_in
from workers.providers.values import as_json, count_in, list_in, parsed

_DONE = (b"[DONE]", b'"[DONE]"', b"DONE", b"[done]")
_SOURCES = ("citations", "search_results", "web_search", "references", "related_questions")
_READ = ("delta", "finish_reason", "usage", "text")  # of a choice, what is read here
_MOST_CHOICES, _MOST_PARTS, _MOST_CHUNKS = 128, 1_024, 10_000  # in one event
_NO_SENSE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class OpenAIAnswer:
    """Reads one answer, chunk by chunk. `over`: the server has said that nothing more comes."""

    def __init__(self) -> None:
        self.over = False
        self._calls = Calls()
        self._spoke = False
        self._finished = False
        self._is_whole = False  # it came in one piece
        self._sources: dict[str, Any] = {}

    def read(self, event: ServerEvent) -> Iterator[StreamPart]:
        """Yield the parts in one event. Raises UpstreamError."""
        data = event.data.strip()
        if data in _DONE:
            self.over = True
            return
        if not data and event.name != "error":
            return
        try:
            for chunk in _chunks(data):
                yield from self._read(chunk, event.name)
        except _NO_SENSE:
            raise (broke_off() if event.name == "error" else garbled()) from None

    def read_value(self, chunk: Any) -> Iterator[StreamPart]:
        """Yield the parts in one chunk. Raises UpstreamError."""
        try:
            yield from self._read(chunk, "")
        except _NO_SENSE:
            raise garbled() from None

    def end(self) -> Iterator[StreamPart]:
        """Yield what is left when the connection ends. Raises UpstreamError if it ends too early."""
        yield from self._tell_rest()
        if self._finished:
            return
        if not self._spoke:  # even with a mark of the end: an answer of nothing is none
            raise cut()
        if not (self.over or self._is_whole):
            raise cut()
        yield Finish("tool_calls" if len(self._calls) else "stop")

    def _read(self, chunk: Any, name: str) -> Iterator[StreamPart]:
        if error := fault_in(chunk, name):
            raise error
        for key in _SOURCES:
            if chunk.get(key):
                self._sources[key] = chunk[key]  # some repeat them with each chunk, the last is whole
        for choice in _few(chunk.get("choices"), _MOST_CHOICES):
            if choice is not None:
                yield from self._read_choice(choice)
        if cost := cost_in(chunk):
            yield _usage(cost)

    def _read_choice(self, choice: dict[str, Any]) -> Iterator[StreamPart]:
        if error := fault_of(choice):
            raise error
        rest = {key: value for key, value in choice.items() if key not in _READ and value is not None}
        delta = self._delta(choice, rest)
        reason = reason_in(choice.get("finish_reason"))
        if index := count_in(choice.get("index")):  # only the first is spoken; the others pass through
            self._spoke = True
            yield _other({**rest, "index": index, "delta": delta, "finish_reason": reason or None})
            return
        if reason == "error":
            raise broke_off()
        before, alone = len(self._calls), True
        for piece in self._read_delta(delta):
            alone = False
            yield piece
        rest.pop("index", None)
        delta = {key: value for key, value in delta.items() if value not in (None, "", [])}
        if delta or rest:
            self._spoke = self._spoke or not delta.keys() <= {"reasoning_content", "reasoning"}
            yield _other({**rest, "delta": delta})
        if cost := read_cost(choice.get("usage")):
            yield _usage(cost)
        if reason:
            self._finished = True
            yield from self._tell_rest()
            yield Finish(reason, alone and len(self._calls) == before)

    def _delta(self, choice: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """Return the new part of a choice, also of one that comes whole or as an older completion."""
        if choice.get("delta") is not None:
            delta = dict(choice["delta"])
            if delta or self._spoke:
                return delta
        if not self._spoke and isinstance(choice.get("message"), dict):
            self._is_whole = True
            return dict(rest.pop("message"))
        return {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}

    def _read_delta(self, delta: dict[str, Any]) -> Iterator[StreamPart]:
        """Take the words and calls out of a delta and yield them."""
        delta.pop("role", None)
        content, calls = delta.pop("content", None), delta.pop("tool_calls", None)
        for kind, text in read_content(_few(content, _MOST_PARTS) if isinstance(content, list) else content):
            self._spoke = self._spoke or kind != "thought"
            if kind == "text":
                yield text
            else:
                yield PassThrough({"delta": {"reasoning_content" if kind == "thought" else "refusal": text}})
        for piece in self._calls.read(_few(calls, _MOST_PARTS)):
            self._spoke = True
            yield piece
        self._spoke = self._spoke or len(self._calls) > 0

    def _tell_rest(self) -> Iterator[StreamPart]:
        """Yield calls without arguments, and the answer's sources."""
        yield from self._calls.end()
        if self._sources:
            sources, self._sources = self._sources, {}
            yield _other({"delta": sources})


def _chunks(data: bytes) -> Iterator[Any]:
    """Return the chunks in an event's data: one, a list of them, or one a line. Raises ValueError."""
    try:
        value = parsed(data) if data else {}
    except ValueError:
        lines = [line for line in map(bytes.strip, data.split(b"\n")) if line and line not in _DONE]
        if len(lines) < 2:
            raise
        yield from map(parsed, _few(lines, _MOST_CHUNKS))
        return
    yield from _few(value, _MOST_CHUNKS) if isinstance(value, list) and value else [value]


def _few(value: Any, most: int) -> list[Any]:
    """Return a list short enough to be read in one go.

    Raises ValueError on one that would hold up the loop.
    """
    items = list_in(value)
    if len(items) > most:
        raise ValueError("too many to be an answer")
    return items


def _usage(cost: dict[str, Any]) -> Usage:
    as_json(cost)
    return Usage(cost)


def _other(choice: dict[str, Any]) -> PassThrough:
    as_json(choice)  # raises ValueError on what is nested too deeply to be written down
    return PassThrough(choice)
