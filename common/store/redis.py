"""The two stores, which may be one server: that of the session logs, and that of the queue."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from arq.connections import ArqRedis
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.client import Pipeline as Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import BusyLoadingError, ReadOnlyError, RedisError, WatchError

from common.settings import Settings
from common.store import keys
from common.store.clocks import ServerClock
from common.store.signed import RecordSigner, record_signer

logger = logging.getLogger(__name__)
T = TypeVar("T")


class StoreUnavailable(Exception):
    """A store is away, or refuses to answer; the request may be repeated. `cause`: the client's exception."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause

    @property
    def reason(self) -> str:
        """The cause's type, for the logs: its message may hold somebody's words."""
        return type(self.cause).__name__


@asynccontextmanager
async def answered_within(seconds: float | None) -> AsyncIterator[None]:
    """Limit the time for which a store is asked. Raises StoreUnavailable; a WatchError passes through."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except WatchError:
        raise
    except (RedisError, OSError) as error:  # a TimeoutError is an OSError
        raise StoreUnavailable(error) from error


_BATCH = 200
_SYNC_S = 1.0
_PROBE_MS = 1_000
_DEMOTED = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN")
_INSIST_S, _INSIST_MOST_S = 0.05, 0.4
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}

_KEPT_ALIVE: dict[str, Any] = {  # a connection that only listens learns of a dead peer in no other way
    "socket_keepalive": True,
    "socket_keepalive_options": _KEEPALIVE,
}


class Batcher:
    """Puts the requests that many tasks make of one server at the same moment into one round trip.

    While one batch is on its way the next gathers; alone, a request goes at once. Batches are transactions,
    so each request's commands take effect together or not at all.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[tuple[Commands, asyncio.Future[list[Any]]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def run(self, build: "Commands") -> list[Any]:
        """Return the replies to the commands that `build` queues. Raises StoreUnavailable."""
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

    async def _send(self, batch: "list[tuple[Commands, asyncio.Future[list[Any]]]]") -> None:
        pipe = self._redis.pipeline(transaction=True)
        sent: list[tuple[asyncio.Future[list[Any]], int]] = []
        for build, waiter in batch:
            start = len(pipe)
            try:
                build(pipe)
            except Exception as error:  # one bad request must not fail the others
                del pipe.command_stack[start:]
                waiter.set_exception(error)
            else:
                sent.append((waiter, start))
        if not sent:
            return
        try:
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
        return  # nobody waits for the reply any more
    error = next((reply for reply in replies if isinstance(reply, Exception)), None)
    if error:
        waiter.set_exception(error)
    else:
        waiter.set_result(replies)


