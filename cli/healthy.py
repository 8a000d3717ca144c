"""`fast-reply healthy`: checks one of this machine's processes, for a container's health check."""

import socket
from typing import cast

import httpx
from redis import Redis
from redis.exceptions import RedisError

from common.names import LANES_OF_WORKERS, Lane
from common.settings import Settings
from common.store.keys import workers

_RECENT_MS = 10_000
_WAIT_S = 3.0


def is_healthy(settings: Settings, kind: str) -> bool:
    """Return True if this machine's `api`, or a worker of this lane on it, is well."""
    for lane in LANES_OF_WORKERS:
        if lane == kind:
            return _worker_is_healthy(settings, lane)
    return _api_is_healthy(settings)


def _api_is_healthy(settings: Settings) -> bool:
    try:
        return (
            httpx.get(f"{local_url(settings)}/healthz", timeout=_WAIT_S, trust_env=False).status_code == 200
        )
    except httpx.HTTPError:
        return False


def _worker_is_healthy(settings: Settings, lane: Lane) -> bool:
    url = settings.queue_url or settings.redis_url
    try:
        with Redis.from_url(url, socket_timeout=_WAIT_S, socket_connect_timeout=_WAIT_S) as queue:
            return has_beaten(queue, lane, socket.gethostname())
    except (RedisError, OSError):
        return False


def has_beaten(queue: Redis, lane: Lane, host: str) -> bool:
    """Return True if a worker of this lane and host has sent a beat in the server's last ten seconds."""
    # redis-py types its commands for both of its clients at once.
    seconds, micros = cast(tuple[int, int], queue.time())
    since_ms = seconds * 1000 + micros // 1000 - _RECENT_MS
    members = cast(list[bytes], queue.zrangebyscore(workers(lane), since_ms, "+inf"))
    return any(member.startswith(f"{host}:".encode()) for member in members)


def local_url(settings: Settings) -> str:
    """Return the URL at which this machine reaches its own API."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
