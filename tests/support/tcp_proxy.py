"""A TCP proxy in front of a server, which loses replies or whole connections when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from common.settings import Settings
from tests.support.store_servers import Backend


class Proxy:
    """Passes bytes on, both ways, until told otherwise."""

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self.lost = 0  # replies that were swallowed
        self.refusing = False
        self.refused = 0
        self._upstream_port = upstream_port
        self._swallow: bytes | None = None
        self._and_go = False
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    def lose_reply_to(self, part: bytes, *, and_go: bool = False) -> None:
        """Cut the connection after the next request that holds this, when the server has answered it.

        `and_go`: and all others with it, until `mend`.
        """
        self._swallow, self._and_go = part, and_go

    def silence(self) -> None:
        """Let no reply through until `speak`."""
        self._speaking.clear()

    def speak(self) -> None:
        self._speaking.set()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        self.refusing = True
        for pair in tuple(self._pairs):
            _close(pair)

    def lead_to(self, port: int) -> None:
        """Let new connections lead elsewhere; those that are there stay."""
        self._upstream_port = port

    def mend(self) -> None:
        """Let connections through again."""
        self.refusing = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, until either side ends it."""
        if self.refusing:
            self.refused += 1
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        pair = (writer, server_writer)
        self._pairs.add(pair)
        doomed = asyncio.Event()
        pumps = [
            asyncio.create_task(self._pass_requests(reader, server_writer, doomed)),
            asyncio.create_task(self._pass_replies(server_reader, writer, doomed)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._pairs.discard(pair)
            _close(pair)

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 20):
                if self._swallow and self._swallow in data:
                    self._swallow = None
                    doomed.set()
                writer.write(data)
                await writer.drain()

    async def _pass_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 20):
                if doomed.is_set():
                    self.lost += 1
                    if self._and_go:
                        self.cut()
                    return
                await self._speaking.wait()
                writer.write(data)
                await writer.drain()


def _close(pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
    for writer in pair:
        writer.close()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of this local port."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 21)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()


@asynccontextmanager
async def log_behind_proxy(backend: Backend) -> AsyncIterator[tuple[Proxy, Settings]]:
    """Settings that reach the log, and a queue that shares its server, through a proxy."""
    async with _in_front_of(backend.log_url) as (proxy, url):
        yield proxy, backend.settings(redis_url=url)


@asynccontextmanager
async def queue_behind_proxy(two_servers: Backend) -> AsyncIterator[tuple[Proxy, Settings]]:
    """Settings that reach a queue server of its own through a proxy."""
    assert two_servers.queue_url
    async with _in_front_of(two_servers.queue_url) as (proxy, url):
        yield proxy, two_servers.settings(queue_url=url)


@asynccontextmanager
async def _in_front_of(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    parts = urlsplit(url)
    assert parts.port
    async with proxy_to(parts.port) as proxy:
        yield proxy, f"redis://127.0.0.1:{proxy.port}{parts.path}"