@dataclass(frozen=True, slots=True)
class Stores:
    """Both servers. `shared`: they are one, and a single batch may write to both.

    `append_connection` is a connection of its own to the log's server, so that writers see when it is
    reconnected. `signer` signs the records that grant access.
    """

    log: "TimedRedis"
    append_connection: "TimedRedis"
    queue: "TimedRedis"
    on_log: Batcher
    on_queue: Batcher
    shared: bool
    log_clock: ServerClock
    queue_clock: ServerClock
    signer: RecordSigner = field(default_factory=RecordSigner)

    async def sync_clocks(self) -> None:
        """Ask both servers for the time. Raises StoreUnavailable; the other server's time is set all the
        same.
        """
        servers = self._servers()
        failures = await asyncio.gather(*(_sync(*each) for each in servers), return_exceptions=True)
        for failure in failures:
            if isinstance(failure, BaseException):
                raise failure

    async def keep_clocks(self) -> None:
        """Ask each server for the time now and then, independently of the other, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._servers():
                tasks.create_task(_keep_clock(*each))

    def _servers(self) -> "list[tuple[TimedRedis, ServerClock]]":
        servers = [(self.queue, self.queue_clock)]
        return servers if self.shared else [*servers, (self.log, self.log_clock)]

    async def try_to_write(self) -> None:
        """Write to both servers. Raises StoreUnavailable, also if one accepts no writes: a replica, or a
        full one.
        """
        for redis, _ in self._servers():
            await redis.set(keys.PROBE, b"", px=_PROBE_MS)


async def _sync(redis: "TimedRedis", clock: ServerClock) -> bool:
    """Ask one server for the time, and return True if its clock was stepped. Raises StoreUnavailable."""
    asked = clock.asked_at()
    return clock.set_from(await redis.time(), asked)


async def _keep_clock(redis: "TimedRedis", clock: ServerClock) -> None:
    while True:
        with suppress(StoreUnavailable):
            if await _sync(redis, clock):
                logger.warning("a store's clock was stepped")
        await asyncio.sleep(_SYNC_S)


async def insist(act: Callable[[], Awaitable[T]], until: Callable[[], bool] = lambda: False) -> T | None:
    """Repeat an act that may be done twice until it succeeds; return None if `until` comes first.

    A store that is away, or a connection that breaks, only delays it.
    """
    wait_s = _INSIST_S
    while not until():
        try:
            return await act()
        except StoreUnavailable as error:
            logger.warning("the store is away; trying on", extra={"error": error.reason})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _INSIST_MOST_S)
    return None


def encode_job(value: Any) -> bytes:
    """Serialize for arq in place of pickle: data from Redis must never be able to run."""
    return orjson.dumps(value, default=repr)


async def _leave_demoted(pool: ConnectionPool, error: RedisError) -> None:
    """Drop the connections if the server says that it is no longer, or not yet, a master.

    New ones may lead to another server. A server that can't write for want of memory, disk or replicas is
    kept.
    """
    if str(error).startswith(_DEMOTED) or isinstance(error, ReadOnlyError | BusyLoadingError):
        logger.warning("the store is no master", extra={"error": type(error).__name__})
        await pool.disconnect(inuse_connections=False)


class TimedRedis(ArqRedis):
    """A client whose every command or pipeline ends within a time, except for listening to a channel.

    It replaces redis-py's own socket timeout, which rests on asyncio.wait_for: that can swallow a
    cancellation in Python 3.11, and makes a timer for every reply.
    """

    timeout_s: float = 1.5
    connects: int = 0  # how many connections were made

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async with answered_within(self.timeout_s):
            try:
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except RedisError as error:
                await _leave_demoted(self.connection_pool, error)
                raise

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "TimedPipeline":
        pipe = TimedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.timeout_s = self.timeout_s
        return pipe


class TimedPipeline(Pipeline):
    """A pipeline that ends within a time."""

    timeout_s: float = 1.5

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        async with answered_within(self.timeout_s):
            try:
                replies: list[Any] = await super().execute(raise_on_error)
            except RedisError as error:
                await _leave_demoted(self.connection_pool, error)
                raise
            for place, reply in enumerate(replies):
                if isinstance(reply, RedisError):
                    await _leave_demoted(self.connection_pool, reply)
                    replies[place] = StoreUnavailable(reply)
            return replies

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        async with answered_within(self.timeout_s):
            try:
                return await super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except WatchError as error:  # before `execute` it says that the connection broke
                raise StoreUnavailable(error) from error

    async def __aexit__(self, *raised: Any) -> None:
        async with answered_within(self.timeout_s):
            await super().__aexit__(*raised)  # type: ignore[no-untyped-call]


def connect(url: str, timeout_s: float, connections: int = 64) -> TimedRedis:
    """Return a client of one server. It connects at first use."""

    async def count(connection: AbstractConnection) -> None:
        client.connects += 1
        await connection.on_connect()

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        **({} if url.startswith("unix:") else _KEPT_ALIVE),
        redis_connect_func=count,
    )
    client = TimedRedis(pool, job_serializer=encode_job, job_deserializer=orjson.loads)
    client.timeout_s = timeout_s
    return client


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open both stores, and close them at the end. Neither needs to be up yet."""
    log = queue = connect(settings.redis_url, settings.redis_timeout_s)
    writing = connect(settings.redis_url, settings.redis_timeout_s, connections=1)
    on_log = on_queue = Batcher(log)
    log_clock = queue_clock = ServerClock()
    if not settings.shared_server:
        queue = connect(settings.queue_url or settings.redis_url, settings.redis_timeout_s)
        on_queue, queue_clock = Batcher(queue), ServerClock()
    try:
        yield Stores(
            log,
            writing,
            queue,
            on_log,
            on_queue,
            settings.shared_server,
            log_clock,
            queue_clock,
            record_signer(settings),
        )
    finally:
        await log.aclose(close_connection_pool=True)
        await writing.aclose(close_connection_pool=True)
        if not settings.shared_server:
            await queue.aclose(close_connection_pool=True)


Commands = Callable[[Pipeline], object]
"""Queues one request's commands."""
