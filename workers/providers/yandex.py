"""YandexGPT's own API: each line of the answer holds the whole text so far.

Source: https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from common.profiles import Upstream
from workers.providers.base import Finish, Piece, ToolPiece, Usage
from workers.providers.exchange import (
    authorization,
    broke_off,
    busy,
    cut,
    exchange,
    garbled,
    json_lines,
    made_up_id,
    translated,
)
from workers.providers.yandex_request import to_yandex

SERVER = "https://llm.api.cloud.yandex.net"
_PARTIAL = ("ALTERNATIVE_STATUS_PARTIAL", "ALTERNATIVE_STATUS_UNSPECIFIED")
_FILTERED = "ALTERNATIVE_STATUS_CONTENT_FILTER"
_CALLS = "ALTERNATIVE_STATUS_TOOL_CALLS"
_REASONS = {
    "ALTERNATIVE_STATUS_TRUNCATED_FINAL": "length",
    _FILTERED: "content_filter",
    _CALLS: "tool_calls",
}


class YandexProvider:
    """Streams answers over warm connections. The base URL's path, if any, is the folder of the models."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        server, folder = _split(upstream.base_url)
        url = f"{server}/foundationModels/v1/completion"
        asked = translated(partial(to_yandex, folder=folder), body)
        answer = _Answer()
        async with (
            exchange(self._client, url, asked, authorization(upstream, "Api-Key")) as response,
            aclosing(json_lines(response)) as lines,
        ):
            async for line in lines:
                for piece in answer.read(line):
                    yield piece
                if answer.over:
                    return
        raise cut()


def _split(base_url: str) -> tuple[str, str]:
    """The server's address and the folder."""
    parts = urlsplit(base_url)
    server = f"{parts.scheme}://{parts.netloc}" if parts.netloc else SERVER
    return server, parts.path.strip("/")


class _Answer:
    """What of an answer has come."""

    def __init__(self) -> None:
        self.over = False
        self._chars = 0

    def read(self, line: bytes) -> Iterator[Piece]:
        """The pieces that one line adds. Raises UpstreamError."""
        try:
            yield from self._read(orjson.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise garbled() from None

    def _read(self, event: dict[str, Any]) -> Iterator[Piece]:
        if error := event.get("error"):
            raise busy() if error.get("httpCode") == 429 else broke_off()
        result = event["result"]
        alternative = result["alternatives"][0]
        status = alternative.get("status", _PARTIAL[0])
        message = alternative.get("message") or {}
        if status != _FILTERED:  # then the text is an excuse in place of the one begun
            yield from self._read_text(message.get("text") or "")
        if status == _CALLS:
            yield from _read_calls(message["toolCallList"]["toolCalls"])
        if status not in _PARTIAL:
            self.over = True
            yield Finish(_REASONS.get(status, "stop"))
            yield Usage(_tokens(result.get("usage") or {}))

    def _read_text(self, text: str) -> Iterator[Piece]:
        if len(text) > self._chars:
            yield text[self._chars :]
            self._chars = len(text)


def _read_calls(calls: list[dict[str, Any]]) -> Iterator[Piece]:
    for index, call in enumerate(calls):
        function = call["functionCall"]
        arguments = orjson.dumps(function.get("arguments") or {}).decode()
        yield ToolPiece(index, made_up_id(), function["name"], arguments)


def _tokens(usage: dict[str, Any]) -> dict[str, Any]:
    """Their counts are texts."""
    return {
        "prompt_tokens": int(usage.get("inputTextTokens") or 0),
        "completion_tokens": int(usage.get("completionTokens") or 0),
        "total_tokens": int(usage.get("totalTokens") or 0),
    }
