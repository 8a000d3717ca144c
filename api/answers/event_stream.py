"""The relay: sends what a live turn releases to one client, as server-sent events.

A response of its own rather than Starlette's stream: it notices a client that leaves or stalls, and puts all
that is ready into one write.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.auth.authenticator import not_valid, watching
from api.limits.crowd import half_closed, next_probe
from common.errors import FastReplyError
from common.process.bugs import about
from common.watchdog import Watchdog

logger = logging.getLogger(__name__)

# One line end only: OpenAI's own client takes a blank line after a comment for an event without data.
HEARTBEAT = b": still here\n"
_BROKEN = FastReplyError("the answer could not be sent on", code="internal_error").body()
_LAST_WORD_S = 0.25  # for a client that must leave
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class EventStreamResponse(Response):
    """Streams batches of bytes until they end. `on_left` is called where the client went first, and told
    whether it had to, because its key has ended.

    `heartbeat_s`: the longest silence; None where the bytes are no server-sent events.
    """

    def __init__(
        self,
        batches: AsyncGenerator[bytes, None],
        *,
        headers: dict[str, str],
        heartbeat_s: float | None,
        send_timeout_s: float,
        on_left: Callable[[bool], None],
    ) -> None:
        super().__init__(headers={**_HEADERS, **headers})
        del self.headers["content-length"]
        self._batches = batches
        self._heartbeat_s = heartbeat_s
        self._send_timeout_s = send_timeout_s
        self._on_left = on_left
        self._begun = False
        self._sent_s = 0.0  # when something was sent last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(send))
        beating = self._send_heartbeats(send, half_closed(scope))
        others = (asyncio.create_task(_left(receive)), asyncio.create_task(beating))
        had_all = must_leave = False
        broken: Exception | None = None
        with watching(scope) as over:
            try:
                await asyncio.wait((sending, *others, over), return_when=asyncio.FIRST_COMPLETED)
                had_all = sending.done() and sending.result()
                must_leave = over.done() and not any(task.done() for task in (sending, *others))
            except asyncio.CancelledError:
                return  # the process stops: the client sees its connection end, and goes on elsewhere
            except Exception as bug:
                broken = bug
            finally:
                for task in (sending, *others):
                    task.cancel()
                await asyncio.gather(sending, *others, return_exceptions=True)
                await self._close_batches()
        if not had_all:
            self._on_left(must_leave)  # who asks now who else follows doesn't find this one
        if must_leave:
            await self._send_last(send, not_valid().body())
        elif broken:
            logger.error("a stream broke", extra=about(broken))
            await self._send_last(send, _BROKEN)

    async def _close_batches(self) -> None:
        try:
            await self._batches.aclose()
        except Exception as bug:  # the turn must not stay unfollowed for it
            logger.error("a stream could not be closed", extra=about(bug))

    async def _send_last(self, send: Send, error: dict[str, Any]) -> None:
        """Tell the client why nothing more comes. Lines just break off, so that they don't look whole."""
        if self._heartbeat_s is None or not self._begun:
            return
        body = b"data: %b\n\n" % orjson.dumps(error)
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LAST_WORD_S):
                await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_all(self, send: Send) -> bool:
        """Send all and return True if the client took it; one that takes nothing for `send_timeout_s` is
        gone.
        """
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._begun, self._sent_s = True, _now_s()
        try:
            async with Watchdog() as watchdog:
                async for body in self._batches:
                    watchdog.expect_within(self._send_timeout_s)
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    watchdog.rest()
                    self._sent_s = _now_s()
        except (TimeoutError, OSError):
            return False
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    async def _send_heartbeats(self, send: Send, half_closed: asyncio.Event) -> None:
        """A comment wherever nothing was sent for a while, and often where the client may be gone, which only
        that shows. Ends only by being cancelled.
        """
        if self._heartbeat_s is None:
            await asyncio.Event().wait()
            return
        pause_s: float | None = None
        while True:
            if half_closed.is_set() and self._begun:
                pause_s = next_probe(pause_s)
                await asyncio.sleep(pause_s)
            else:
                quiet_until_s = (self._sent_s or _now_s()) + self._heartbeat_s
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(quiet_until_s):
                        await half_closed.wait()
                if not half_closed.is_set() and _now_s() < self._sent_s + self._heartbeat_s:
                    continue
            if self._begun:
                await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
                self._sent_s = _now_s()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _now_s() -> float:
    return asyncio.get_running_loop().time()
