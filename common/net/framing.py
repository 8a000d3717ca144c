"""Messages over a pipe between a process and its child: four bytes of length, then the body."""

from typing import BinaryIO

import orjson

LENGTH_BYTES = 4


def pack(value: object) -> bytes:
    """Return a framed message with this value as JSON."""
    return frame(orjson.dumps(value))


def frame(body: bytes) -> bytes:
    """Return a framed message with this body."""
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read(asked: BinaryIO) -> bytes | None:
    """Return the next message's body; None once the pipe is closed."""
    head = asked.read(LENGTH_BYTES)
    return asked.read(int.from_bytes(head, "big")) if len(head) == LENGTH_BYTES else None
