"""Turns whose starting process is killed on the way."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
from store_servers import Backend

from common.refs import SessionRef, TurnRef
from common.tenants.config import Limits

HERE = Path(__file__).parent


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
    arguments = [orjson.dumps({**where, **names}), orjson.dumps(policy or {}), str(round_trips), key]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        HERE / "dying_starter.py",
        *arguments,
        *([limits.model_dump_json()] if limits else []),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )
    out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    return TurnRef(SessionRef("default", "s1"), out.decode().strip())
