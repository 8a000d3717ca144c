"""Any server that speaks OpenAI's Chat Completions.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion
YandexGPT speaks it too, at https://llm.api.cloud.yandex.net/v1, with a key `Api-Key …`:
https://yandex.cloud/en/docs/foundation-models/concepts/openai-compatibility
Azure: https://learn.microsoft.com/en-us/azure/ai-services/openai/reference
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import httpx

from common.tenants.profiles import Upstream
from common.turn.tool_history import THOUGHTS, without_thoughts
from workers.providers.base import StreamPart, UpstreamError
from workers.providers.exchange import authorization, exchange, network_errors, sse_events
from workers.providers.openai_answer import OpenAIAnswer

_CHAT = "/chat/completions"
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".azure-api.net")
_DEPLOYMENTS = (".openai.azure.com", ".cognitiveservices.azure.com")
_UNKNOWN_FIELD = (400, 422)
_MOST_SERVERS = 10_000


class OpenAIProvider:
    """Streams answers over warm connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._takes_options: OrderedDict[str, bool] = OrderedDict()  # by URL and model, as far as is known

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of one answer. Raises UpstreamError; closing it early closes the connection."""
        begun = False
        try:
            async with aclosing(self._stream(upstream, body)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
            return
        except UpstreamError as error:
            if begun or not _are_thoughts_refused(error, body):
                raise
        # Thoughts of its own or of another model: some servers refuse to hear them again.
        body = {**body, "messages": without_thoughts(body["messages"])}
        async with aclosing(self._stream(upstream, body)) as pieces:
            async for piece in pieces:
                yield piece

    async def _stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        with network_errors():
            url = chat_url(upstream)
        server = f"{url} {upstream.model}"
        if self._takes_options.get(server, True):
            begun = False
            try:
                asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
                async with aclosing(self._ask(upstream, url, asked)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            except UpstreamError as error:
                if begun or not self._may_be_options(server, error):
                    raise
        try:
            async with aclosing(self._ask(upstream, url, {**body, "stream": True})) as pieces:
                async for piece in pieces:
                    self._note(server, False)
                    yield piece
        except UpstreamError as error:
            # Refused without them too: it was something else.
            if error.status in _UNKNOWN_FIELD:
                self._takes_options.pop(server, None)
            raise

    async def _ask(
        self, upstream: Upstream, url: str, body: dict[str, Any]
    ) -> AsyncGenerator[StreamPart, None]:
        headers = {"Accept": "text/event-stream", **login(upstream, url)}
        answer = OpenAIAnswer()
        async with (
            exchange(self._client, url, body, headers) as response,
            aclosing(sse_events(response)) as events,
        ):
            if "stream_options" in body:
                self._note(f"{url} {upstream.model}", True)
            async for event in events:
                for piece in answer.read(event):
                    yield piece
                if answer.over:
                    break
            for piece in answer.end():
                yield piece

    def _may_be_options(self, server: str, error: UpstreamError) -> bool:
        """Return True if a server may have refused a request for its `stream_options`."""
        if error.status not in _UNKNOWN_FIELD:
            return False
        return b"stream_options" in error.told or server not in self._takes_options

    def _note(self, server: str, takes: bool) -> None:
        self._takes_options[server] = takes
        self._takes_options.move_to_end(server)
        if len(self._takes_options) > _MOST_SERVERS:
            self._takes_options.popitem(last=False)


def _are_thoughts_refused(error: UpstreamError, body: dict[str, Any]) -> bool:
    """Return True if a server says that it doesn't know the fields of thoughts in the messages."""
    if error.status not in _UNKNOWN_FIELD:
        return False
    sent = {name for message in body["messages"] for name in THOUGHTS if name in message}
    return any(name.encode() in error.told for name in sent)


def chat_url(upstream: Upstream) -> str:
    """Return the URL at which the model is asked. Raises ValueError if the base URL is malformed.

    A query stays behind the path. For Azure the resource's address is enough: its deployments' paths
    follow from the model.
    """
    if upstream.whole_url:
        return upstream.base_url
    parts = urlsplit(upstream.base_url)
    path = parts.path.rstrip("/")
    if (parts.hostname or "").endswith(_DEPLOYMENTS) and path in ("", "/openai"):
        path = f"/openai/deployments/{quote(upstream.model, safe='')}"
        if not parts.query:
            path = "/openai/v1"  # the form without versions
    if not path.endswith(_CHAT):
        path += _CHAT
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def login(upstream: Upstream, url: str) -> dict[str, str]:
    """Return the header for a key; Azure has one of its own."""
    key, parts = upstream.api_key.get_secret_value(), urlsplit(url)
    is_azure = (parts.hostname or "").endswith(_AZURE) or "api-version" in parse_qs(parts.query)
    if key and is_azure and " " not in key and not upstream.headers:
        return {"api-key": key}
    return authorization(upstream)
