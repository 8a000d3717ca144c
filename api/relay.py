"""The relay: sends what a live turn releases to one client, as server-sent events.

A response of its own rather than Starlette's stream: it notices a client that leaves or stalls, sends
heartbeats, and puts all that is ready into one write.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT = b": still here\n\n"
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class EventStream(Response):
    """Streams batches of bytes until they end; `on_left` is called where the client went first."""

    def __init__(
        self,
        batches: AsyncIterator[bytes],
        *,
        headers: dict[str, str],
        heartbeat_s: float,
        send_timeout_s: float,
        on_left: Callable[[], None],
    ) -> None:
        super().__init__(headers={**_HEADERS, **headers})
        del self.headers["content-length"]
        self._batches = batches
        self._heartbeat_s = heartbeat_s
        self._send_timeout_s = send_timeout_s
        self._on_left = on_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                if not sending.result():
                    self._on_left()
            else:
                self._on_left()
        finally:
            for task in (sending, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _send_all(self, send: Send) -> bool:
        """Whether the client took it all."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        batches = aiter(self._batches)
        coming: asyncio.Task[bytes] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(batches))
                done, _ = await asyncio.wait((coming,), timeout=self._heartbeat_s)
                body = HEARTBEAT
                if done:
                    finished, coming = coming, None
                    body = finished.result()
                async with asyncio.timeout(self._send_timeout_s):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        except StopAsyncIteration:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return True
        except (TimeoutError, OSError):
            return False  # a reader that stalls for that long is gone
        finally:
            if coming:
                coming.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
