"""Baidu ERNIE's own API on the Qianfan platform.

Sources: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy (chat), /s/tlmyncueh (error codes)
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import httpx
import orjson

from common.profiles import Upstream
from workers.providers.base import Finish, Piece, ToolPiece, UpstreamError, Usage
from workers.providers.ernie_request import to_ernie
from workers.providers.ernie_tokens import ErnieTokens
from workers.providers.exchange import (
    broke_off,
    busy,
    cut,
    exchange,
    garbled,
    made_up_id,
    sse_data,
    translated,
    whole,
)

SERVER = "https://aip.baidubce.com"
_CHAT = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
# Models whose endpoint isn't their name.
_ENDPOINTS = {
    "ernie-4.0-8k": "completions_pro",
    "ernie-4.0-8k-preemptible": "completions_pro_preemptible",
    "ernie-3.5-8k": "completions",
    "ernie-speed-8k": "ernie_speed",
}
_REASONS = {"length": "length", "content_filter": "content_filter", "function_call": "tool_calls"}
_TOKEN_CODES = (110, 111)  # the access token is invalid, has expired
_BUSY_CODES = (4, 18, 336100, 336501, 336502)  # too many requests or tokens just now
_SPENT_CODES = (17, 19)  # the day's requests, or all, are used up
_FAILED_CODES = (1, 2, 336000)  # the server's own trouble
_SPENT_S = 60.0


class ErnieProvider:
    """Streams answers over warm connections. The upstream's key is `<API key>:<secret key>`."""

    def __init__(self, client: httpx.AsyncClient, tokens: ErnieTokens) -> None:
        self._client = client
        self._tokens = tokens

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        server = (upstream.base_url or SERVER).rstrip("/")
        asked = translated(to_ernie, body)
        token = await self._tokens.get(server, upstream.api_key)
        begun = False
        try:
            async with aclosing(self._ask(server, body["model"], asked, token)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
            return
        except _TokenRefused:
            if begun:
                raise
        token = await self._tokens.get(server, upstream.api_key, refused=token)
        async with aclosing(self._ask(server, body["model"], asked, token)) as pieces:
            async for piece in pieces:
                yield piece

    async def _ask(
        self, server: str, model: str, asked: dict[str, Any], token: str
    ) -> AsyncGenerator[Piece, None]:
        endpoint = _ENDPOINTS.get(model.lower(), model.lower())
        url = str(httpx.URL(server + _CHAT + endpoint, params={"access_token": token}))
        async with exchange(self._client, url, asked, {}) as response:
            if "json" in response.headers.get("content-type", ""):  # no stream: an error, of status 200
                list(read_event(await whole(response)))
                raise garbled()
            async with aclosing(sse_data(response)) as events:
                async for data in events:
                    for piece in read_event(data):
                        yield piece
                        if isinstance(piece, Usage):
                            return
        raise cut()


class _TokenRefused(UpstreamError):
    """The access token is not valid, or no longer."""

    def __init__(self) -> None:
        super().__init__("upstream_refused", "the model's server takes no such key", faulty=False)


def read_event(data: bytes) -> Iterator[Piece]:
    """The pieces in one event; usage is the last. Raises UpstreamError."""
    try:
        event = orjson.loads(data)
        if code := event.get("error_code"):
            raise _error(int(code))
        if text := event.get("result"):
            yield str(text)
        if call := event.get("function_call"):
            yield ToolPiece(0, made_up_id(), call["name"], call["arguments"])
        if event["is_end"]:
            reason = "length" if event.get("is_truncated") else event.get("finish_reason", "normal")
            yield Finish("tool_calls" if call else _REASONS.get(reason, "stop"))
            yield Usage(dict(event.get("usage") or {}))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise garbled() from None


def _error(code: int) -> UpstreamError:
    if code in _TOKEN_CODES:
        return _TokenRefused()
    if code in _BUSY_CODES:
        return busy()
    if code in _SPENT_CODES:
        return busy(_SPENT_S)
    if code in _FAILED_CODES:
        return broke_off()
    return UpstreamError("upstream_refused", f"the model's server answered error {code}", faulty=False)
