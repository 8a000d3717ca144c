"""One HTTP exchange on raw ASGI, which knows at once when its client leaves."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ROUNDING_S = 0.0005  # uvloop rounds delays to whole milliseconds: up, not to the nearest
_FOREVER_S = 86_400.0


class ConnectionCut(Exception):
    """Raised through the server, which then breaks the connection: ASGI has no other way to do so."""


class Connection:
    """Writes a response and sleeps between its parts; `left_s` is when the client left (monotonic)."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.left_s: float | None = None
        self.dribble = False
        self._receive = receive
        self._send = send
        self._sleeper: asyncio.Future[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def read_body(self) -> bytes:
        """Return the whole request body, or less if the client left."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.left_s = monotonic()
                return b"".join(parts)
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    def watch(self) -> None:
        """Begin to watch for the client's leaving; after `read_body`, as both receive."""
        self._watch = asyncio.create_task(self._wait_for_leaving())

    def unwatch(self) -> None:
        """Stop watching: what happens next is the end of the response, not the client's leaving."""
        if self._watch is not None:
            self._watch.cancel()

    async def sleep_until(self, due_s: float | None) -> bool:
        """Sleep until that monotonic time (None: for ever) or the client leaves; return True if it stays."""
        loop = asyncio.get_running_loop()
        # Timers fire up to a millisecond early, hence the loop.
        while self.left_s is None and (due_s is None or due_s > monotonic()):
            self._sleeper = loop.create_future()
            delay_s = _FOREVER_S if due_s is None else due_s - monotonic()
            timer = loop.call_later(delay_s + _ROUNDING_S, _wake, self._sleeper)
            try:
                await self._sleeper
            finally:
                self._sleeper = None
                timer.cancel()
        return self.left_s is None

    async def open(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status line and the headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, *, last: bool = False) -> None:
        """Send a part of the body; waits while the client does not read."""
        if self.dribble:
            for index in range(len(body)):
                if self.left_s is not None:
                    return
                await self._send(
                    {"type": "http.response.body", "body": body[index : index + 1], "more_body": True}
                )
                await asyncio.sleep(0)  # let the loop flush: one packet a byte
            body = b""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def answer(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        """Send a whole JSON response."""
        length = (b"content-length", str(len(body)).encode())
        await self.open(status, [(b"content-type", b"application/json"), length, *headers])
        await self.write(body, last=True)

    async def _wait_for_leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left_s = monotonic()
        if self._sleeper is not None:
            _wake(self._sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
