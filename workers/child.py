"""A child process that reads untrusted texts in place of this one; it is killed if it takes too long."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from common.net import framing
from common.net.framing import LENGTH_BYTES

_ROOT = Path(framing.__file__).parents[framing.__name__.count(".")]
# The child reads strangers' texts, so it gets no keys.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")


class Child:
    """Runs a module that answers messages; the process starts with the first question."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        """Start the process unless it runs. Raises OSError if the machine cannot start one."""
        self._process = self._process or await self._start()

    async def ask(self, question: bytes) -> None:
        """Send one message or several. Raises OSError."""
        await self.begin()
        process = self._process
        assert process and process.stdin
        process.stdin.write(question)
        await process.stdin.drain()

    async def answer(self) -> bytes:
        """Return the next message's body. Raises OSError, or EOFError if the process has ended."""
        assert self._process and self._process.stdout
        head = await self._process.stdout.readexactly(LENGTH_BYTES)
        return await self._process.stdout.readexactly(int.from_bytes(head, "big"))

    async def close(self) -> int | None:
        """End the process and return its exit code, also if it had ended before; None if there was none."""
        process, self._process = self._process, None
        if not process:
            return None
        with suppress(ProcessLookupError):  # it has just ended
            process.kill()
        await process.communicate()
        return process.returncode

    async def _start(self) -> asyncio.subprocess.Process:
        pipe, environ = asyncio.subprocess.PIPE, {"PYTHONPATH": str(_ROOT)}
        environ |= {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        command = (sys.executable, "-P", "-m", self._module)
        # An error message may hold the texts, so it is discarded.
        return await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=environ
        )
