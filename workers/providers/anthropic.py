"""Anthropic's Messages API.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import httpx

from common.net.sse import ServerEvent
from common.tenants.profiles import Upstream
from workers.providers.anthropic_request import to_anthropic
from workers.providers.base import Finish, PassThrough, StreamPart, ToolCallDelta, Usage
from workers.providers.custom_tools import CustomCalls
from workers.providers.exchange import (
    authorization,
    cut,
    exchange,
    garbled,
    made_up_id,
    sse_events,
    translated,
)
from workers.providers.faults import fault_in
from workers.providers.messages import text_of
from workers.providers.reasons import reason_in
from workers.providers.values import as_json, count_in, dict_in, list_in, parsed, text_in

SERVER = "https://api.anthropic.com"
_VERSION = "2023-06-01"
_NO_SENSE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class AnthropicProvider:
    """Streams answers over warm connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of one answer. Raises UpstreamError; closing it early closes the connection."""
        url = (upstream.base_url or SERVER).rstrip("/").removesuffix("/v1") + "/v1/messages"
        key = upstream.api_key.get_secret_value()
        login = authorization(upstream) if " " in key else {"x-api-key": key}
        headers = {"anthropic-version": _VERSION, **login}
        asked = translated(to_anthropic, body)
        answer, customs = _Answer(spaced=_ends_in_space(body["messages"])), CustomCalls(body)
        async with (
            exchange(self._client, url, asked, headers) as response,
            aclosing(sse_events(response)) as events,
        ):
            async for event in events:
                for piece in customs.told(answer.read(event)):
                    yield piece
                if answer.over:
                    return
        if not answer.finished:
            raise cut()
        yield answer.cost()


class _Answer:
    """The answer as far as it has come, with its calls and tokens counted.

    `spaced`: what it goes on from ends in a space, which Anthropic was not told and says again.
    """

    def __init__(self, *, spaced: bool = False) -> None:
        self.over = False
        self.finished = False
        self._spaced = spaced
        self._calls: dict[Any, int] = {}  # by block, the call's number among the calls
        self._bare: dict[Any, str] = {}  # calls of which no argument has come, and what their start held
        self._usage: dict[str, Any] = {}

    def read(self, event: ServerEvent) -> Iterator[StreamPart]:
        """Yield the parts in one event. Raises UpstreamError."""
        if not event.data.strip() and event.name != "error":
            return
        try:
            yield from self._read(parsed(event.data) if event.data.strip() else {}, event.name)
        except _NO_SENSE:
            raise garbled() from None

    def cost(self) -> Usage:
        """Return the answer's usage."""
        usage = self._usage
        cached = count_in(usage.get("cache_read_input_tokens"))
        asked = count_in(usage.get("input_tokens")) + cached
        asked += count_in(usage.get("cache_creation_input_tokens"))
        said = count_in(usage.get("output_tokens"))
        return Usage(
            {
                "prompt_tokens": asked,
                "completion_tokens": said,
                "total_tokens": asked + said,
                "prompt_tokens_details": {"cached_tokens": cached},
            }
        )

    def _read(self, event: dict[str, Any], name: str) -> Iterator[StreamPart]:
        kind, index = event.get("type") or name, event.get("index")
        match kind:
            case "message_start":
                self._count(dict_in(event.get("message")).get("usage"))
            case "content_block_start":
                yield from self._begin(index, dict_in(event.get("content_block")))
            case "content_block_delta":
                yield from self._read_delta(index, dict_in(event.get("delta")))
            case "content_block_stop":
                yield from self._close(index)
            case "message_delta":
                self._count(event.get("usage"))
                yield from self._finish(dict_in(event.get("delta")).get("stop_reason"))
            case "message_stop":
                self.over = True
                yield from self._finish(None if self.finished else "end_turn")
                yield self.cost()
            case "message":
                yield from self._read_whole(event)
            case _ if kind in ("", "error") or event.get("error"):
                if error := fault_in(event, name):
                    raise error

    def _read_whole(self, message: dict[str, Any]) -> Iterator[StreamPart]:
        """Yield the parts of a whole message, from a server that doesn't stream."""
        for index, block in enumerate(list_in(message.get("content"))):
            yield from self._begin(index, block)
        yield from self._close_all()
        self._count(message.get("usage"))
        yield from self._finish(message.get("stop_reason") or "end_turn")
        self.over = True
        yield self.cost()

    def _begin(self, index: Any, block: dict[str, Any]) -> Iterator[StreamPart]:
        match block.get("type"):
            case "tool_use":
                self._calls[index] = len(self._calls)
                given = block.get("input")
                self._bare[index] = text_in(given) if isinstance(given, str) else as_json(given or {})
                name = text_in(block.get("name"))
                yield ToolCallDelta(self._calls[index], text_in(block.get("id")) or made_up_id(), name, "")
            case "text":
                yield from self._say(text_in(block.get("text")))
                yield from self._cite(list_in(block.get("citations")))
            case "thinking":
                yield from _think(text_in(block.get("thinking")))

    def _read_delta(self, index: Any, delta: dict[str, Any]) -> Iterator[StreamPart]:
        match delta.get("type"):
            case "text_delta":
                yield from self._say(text_in(delta.get("text")))
            case "input_json_delta" if index in self._calls and (more := delta.get("partial_json")):
                self._bare.pop(index, None)
                more = more if isinstance(more, str) else as_json(more)
                yield ToolCallDelta(self._calls[index], "", "", more)
            case "thinking_delta":
                yield from _think(text_in(delta.get("thinking")))
            case "citations_delta":
                yield from self._cite(list_in(delta.get("citation")))

    def _say(self, text: str) -> Iterator[StreamPart]:
        if text := text.lstrip() if self._spaced else text:
            self._spaced = False
            yield text

    def _cite(self, citations: list[Any]) -> Iterator[StreamPart]:
        if citations:
            as_json(citations)  # raises ValueError on what can't be written down
            yield PassThrough({"delta": {"citations": citations}})

    def _close(self, index: Any) -> Iterator[StreamPart]:
        if index in self._bare:  # its arguments came with its start, or there are none
            yield ToolCallDelta(self._calls[index], "", "", self._bare.pop(index) or "{}")

    def _close_all(self) -> Iterator[StreamPart]:
        for index in list(self._bare):
            yield from self._close(index)

    def _finish(self, reason: Any) -> Iterator[StreamPart]:
        if reason := reason_in(reason):
            self.finished = True
            yield from self._close_all()
            yield Finish(reason)

    def _count(self, usage: Any) -> None:
        self._usage |= {name: count for name, count in dict_in(usage).items() if count is not None}


def _think(text: str) -> Iterator[StreamPart]:
    if text:
        yield PassThrough({"delta": {"reasoning_content": text}})


def _ends_in_space(messages: list[dict[str, Any]]) -> bool:
    said = text_of(messages[-1].get("content")) if messages and messages[-1]["role"] == "assistant" else ""
    return said != said.rstrip()
