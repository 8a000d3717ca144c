"""A client that costs little: it writes down what came and when, and reads it once the answer is whole."""

import asyncio
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

import orjson

PATH = "/v1/chat/completions"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKS_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Piece:
    """Text as it came; `lane` is empty where the answer doesn't say."""

    at_s: float
    text: str
    lane: str


@dataclass(slots=True)
class Reply:
    """One answer; times are of time.monotonic()."""

    status: int
    sent_s: float
    ended_s: float
    pieces: list[Piece] = field(default_factory=list)
    done: bool = False  # the stream came to its proper end
    error: Any = None
    headers: str = ""
    body: bytes = b""  # of an answer that is not streamed

    @property
    def text(self) -> str:
        """The whole text."""
        return self.lane(None)

    @property
    def whole(self) -> bool:
        """True if the answer came to its proper end without an error."""
        return self.status == 200 and self.done and self.error is None

    @property
    def first_s(self) -> float:
        """Seconds from the request to the first text. Raises IndexError where there was none."""
        return self.pieces[0].at_s - self.sent_s

    def lane(self, name: str | None) -> str:
        """Return one lane's text, or with None the text of all."""
        return "".join(piece.text for piece in self.pieces if name in (None, piece.lane))


class Exchange(asyncio.Protocol):
    """One request and its answer on a connection of its own."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self._sent_s = 0.0
        self._parts: list[tuple[float, bytes]] = []
        self._tail = b""
        self._missing: int | None = None  # bytes of an answer whose length is known

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        if not self._parts and (length := _LENGTH.search(data)):
            self._missing = int(length[1]) + data.index(b"\r\n\r\n") + 4
        self._parts.append((monotonic(), data))
        if self._missing is None:
            self._tail = (self._tail + data)[-5:]
            if self._tail == _CHUNKS_END:
                self._end()
        else:
            self._missing -= len(data)
            if self._missing <= 0:
                self._end()

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def send(self, port: int, body: bytes, headers: str = "", path: str = PATH) -> None:
        """Send the request; `headers` are whole lines."""
        assert self._transport is not None
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n"
        )
        self._sent_s = monotonic()
        self._transport.write(head.encode() + body)

    def read(self) -> Reply:
        """Parse what has come so far."""
        head, _, first = self._parts[0][1].partition(b"\r\n\r\n") if self._parts else (b"", b"", b"")
        status = int(head.split(b" ", 2)[1]) if head else 0
        reply = Reply(status, self._sent_s, self._parts[-1][0] if self._parts else monotonic())
        reply.headers = head.decode("latin-1")
        parts = [(self._parts[0][0], first), *self._parts[1:]] if self._parts else []
        if self._missing is not None:
            reply.body = b"".join(data for _, data in parts)
            reply.done = True
            return reply
        _read_stream(reply, parts)
        return reply

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.close()


def _read_stream(reply: Reply, parts: list[tuple[float, bytes]]) -> None:
    coded, events = b"", b""
    for at_s, data in parts:
        coded += data
        while True:
            size, mark, rest = coded.partition(b"\r\n")
            length = int(size, 16) if mark else 0
            if not mark or len(rest) < length + 2:
                break
            events += rest[:length]
            coded = rest[length + 2 :]
        *whole, events = events.split(b"\n\n")
        for event in whole:
            _read_event(reply, at_s, event)


def _read_event(reply: Reply, at_s: float, event: bytes) -> None:
    # Split bytes: str.splitlines would cut inside the JSON, at U+2028 and others.
    data = b"\n".join(line[6:] for line in event.split(b"\n") if line.startswith(b"data: "))
    if not data:
        return
    if data == b"[DONE]":
        reply.done = True
        return
    chunk = orjson.loads(data)
    reply.error = reply.error or chunk.get("error")
    for choice in chunk.get("choices") or ():
        if text := choice["delta"].get("content"):
            reply.pieces.append(Piece(at_s, text, chunk.get("fast_reply", {}).get("lane", "")))


async def connect(port: int) -> Exchange:
    """A connection on which one request may be sent."""
    loop = asyncio.get_running_loop()
    _, exchange = await loop.create_connection(Exchange, "127.0.0.1", port)
    return exchange


def ask_for(prompt: str, *, model: str | None = None, stream: bool = True, **fields: Any) -> bytes:
    """The body of a request."""
    body: dict[str, Any] = {"stream": stream, "messages": [{"role": "user", "content": prompt}], **fields}
    if model:
        body["model"] = model
    return orjson.dumps(body)


async def ask(port: int, body: bytes, headers: str = "", within_s: float = 60.0, path: str = PATH) -> Reply:
    """Ask on a fresh connection and wait for the whole answer. Raises TimeoutError."""
    exchange = await connect(port)
    exchange.send(port, body, headers, path)
    await asyncio.wait_for(exchange.ended, within_s)
    return exchange.read()


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Our own garbage collections take tens of milliseconds, which must not count as the gateway's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def ask_at_once(port: int, bodies: list[bytes], headers: str = "") -> list[Reply]:
    """Ask all of these in one instant, on connections made before."""
    exchanges = [await connect(port) for _ in bodies]
    with _no_garbage():
        for exchange, body in zip(exchanges, bodies, strict=True):
            exchange.send(port, body, headers)
        await asyncio.wait_for(asyncio.gather(*(exchange.ended for exchange in exchanges)), 120.0)
    return [exchange.read() for exchange in exchanges]
