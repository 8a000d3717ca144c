"""The two stores: the server of the session logs and the server of the queue, which may be one."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
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


_BATCH = 200
_CONNECT_S = 2.0
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


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


class Batcher:
    """Puts what many tasks ask of one server at the same moment into one round trip.

    While one batch is on its way the next gathers; alone, a request goes at once. Batches are transactions,
    so each request's commands take effect together or not at all.
    """

    def __init__(self, redis: Redis, timeout_s: float) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._waiting: list[tuple[Build, asyncio.Future[list[Any]]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def run(self, build: "Build") -> list[Any]:
        """The replies to the commands that `build` queues. Raises STORE_ERRORS."""
        replies: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((build, replies))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await replies

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                await self._send(batch)
        finally:
            self._flushing = None

    async def _send(self, batch: "list[tuple[Build, asyncio.Future[list[Any]]]]") -> None:
        pipe = self._redis.pipeline(transaction=True)
        sent: list[tuple[asyncio.Future[list[Any]], int]] = []
        for build, waiter in batch:
            start = len(pipe)
            try:
                build(pipe)
            except Exception as error:  # one bad request must not spoil the others
                del pipe.command_stack[start:]
                waiter.set_exception(error)
            else:
                sent.append((waiter, start))
        try:
            async with asyncio.timeout(self._timeout_s):
                replies = await pipe.execute(raise_on_error=False)
        except Exception as error:
            for waiter, _ in sent:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        for (waiter, start), (_, end) in zip(sent, [*sent[1:], (None, len(replies))], strict=True):
            _answer(waiter, replies[start:end])


def _answer(waiter: "asyncio.Future[list[Any]]", replies: list[Any]) -> None:
    if waiter.done():
        return  # whoever asked has gone
    error = next((reply for reply in replies if isinstance(reply, Exception)), None)
    if error:
        waiter.set_exception(error)
    else:
        waiter.set_result(replies)


@dataclass(frozen=True, slots=True)
class Stores:
    """Connections to both servers. `shared`: they are one, and a single batch may write to both.

    `patient` connections have no timeout of their own: for those who wait long, or time many replies as one.
    """

    log: Redis
    queue: Redis
    patient_log: Redis
    patient_queue: Redis
    on_log: Batcher
    on_queue: Batcher
    shared: bool
    timeout_s: float
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


def connect(url: str, timeout_s: float | None, connections: int = 64) -> ArqRedis:
    """A client whose every command ends within about the timeout, if there is one. Connects at first use."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s or _CONNECT_S,
        socket_keepalive=True,  # who only listens learns of a dead peer in no other way
        socket_keepalive_options=_KEEPALIVE,
    )
    return ArqRedis(pool, job_serializer=encode_job, job_deserializer=orjson.loads)


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Both stores, closed at the end. Neither need be up yet."""
    timeout_s = settings.redis_timeout_s
    log, patient_log = connect(settings.redis_url, timeout_s), connect(settings.redis_url, None)
    queue, patient_queue = log, patient_log
    on_log = on_queue = Batcher(patient_log, timeout_s)
    log_clock = queue_clock = ServerClock()
    if not settings.shared_server:
        url = settings.queue_url or settings.redis_url
        queue, patient_queue = connect(url, timeout_s), connect(url, None)
        on_queue, queue_clock = Batcher(patient_queue, timeout_s), ServerClock()
    try:
        yield Stores(
            log=log,
            queue=queue,
            patient_log=patient_log,
            patient_queue=patient_queue,
            on_log=on_log,
            on_queue=on_queue,
            shared=settings.shared_server,
            timeout_s=timeout_s,
            log_clock=log_clock,
            queue_clock=queue_clock,
        )
    finally:
        for client in {id(c): c for c in (log, queue, patient_log, patient_queue)}.values():
            await client.aclose(close_connection_pool=True)


Pipe = Pipeline
"""A batch of commands on its way to one server."""

Build = Callable[[Pipe], object]
"""Queues one request's commands."""
