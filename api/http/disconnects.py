"""A client that waits for a whole answer: it may leave before that, or have to."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request

from api.auth.authenticator import not_valid, watching
from common.errors import FastReplyError

T = TypeVar("T")


class ClientLeft(FastReplyError):
    """Nobody is there to read it."""

    status = 499


async def while_waiting(
    request: Request, work: Coroutine[Any, Any, T], on_left: Callable[[bool], None] | None = None
) -> T:
    """Do this work for as long as its client waits; `on_left` is called where it doesn't, with true where it
    had to leave.

    Raises ClientLeft, Unauthorized where its key has ended meanwhile, and what the work raises.
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
