"""Asks a gateway on behalf of a command: returns its answer, or one line that says what is wrong."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.text import Text

from cli.conversation import AnswerFailed, open_client, refusal
from cli.show import printable

Work = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


class Refused(Exception):
    """The gateway refused, or a file is wrong; the message is for people."""


def run(url: str, key: str, work: Work) -> int:
    """Run this with a client of the gateway; return the exit code."""

    async def connected() -> None:
        async with open_client(url, key) as client:
            await work(client)

    try:
        asyncio.run(connected())
    except (Refused, AnswerFailed, OSError, ValueError) as error:
        return _fail(str(error))
    except httpx.HTTPError as error:
        return _fail(f"{url} can't be reached: {error or type(error).__name__}")
    return 0


def _fail(text: str) -> int:
    Console(stderr=True).print(Text(printable(text), "red"), soft_wrap=True)
    return 1


async def send(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    what: str = "",
    content: bytes | None = None,
    kind: str = "application/json",
) -> dict[str, Any]:
    """Return the gateway's answer; a refusal names `what`. Raises Refused."""
    reply = await client.request(method, path, content=content, headers={"Content-Type": kind})
    if not reply.is_success:
        raise Refused(f"{what}: {refusal(reply.status_code, reply.content)}".removeprefix(": "))
    answer: dict[str, Any] = orjson.loads(reply.content)
    return answer
