"""Turns whose starting process is killed on the way."""

import asyncio
import multiprocessing
import signal
from typing import Any

from common.names import SessionRef, TurnRef
from common.tenants.config import Limits
from tests.support.dying_starter import start
from tests.support.forking import forked
from tests.support.store_servers import Backend


async def start_and_die(
    backend: Backend,
    round_trips: int,
    *,
    policy: dict[str, Any] | None = None,
    key: str = "",
    limits: Limits | None = None,
) -> TurnRef:
    """Let a process start a turn, and be killed after so many round trips. `key`: its request has."""
    where = {"redis_url": backend.log_url, "queue_url": backend.queue_url}
    names = {"llm_model": "full", "small_model": "draft", "turn_lease_s": 600, "lane_lease_s": 600}
    heard, said = multiprocessing.Pipe(duplex=False)
    limited = limits.model_dump_json() if limits else "{}"
    starter = forked(start, {**where, **names}, policy or {}, round_trips, key, limited, said)
    await asyncio.to_thread(starter.join)
    assert starter.exitcode == -signal.SIGKILL
    return TurnRef(SessionRef("default", "s1"), heard.recv())
