"""The replies of Redis' clients, whose types leave open if they are awaited, and take bytes for text."""

from collections.abc import Awaitable, Callable
from typing import Any

import redis
from redis.asyncio import Redis


async def reply(asked: object) -> Any:
    """Return what a client of asyncio's answers."""
    assert isinstance(asked, Awaitable)
    return await asked


def at_once(answer: object) -> Any:
    """Return what a client without asyncio has answered."""
    assert not isinstance(answer, Awaitable)
    return answer


def command(client: redis.Redis, *words: str) -> Any:
    """Return the reply to a command that the client has no method for."""
    ask: Callable[..., Any] = client.execute_command
    return ask(*words)


def contents(client: redis.Redis | Redis, kind: bytes, key: bytes) -> Any:
    """Ask for all that a key of this kind holds; nothing where it has expired."""
    of_any: Any = client
    match kind:
        case b"string":
            return of_any.get(key)
        case b"hash":
            return of_any.hgetall(key)
        case b"set":
            return of_any.smembers(key)
        case b"zset":
            return of_any.zrange(key, 0, -1)
        case b"list":
            return of_any.lrange(key, 0, -1)
        case b"stream":
            return of_any.xrange(key)
    return None


async def everything(client: Redis) -> list[tuple[bytes, Any]]:
    """Return all keys of a server and what they hold, to be searched."""
    found = []
    async for key in client.scan_iter(count=1000):
        reading = contents(client, await client.type(key), key)
        found.append((key, await reading if reading else None))
    return found
