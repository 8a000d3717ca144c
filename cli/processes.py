"""Child processes that live and die with this one, and are started again when they die alone.

One that dies soon after its start is not: it would again, and nobody would read why.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TETHER = str(Path(__file__).with_name("tether.py"))
_MOST_LINE_BYTES = 65_536

Say = Callable[[str, str], None]
"""Takes a name and one line of what it says."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run, and the name to speak of it by."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def how_it_died(code: int) -> str:
    """Describe an exit code in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


class Keeper:
    """Keeps one child running until told to stop."""

    def __init__(self, child: Command, say: Say, settled_s: float, grace_s: float) -> None:
        self.child = child
        self._say, self._settled_s, self._grace_s = say, settled_s, grace_s
        self._process: asyncio.subprocess.Process | None = None
        self._stop = asyncio.Event()

    async def run(self) -> str | None:
        """Start the child, again and again. Return why it was given up, None when told to stop."""
        name, clock = self.child.name, asyncio.get_running_loop().time
        while True:
            settled_at_s = clock() + self._settled_s
            died = how_it_died(await self._live())
            if self._stop.is_set():
                return None
            if clock() < settled_at_s:
                return f"{name} {died} within {self._settled_s:g} s of its start"
            self._say("fast-reply", f"{name} {died}; starting it again")

    def stop(self) -> None:
        """Ask the child to end; it is killed after its grace."""
        self._stop.set()

    def kill(self) -> None:
        """Kill the child now."""
        self._grace_s = 0.0
        self._stop.set()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _live(self) -> int:
        """One life of the child, from start to exit code."""
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _TETHER, str(os.getpid()), *self.child.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.child.env,
            start_new_session=True,  # a terminal's Ctrl-C is for us alone: the children stop in order
        )
        speaking = asyncio.create_task(self._pass_on(process))
        try:
            return await self._until_dead(process)
        finally:
            if process.returncode is None:
                process.kill()
            # What it said last matters most; but a grandchild may hold the pipe open for ever.
            await asyncio.wait({speaking}, timeout=1.0)
            speaking.cancel()

    async def _until_dead(self, process: asyncio.subprocess.Process) -> int:
        dead = asyncio.create_task(process.wait())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({dead, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not dead.done():
                process.terminate()
                await asyncio.wait({dead}, timeout=self._grace_s)
            if not dead.done():
                self._say(
                    "fast-reply", f"{self.child.name} did not stop within {self._grace_s:g} s; killing it"
                )
                process.kill()
            return await dead
        finally:
            stop.cancel()
            dead.cancel()

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        """Say what the child writes, line by line."""
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(_MOST_LINE_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MOST_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(self.child.name, line.decode("utf-8", "replace"))
        if rest:
            self._say(self.child.name, rest.decode("utf-8", "replace"))


class Supervisor:
    """Starts children stage by stage and stops them the other way round. Use it from the main thread:
    the kernel ties a child to the thread that started it. One that dies is started again if it has lived for
    `settled_s`."""

    def __init__(self, say: Say, *, settled_s: float = 10.0, grace_s: float = 12.0) -> None:
        self._say, self._settled_s, self._grace_s = say, settled_s, grace_s
        self._stages: list[dict[Keeper, asyncio.Task[None]]] = []
        self.gave_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when a child could not be kept alive."""

    def start(self, *children: Command) -> None:
        """Start a stage; it is stopped before the stages that were started earlier."""
        stage = {}
        for child in children:
            keeper = Keeper(child, self._say, self._settled_s, self._grace_s)
            stage[keeper] = asyncio.create_task(self._keep(keeper))
        self._stages.append(stage)

    async def stop(self) -> None:
        """Stop all children, the last stage first."""
        for stage in reversed(self._stages):
            for keeper in stage:
                keeper.stop()
            await asyncio.gather(*stage.values())

    def kill(self) -> None:
        """End all children now; `stop` then returns at once."""
        for stage in self._stages:
            for keeper in stage:
                keeper.kill()

    async def _keep(self, keeper: Keeper) -> None:
        try:
            reason = await keeper.run()
        except OSError as error:
            reason = f"{keeper.child.name} cannot be started: {error.strerror}"
        if reason is not None and not self.gave_up.done():
            self.gave_up.set_result(reason)
