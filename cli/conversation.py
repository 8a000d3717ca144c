"""A client of the gateway that shows who speaks: one conversation over OpenAI's streamed chat."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from common.net.sse import SSEParser

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_TIMEOUT = httpx.Timeout(10.0, read=60.0)  # heartbeats come every 15 s


class AnswerFailed(Exception):
    """A turn failed or broke off; the message is for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an answer: its lane, and its time in milliseconds since the turn's start."""

    lane: str
    text: str
    ms: int


def open_client(url: str, key: str = "") -> httpx.AsyncClient:
    """Return a client for the gateway at this address, which may end in /v1. Raises TurnFailed."""
    try:
        base = httpx.URL(url.rstrip("/").removesuffix("/v1"))
    except httpx.InvalidURL as error:
        raise AnswerFailed(f"{url} is no address: {error}") from None
    if base.scheme not in ("http", "https") or not base.host:
        raise AnswerFailed(f"{url} is no address: it must look like http://127.0.0.1:8000")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # The environment's proxy is for outside addresses, and could not reach this machine's own ports.
    return httpx.AsyncClient(
        base_url=base, headers=headers, timeout=_TIMEOUT, trust_env=base.host not in _LOOPBACK
    )


class Conversation:
    """The conversation so far; the gateway is sent all of it at every turn."""

    def __init__(
        self, client: httpx.AsyncClient, model: str, session: str = "", *, max_tokens: int | None = None
    ) -> None:
        self._client, self._model = client, model
        self.session = session
        self._limit = {} if max_tokens is None else {"max_tokens": max_tokens}
        self.messages: list[dict[str, str]] = []

    async def say(self, text: str) -> AsyncGenerator[Part, None]:
        """Send a message and yield the answer, keeping what was heard of it. Raises AnswerFailed."""
        question = {"role": "user", "content": text}
        heard: list[str] = []
        try:
            async for part in self._ask([*self.messages, question]):
                heard.append(part.text)
                yield part
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise AnswerFailed(self._in_words(error)) from error
        finally:
            if answer := "".join(heard):
                self.messages += [question, {"role": "assistant", "content": answer}]

    async def _ask(self, messages: list[dict[str, str]]) -> AsyncGenerator[Part, None]:
        started_s = time.monotonic()
        headers = {b"X-Fast-Reply-Lanes": b"1", b"Content-Type": b"application/json"}
        if self.session:
            headers[b"X-Session-ID"] = self.session.encode()
        body = orjson.dumps({"model": self._model, "stream": True, "messages": messages, **self._limit})
        post = self._client.stream("POST", "/v1/chat/completions", content=body, headers=headers)
        async with post as response:
            if response.status_code != 200:
                raise AnswerFailed(refusal(response.status_code, await response.aread()))
            self.session = response.headers.get("X-Session-ID", self.session)
            parser = SSEParser()
            async for piece in response.aiter_bytes():
                for event in parser.feed(piece):
                    if event.data == b"[DONE]":
                        return
                    if part := _part(orjson.loads(event.data), int((time.monotonic() - started_s) * 1000)):
                        yield part
        raise AnswerFailed("the answer broke off: the stream ended before its end was announced")

    def _in_words(self, error: Exception) -> str:
        address = str(self._client.base_url).rstrip("/")
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return f"nobody answers at {address}; `fast-reply up` serves there once it is started"
            case httpx.TimeoutException():
                return f"{address} fell silent"
            case httpx.RemoteProtocolError() | httpx.ReadError():
                return "the answer broke off: the connection was lost"
            case ValueError():
                return f"{address} does not speak the protocol: {error}"
        return f"{address}: {error or type(error).__name__}"


def refusal(status: int, body: bytes) -> str:
    """Return why a gateway refused."""
    try:
        said = orjson.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = "no reason given"
    return f"refused with status {status}: {said}"


def _part(chunk: dict[str, Any], since_ms: int) -> Part | None:
    """Return a chunk's text and time; None where it has neither. Raises TurnFailed, ValueError."""
    if not isinstance(chunk, dict):
        raise ValueError("an event holds no object")
    if error := chunk.get("error"):
        raise AnswerFailed(str(error.get("message", error)) if isinstance(error, dict) else str(error))
    lane = chunk.get("fast_reply") or {}
    deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or ()]
    text = "".join(delta.get("content") or "" for delta in deltas)
    # Without the extra field it is some other server, with one lane only.
    return Part(lane.get("lane") or "full", text, int(lane.get("ms", since_ms)))
