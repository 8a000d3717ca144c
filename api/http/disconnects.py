"""Clients that wait for a whole answer, and may leave, or lose their key, before it is ready."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request

from api.auth.authenticator import not_valid, watching
from common.errors import FastReplyError

T = TypeVar("T")


class ClientLeft(FastReplyError):
    """The client has closed its connection; nobody reads this error."""

    status = 499


async def while_waiting(
    request: Request, work: Coroutine[Any, Any, T], on_left: Callable[[bool], None] | None = None
) -> T:
    """Run the work while its client waits. If the client leaves, cancel the work and call `on_left`, with
    True if its key ended.

    Raises ClientLeft, Unauthorized if the key has ended meanwhile, and whatever the work raises.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    with watching(request.scope) as over:
        try:
            await asyncio.wait((working, leaving, over), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)
    if on_left:
        on_left(over.done())
    raise not_valid() if over.done() else ClientLeft("the client has left")


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
