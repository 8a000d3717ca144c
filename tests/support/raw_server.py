"""A model's server that answers with bytes as they are given: broken, odd and oddly framed ones too."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from common.settings import Settings
from common.tenants.profiles import Upstream
from tests.support.served_api import open_port
from workers.main import open_client
from workers.providers.base import StreamPart
from workers.providers.openai import OpenAIProvider

HELLO: dict[str, Any] = {"model": "full", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class Asked:
    """One request: over which connection it came, its head and its body."""

    connection: int
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answers = Sequence[bytes | None] | Callable[[Asked], bytes | None]
"""What is sent for each request, the last for all others; None: the connection is closed without a word."""


@dataclass
class RawServer:
    """Says what it is told to, over connections that it keeps."""

    answers: Answers
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    flood: bytes = b""  # goes on behind an answer, for ever

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
                body = orjson.loads(await reader.readexactly(int(headers["content-length"])))
                asked = Asked(number, first.split(" ")[1], headers, body)
                self.asked.append(asked)
                answer = self._answer(asked)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                while self.flood:
                    writer.write(self.flood)
                    await writer.drain()
                if b"Connection: close" in answer:
                    break
        writer.close()

    def _answer(self, asked: Asked) -> bytes | None:
        if callable(self.answers):
            return self.answers(asked)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@dataclass
class Line:
    """The provider of OpenAI's dialect, over the worker's own client, and the server that it asks."""

    server: RawServer
    client: httpx.AsyncClient
    provider: OpenAIProvider

    async def ask(self, path: str = "/v1", host: str = "127.0.0.1", key: str = "k") -> list[StreamPart]:
        url = f"http://{host}:{self.server.port}{path}"
        pieces = self.provider.stream(Upstream(url, SecretStr(key), "full"), HELLO)
        return [piece async for piece in pieces]


@asynccontextmanager
async def answering(answers: Answers, **settings: Any) -> AsyncIterator[Line]:
    server = RawServer(answers)
    async with open_port(server.serve) as server.port, open_client(Settings(**settings)) as client:
        yield Line(server, client, OpenAIProvider(client))


def whole(
    body: bytes, *headers: bytes, status: bytes = b"200 OK", kind: bytes = b"text/event-stream"
) -> bytes:
    """An answer of a known length."""
    head = [b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def events(*chunks: dict[str, Any], end: bytes = b"data: [DONE]\n\n") -> bytes:
    """A stream of chunks."""
    return b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks) + end


def chunk(text: str = "", reason: str | None = None, **delta: Any) -> dict[str, Any]:
    said = {"content": text} if text else {}
    return {"choices": [{"index": 0, "delta": {**said, **delta}, "finish_reason": reason}]}


YES = events(chunk("Yes."), chunk(reason="stop"))
