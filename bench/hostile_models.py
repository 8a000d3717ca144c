"""The model servers of a hostile tenant: what each sends, at a bounded rate. A path names one of them."""

import asyncio
from collections.abc import AsyncIterator

import orjson

PIECE_BYTES = 65_536
PAUSE_S = 0.01  # after a piece: 6.5 MB a second a stream at most
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_UNPUNCTUATED = "ab cd abc bb ca dab "
_DRAFT_CHARS = 10_000


def _event(text: str) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}) + b"\n\n"


_ENDS = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
FLOODS: dict[str, bytes] = {
    "tokens": _event("grow ") * (PIECE_BYTES // 64),
    "empty": _event("") * (PIECE_BYTES // 64),
    "comments": b": x\n" * (PIECE_BYTES // 4),
    "blanks": b"\n" * PIECE_BYTES,
    "huge": _event("many words " * 90_000),
}
"""What a server sends again and again, by its name."""


async def serve(port: int) -> asyncio.Server:
    """All of them, on this port."""
    return await asyncio.start_server(_answer, "127.0.0.1", port)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        name = head.split(b" ", 2)[1].decode().split("/")[1]
        await _skip_body(reader, head)
        writer.write(_HEAD)
        async for piece in _pieces(name):
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
    except (OSError, EOFError):
        pass  # whoever asked has left
    finally:
        writer.close()


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)


async def _pieces(name: str) -> AsyncIterator[bytes]:
    if name in FLOODS:
        while True:
            yield FLOODS[name]
            await asyncio.sleep(PAUSE_S)
    elif name == "unpunctuated":  # a token an event, as quickly as a model may
        for _ in range(_DRAFT_CHARS // len(_UNPUNCTUATED)):
            yield b"".join(_event(word + " ") for word in _UNPUNCTUATED.split())
            await asyncio.sleep(PAUSE_S)
        yield _ENDS
    else:
        await asyncio.sleep(2.0 if name == "late" else 0.1)
        yield _event("We open at nine.") + _ENDS
