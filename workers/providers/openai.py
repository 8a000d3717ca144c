"""Any server that speaks OpenAI's Chat Completions.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import orjson

from common.profiles import Upstream
from common.sse import SSEParser
from workers.providers.base import Finish, Other, Piece, ToolPiece, UpstreamError, Usage


class OpenAIProvider:
    """Streams answers over warm connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        content = orjson.dumps({**body, "stream": True, "stream_options": {"include_usage": True}})
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key := upstream.api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        url = upstream.base_url.rstrip("/") + "/chat/completions"
        try:
            async with self._client.stream("POST", url, content=content, headers=headers) as response:
                if response.status_code != 200:
                    raise UpstreamError(
                        "upstream_refused", f"the model's server answered {response.status_code}"
                    )
                async with aclosing(_pieces(response)) as pieces:
                    async for piece in pieces:
                        yield piece
        except httpx.TimeoutException:
            raise UpstreamError("upstream_timeout", "the model's server did not answer in time") from None
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise UpstreamError("upstream_unreachable", "the model's server can't be reached") from None
        except (httpx.HTTPError, httpx.StreamError):
            raise UpstreamError("upstream_cut", "the model's server broke the connection") from None


async def _pieces(response: httpx.Response) -> AsyncGenerator[Piece, None]:
    parser = SSEParser()
    finished = False
    async for chunk in response.aiter_raw():
        try:
            events = parser.feed(chunk)
        except ValueError:
            raise _garbled() from None
        for event in events:
            if event.data == b"[DONE]":
                if not finished:
                    yield Finish("stop")
                return
            for piece in read_chunk(event.data):
                finished = finished or isinstance(piece, Finish)
                yield piece
    if not finished:
        raise UpstreamError("upstream_cut", "the model's answer ended in the middle")


def read_chunk(data: bytes) -> Iterator[Piece]:
    """The pieces in one chunk's JSON. Raises UpstreamError."""
    try:
        chunk = orjson.loads(data)
        if chunk.get("error"):
            raise UpstreamError("upstream_error", "the model's server broke off with an error")
        for choice in chunk.get("choices") or ():
            yield from _read_choice(choice)
        if usage := chunk.get("usage"):
            yield Usage(dict(usage))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _garbled() from None


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


def _garbled() -> UpstreamError:
    return UpstreamError("upstream_garbled", "the model's server sent what is no chat completion")
