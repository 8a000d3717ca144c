"""YandexGPT's own API: each line of the answer holds the whole text so far.

Source: https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx

from common.tenants.profiles import Upstream
from workers.providers.base import Finish, StreamPart, ToolCallDelta, Usage
from workers.providers.contents import read_content
from workers.providers.costs import read_cost
from workers.providers.custom_tools import CustomCalls
from workers.providers.exchange import (
    authorization,
    busy,
    cut,
    exchange,
    garbled,
    json_lines,
    made_up_id,
    network_errors,
    translated,
)
from workers.providers.faults import fault_in
from workers.providers.values import as_json, dict_in, parsed, text_in
from workers.providers.yandex_request import to_yandex

SERVER = "https://llm.api.cloud.yandex.net"
_PARTIAL = ("ALTERNATIVE_STATUS_PARTIAL", "ALTERNATIVE_STATUS_UNSPECIFIED")
_FILTERED = "ALTERNATIVE_STATUS_CONTENT_FILTER"
_CALLS = "ALTERNATIVE_STATUS_TOOL_CALLS"
_EXHAUSTED = 8  # gRPC's word for too many requests
_REASONS = {
    "ALTERNATIVE_STATUS_TRUNCATED_FINAL": "length",
    _FILTERED: "content_filter",
    _CALLS: "tool_calls",
}


class YandexProvider:
    """Streams answers over warm connections. The base URL's path, if any, is the models' folder."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of one answer. Raises UpstreamError; closing it early closes the connection."""
        with network_errors():
            server, folder = _split(upstream.base_url)
        url = f"{server}/foundationModels/v1/completion"
        asked = translated(partial(to_yandex, folder=folder), body)
        answer, customs = _Answer(), CustomCalls(body)
        async with (
            exchange(self._client, url, asked, authorization(upstream, "Api-Key")) as response,
            aclosing(json_lines(response)) as lines,
        ):
            async for line in lines:
                for piece in customs.told(answer.read(line)):
                    yield piece
                if answer.over:
                    return
        raise cut()


def _split(base_url: str) -> tuple[str, str]:
    """Return the server's address and the folder."""
    parts = urlsplit(base_url)
    server = f"{parts.scheme}://{parts.netloc}" if parts.netloc else SERVER
    return server, parts.path.strip("/")


class _Answer:
    """The answer as far as it has come."""

    def __init__(self) -> None:
        self.over = False
        self._chars = 0

    def read(self, line: bytes) -> Iterator[StreamPart]:
        """Yield the parts that one line adds. Raises UpstreamError."""
        line = line.removeprefix(b"data:").strip()  # a proxy in between may turn lines into events
        if not line or line.startswith((b":", b"event:", b"[DONE]")):
            return
        try:
            yield from self._read(parsed(line))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise garbled() from None

    def _read(self, event: dict[str, Any]) -> Iterator[StreamPart]:
        if "result" not in event and "alternatives" not in event:
            error = dict_in(event.get("error"))
            if error.get("httpCode") == 429 or error.get("grpcCode") == _EXHAUSTED:
                raise busy()
            raise fault_in(event) or garbled()
        result = event.get("result") or event
        alternative = result["alternatives"][0]
        status = alternative.get("status") or _PARTIAL[0]
        message = alternative.get("message") or {}
        if status != _FILTERED:  # then the text is an excuse in place of the one begun
            yield from self._read_text("".join(text for _, text in read_content(message.get("text"))))
        if status == _CALLS:
            yield from _read_calls(message["toolCallList"]["toolCalls"])
        if status not in _PARTIAL:
            self.over = True
            yield Finish(_REASONS.get(status, "stop"))
            if cost := read_cost(result.get("usage")):
                yield Usage(cost)

    def _read_text(self, text: str) -> Iterator[StreamPart]:
        if len(text) > self._chars:
            yield text[self._chars :]
            self._chars = len(text)


def _read_calls(calls: list[dict[str, Any]]) -> Iterator[StreamPart]:
    for index, call in enumerate(calls):
        function = call["functionCall"]
        given = function.get("arguments") or {}
        arguments = given if isinstance(given, str) else as_json(given)
        yield ToolCallDelta(index, made_up_id(), text_in(function["name"]), arguments)
