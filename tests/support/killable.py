"""Processes that work at a backend until they are killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.store_servers import Backend

_HERE = Path(__file__).parent


@asynccontextmanager
async def mortal(script: str, backend: Backend, *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of this folder's script, which may wait for a line; gone after the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        _HERE / script,
        backend.log_url,
        backend.queue_url or "",
        *args,
        stdin=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_HERE.parents[1])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
