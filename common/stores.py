"""The two stores: the server of the session logs and the server of the queue, which may be one."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from arq.connections import ArqRedis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from common.settings import Settings

STORE_ERRORS = (RedisError, OSError, TimeoutError)
"""What a command raises when its server is away, or answers that it can't."""


class ServerClock:
    """A server's own clock, kept by offset: one clock for all machines, steady when ours is stepped."""

    def __init__(self) -> None:
        self._offset_ms: float | None = None

    @property
    def known(self) -> bool:
        return self._offset_ms is not None

    def take(self, reply: tuple[int, int]) -> None:
        """Learn from a reply to TIME that has just come in."""
        seconds, micros = reply
        self._offset_ms = seconds * 1000 + micros / 1000 - time.monotonic() * 1000

    def now_ms(self) -> int:
        """Now on the server's clock; by our own until the server was first asked."""
        offset = self._offset_ms if self._offset_ms is not None else (time.time() - time.monotonic()) * 1000
        return int(time.monotonic() * 1000 + offset)


@dataclass(frozen=True, slots=True)
class Stores:
    """Connections to both servers. `shared`: they are one, and a single pipeline may write to both."""

    log: Redis
    queue: Redis
    shared: bool
    log_clock: ServerClock
    queue_clock: ServerClock

    async def sync_clocks(self) -> None:
        """Ask both servers for the time. Raises STORE_ERRORS."""
        self.queue_clock.take(await self.queue.time())
        if not self.shared:
            self.log_clock.take(await self.log.time())

    async def ping(self) -> None:
        """Raises STORE_ERRORS where a server is away."""
        await self.queue.ping()
        if not self.shared:
            await self.log.ping()


def encode_job(value: Any) -> bytes:
    """arq's serializer in place of pickle: what Redis holds must never be able to run."""
    return orjson.dumps(value, default=repr)


def connect(url: str, timeout_s: float, connections: int = 64) -> ArqRedis:
    """A client whose every command ends within about the timeout. Connects at first use."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
    )
    return ArqRedis(pool, job_serializer=encode_job, job_deserializer=orjson.loads)


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Both stores, closed at the end. Neither need be up yet."""
    log = connect(settings.redis_url, settings.redis_timeout_s)
    clock = ServerClock()
    if settings.shared_server:
        stores = Stores(log, log, True, clock, clock)
    else:
        queue = connect(settings.queue_url or settings.redis_url, settings.redis_timeout_s)
        stores = Stores(log, queue, False, clock, ServerClock())
    try:
        yield stores
    finally:
        await stores.log.aclose(close_connection_pool=True)
        if not stores.shared:
            await stores.queue.aclose(close_connection_pool=True)


Pipe = Pipeline
"""A batch of commands on its way to one server."""
