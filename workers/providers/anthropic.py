"""Anthropic's Messages API.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import orjson

from common.profiles import Upstream
from workers.providers.anthropic_request import to_anthropic
from workers.providers.base import Finish, Other, Piece, ToolPiece, Usage
from workers.providers.exchange import (
    authorization,
    broke_off,
    busy,
    cut,
    exchange,
    garbled,
    sse_data,
    translated,
)
from workers.providers.messages import text_of

SERVER = "https://api.anthropic.com"
_VERSION = "2023-06-01"
_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_BUSY = ("overloaded_error", "rate_limit_error")


class AnthropicProvider:
    """Streams answers over warm connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        url = (upstream.base_url or SERVER).rstrip("/") + "/v1/messages"
        key = upstream.api_key.get_secret_value()
        login = authorization(upstream) if " " in key else {"x-api-key": key}
        headers = {"anthropic-version": _VERSION, **login}
        asked = translated(to_anthropic, body)
        answer = _Answer(spaced=_ends_in_space(body["messages"]))
        async with (
            exchange(self._client, url, asked, headers) as response,
            aclosing(sse_data(response)) as events,
        ):
            async for data in events:
                for piece in answer.read(data):
                    yield piece
                if answer.over:
                    return
        raise cut()


class _Answer:
    """What of an answer has come: counts its calls and its tokens.

    `spaced`: what it goes on from ends in a space, which Anthropic was not told and says again.
    """

    def __init__(self, *, spaced: bool = False) -> None:
        self.over = False
        self._spaced = spaced
        self._calls: dict[int, int] = {}  # by block, the call's number among the calls
        self._bare: set[int] = set()  # calls of which no argument has come
        self._usage: dict[str, int] = {}

    def read(self, data: bytes) -> Iterator[Piece]:
        """The pieces in one event. Raises UpstreamError."""
        try:
            yield from self._read(orjson.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise garbled() from None

    def _read(self, event: dict[str, Any]) -> Iterator[Piece]:
        match event["type"]:
            case "message_start":
                self._usage |= event["message"].get("usage") or {}
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                block = event["content_block"]
                self._calls[event["index"]] = len(self._calls)
                self._bare.add(event["index"])
                yield ToolPiece(self._calls[event["index"]], block["id"], block["name"], "")
            case "content_block_delta":
                yield from self._read_delta(event["index"], event["delta"])
            case "content_block_stop" if event["index"] in self._bare:
                yield ToolPiece(self._calls[event["index"]], "", "", "{}")  # OpenAI's form of no arguments
            case "message_delta":
                self._usage |= event.get("usage") or {}
                if reason := event["delta"].get("stop_reason"):
                    yield Finish(_REASONS.get(reason, "stop"))
            case "message_stop":
                self.over = True
                yield Usage(self._tokens())
            case "error":
                raise busy() if event["error"]["type"] in _BUSY else broke_off()

    def _read_delta(self, index: int, delta: dict[str, Any]) -> Iterator[Piece]:
        match delta["type"]:
            case "text_delta":
                if text := delta["text"].lstrip() if self._spaced else delta["text"]:
                    self._spaced = False
                    yield text
            case "input_json_delta" if delta["partial_json"]:
                self._bare.discard(index)
                yield ToolPiece(self._calls[index], "", "", delta["partial_json"])
            case "thinking_delta":
                yield Other({"delta": {"reasoning_content": delta["thinking"]}})

    def _tokens(self) -> dict[str, Any]:
        cached = self._usage.get("cache_read_input_tokens") or 0
        asked = self._usage.get("input_tokens", 0) + cached
        asked += self._usage.get("cache_creation_input_tokens") or 0
        said = self._usage.get("output_tokens", 0)
        return {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


def _ends_in_space(messages: list[dict[str, Any]]) -> bool:
    said = text_of(messages[-1].get("content")) if messages and messages[-1]["role"] == "assistant" else ""
    return said != said.rstrip()
