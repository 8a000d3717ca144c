"""Baidu ERNIE's own API on the Qianfan platform.

Sources: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy (chat), /s/tlmyncueh (error codes)
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import httpx

from common.net.sse import ServerEvent
from common.tenants.profiles import Upstream
from workers.providers.base import Finish, PassThrough, StreamPart, UpstreamError, Usage
from workers.providers.calls import Calls
from workers.providers.contents import read_content
from workers.providers.costs import cost_in
from workers.providers.custom_tools import CustomCalls
from workers.providers.ernie_request import to_ernie
from workers.providers.ernie_tokens import ErnieTokens
from workers.providers.exchange import (
    broke_off,
    busy,
    cut,
    exchange,
    garbled,
    network_errors,
    sse_events,
    translated,
)
from workers.providers.faults import fault_in
from workers.providers.reasons import reason_in
from workers.providers.values import as_json, parsed, text_in

SERVER = "https://aip.baidubce.com"
_CHAT = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
# Models whose endpoint isn't their name.
_ENDPOINTS = {
    "ernie-4.0-8k": "completions_pro",
    "ernie-4.0-8k-preemptible": "completions_pro_preemptible",
    "ernie-3.5-8k": "completions",
    "ernie-speed-8k": "ernie_speed",
}
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

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of one answer. Raises UpstreamError; closing it early closes the connection."""
        server = (upstream.base_url or SERVER).rstrip("/")
        asked = translated(to_ernie, body)
        token = await self._tokens.get(server, upstream.api_key)
        begun = False
        try:
            async with aclosing(self._ask(server, body, asked, token)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
            return
        except _TokenRefused:
            if begun:
                raise
        token = await self._tokens.get(server, upstream.api_key, refused=token)
        async with aclosing(self._ask(server, body, asked, token)) as pieces:
            async for piece in pieces:
                yield piece

    async def _ask(
        self, server: str, body: dict[str, Any], asked: dict[str, Any], token: str
    ) -> AsyncGenerator[StreamPart, None]:
        model = body["model"].lower()
        endpoint = _ENDPOINTS.get(model, model)
        with network_errors():
            url = str(httpx.URL(server + _CHAT + endpoint, params={"access_token": token}))
        answer, customs = ErnieAnswer(), CustomCalls(body)
        async with (
            exchange(self._client, url, asked, {}) as response,
            aclosing(sse_events(response)) as events,
        ):
            async for event in events:
                for piece in customs.told(answer.read(event)):
                    yield piece
                if answer.over:
                    return
        raise cut()


class _TokenRefused(UpstreamError):
    """The access token is invalid or has expired."""

    def __init__(self) -> None:
        super().__init__("upstream_refused", "the model's server takes no such key", faulty=False)


class ErnieAnswer:
    """The answer as far as it has come. A whole one, from a server that doesn't stream, is its own last
    event.
    """

    def __init__(self) -> None:
        self.over = False
        self._calls = Calls()

    def read(self, event: ServerEvent) -> Iterator[StreamPart]:
        """Yield the parts in one event, usage last. Raises UpstreamError."""
        if not event.data.strip() and event.name != "error":
            return
        try:
            yield from self._read(parsed(event.data) if event.data.strip() else {}, event.name)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise garbled() from None

    def _read(self, event: dict[str, Any], name: str) -> Iterator[StreamPart]:
        if code := event.get("error_code"):
            raise _error(int(code))
        if "result" not in event and "is_end" not in event:
            raise fault_in(event, name) or garbled()
        if thought := text_in(event.get("reasoning_content")):
            yield PassThrough({"delta": {"reasoning_content": thought}})
        for kind, text in read_content(event.get("result")):
            yield text if kind == "text" else PassThrough({"delta": {"reasoning_content": text}})
        if call := event.get("function_call"):
            yield from self._read_call(call)
        if found := event.get("search_info") or event.get("search_results"):
            as_json(found)  # raises ValueError on what can't be written down
            yield PassThrough({"delta": {"search_results": found}})
        if event.get("is_end", True):
            self.over = True
            yield from self._calls.end()
            reason = (
                "length" if event.get("is_truncated") else reason_in(event.get("finish_reason")) or "stop"
            )
            if reason == "error":
                raise broke_off()
            yield Finish("tool_calls" if len(self._calls) else reason)
            if cost := cost_in(event):
                yield Usage(cost)

    def _read_call(self, call: dict[str, Any]) -> Iterator[StreamPart]:
        """Yield a call and the model's thoughts on it, which ERNIE puts inside the call."""
        if thought := text_in(call.pop("thoughts", None)):
            yield PassThrough({"delta": {"reasoning_content": thought}})
        yield from self._calls.read([{"index": 0, "function": call}])


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
