"""Any server that speaks OpenAI's Chat Completions.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion
YandexGPT speaks it too, at https://llm.api.cloud.yandex.net/v1, with a key `Api-Key …`:
https://yandex.cloud/en/docs/foundation-models/concepts/openai-compatibility
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import orjson

from common.profiles import Upstream
from workers.providers.base import Finish, Other, Piece, ToolPiece, Usage
from workers.providers.exchange import authorization, broke_off, cut, exchange, garbled, sse_data


class OpenAIProvider:
    """Streams answers over warm connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        url = upstream.base_url
        if not upstream.whole_url:
            url = url.rstrip("/") + "/chat/completions"
        headers = {"Accept": "text/event-stream", **authorization(upstream)}
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with (
            exchange(self._client, url, body, headers) as response,
            aclosing(sse_data(response)) as events,
        ):
            finished = False
            async for data in events:
                if data == b"[DONE]":
                    if not finished:
                        yield Finish("stop")
                    return
                for piece in read_chunk(data):
                    finished = finished or isinstance(piece, Finish)
                    yield piece
            if not finished:
                raise cut()


def read_chunk(data: bytes) -> Iterator[Piece]:
    """The pieces in one chunk's JSON. Raises UpstreamError."""
    try:
        yield from read_value(orjson.loads(data))
    except orjson.JSONDecodeError:
        raise garbled() from None


def read_value(chunk: Any) -> Iterator[Piece]:
    """The pieces in one chunk. Raises UpstreamError."""
    try:
        if chunk.get("error"):
            raise broke_off()
        for choice in chunk.get("choices") or ():
            yield from _read_choice(choice)
        if usage := chunk.get("usage"):
            yield Usage(dict(usage))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise garbled() from None


def _read_choice(choice: dict[str, Any]) -> Iterator[Piece]:
    delta = dict(choice.get("delta") or {})
    rest = {
        key: value
        for key, value in choice.items()
        if key not in ("delta", "finish_reason") and value is not None
    }
    reason = choice.get("finish_reason")
    if choice.get("index"):  # only the first choice is spoken; the others pass through
        yield _other({**rest, "delta": delta, "finish_reason": reason})
        return
    delta.pop("role", None)
    text, calls = delta.pop("content", None), delta.pop("tool_calls", None)
    if text:
        yield str(text)
    for call in calls or ():
        function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        yield ToolPiece(int(call.get("index") or 0), str(call.get("id") or ""), str(name), str(arguments))
    delta = {key: value for key, value in delta.items() if value not in (None, "", [])}
    rest.pop("index", None)
    if delta or rest:
        yield _other({**rest, "delta": delta})
    if reason:
        yield Finish(str(reason))


def _other(choice: dict[str, Any]) -> Other:
    orjson.dumps(choice)  # raises TypeError on what is nested too deeply to be written down
    return Other(choice)
