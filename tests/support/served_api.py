"""The API's own application on a socket, in the test's process, and sessions written for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import uvicorn

from api.main import server_config
from common.events import Event, TurnStarted, encode
from common.names import SessionRef
from common.net.sse import ServerEvent, SSEParser
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores
from tests.support.waiting import end, until


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a served application."""
    config = server_config(settings)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    # Of this protocol by name: else asyncio doesn't switch off delays, and every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            await until(lambda: server.started)
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
                yield client
        finally:
            server.should_exit = True
            await until(task.done)
            await end(task)


async def write_session(
    stores: Stores, session: SessionRef, events: list[tuple[int, Event]], *, start_ms: int = 1_000
) -> list[str]:
    """Put a session there as if its turns had gone on at these times; its entries' ids."""
    ids = []
    for number, (ms, event) in enumerate(events):
        entry_id = f"{start_ms + ms}-{number}"
        await stores.log.xadd(keys.log(session), encode(event), id=entry_id)  # type: ignore[arg-type]
        ids.append(entry_id)
    begun = [start_ms + ms for ms, event in events if isinstance(event, TurnStarted)]
    await list_session(stores, session, begun[-1])
    return ids


async def list_session(stores: Stores, session: SessionRef, last_turn_ms: int) -> None:
    """Put a session into the index."""
    await stores.queue.zadd(keys.sessions(session.tenant), {session.quoted: last_turn_ms})


class Events:
    """The server-sent events of a response, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.aiter_bytes()
        self._parser = SSEParser()
        self._read: list[ServerEvent] = []

    async def next(self) -> ServerEvent | None:
        """The next event; None at the stream's end."""
        while not self._read:
            piece = await anext(self._pieces, None)
            if piece is None:
                return None
            self._read = self._parser.feed(piece)
        return self._read.pop(0)

    async def rest(self) -> list[ServerEvent]:
        """All events to the stream's end."""
        found = []
        while event := await self.next():
            found.append(event)
        return found


@asynccontextmanager
async def open_port(serve: Callable[..., Awaitable[None]]) -> AsyncIterator[int]:
    """What serves bare connections; its port of the loopback interface."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]
