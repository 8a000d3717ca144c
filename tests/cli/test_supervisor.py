"""The supervisor with real, tiny children, which tell what they do in lines and are told by signals."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cli.processes import Command, Supervisor, how_it_died

ROOT = Path(__file__).resolve().parents[2]

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
TELLER = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye'))); "
    + SLEEPER
)


def python(name: str, code: str) -> Command:
    return Command(name, (sys.executable, "-I", "-S", "-c", code))


class Said:
    """What was said, to be waited for."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._more = asyncio.Condition()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._told = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._more:
            self._more.notify_all()

    def of(self, name: str) -> list[str]:
        return [line for who, line in self.lines if who == name]

    async def until(self, enough: Callable[["Said"], bool]) -> None:
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: enough(self))


def run(scene: Callable[[Said], Awaitable[None]]) -> None:
    async def play() -> None:
        await scene(Said())

    asyncio.run(play())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_that_dies_is_named_with_its_signal_and_started_again() -> None:
    async def scene(said: Said) -> None:
        supervisor = Supervisor(said, settled_s=0)
        supervisor.start(python("sleeper", SLEEPER))
        await said.until(lambda said: len(said.of("sleeper")) == 1)
        os.kill(int(said.of("sleeper")[0]), signal.SIGKILL)
        await said.until(lambda said: len(said.of("sleeper")) == 2)
        await supervisor.stop()

        first, second = map(int, said.of("sleeper"))
        assert first != second and not alive(second)
        assert said.of("fast-reply") == ["sleeper was killed by SIGKILL; starting it again"]
        assert not supervisor.gave_up.done()

    run(scene)


def test_it_gives_up_on_a_child_that_dies_at_its_start_and_keeps_its_last_words() -> None:
    async def scene(said: Said) -> None:
        supervisor = Supervisor(said)
        supervisor.start(python("broken", "import sys; sys.exit('no such setting')"))
        async with asyncio.timeout(20):
            reason = await supervisor.gave_up
        await supervisor.stop()

        assert reason == "broken exited with code 1 within 10 s of its start"
        assert said.of("broken") == ["no such setting"]

    run(scene)


def test_a_command_that_is_not_there_is_told() -> None:
    async def scene(said: Said) -> None:
        supervisor = Supervisor(said)
        supervisor.start(Command("ghost", ("/nowhere/ghost",)))
        async with asyncio.timeout(20):
            await supervisor.gave_up
        await supervisor.stop()

        assert said.of("ghost") == ["cannot run /nowhere/ghost: No such file or directory"]

    run(scene)


def test_the_last_stage_is_stopped_first() -> None:
    async def scene(said: Said) -> None:
        supervisor = Supervisor(said)
        supervisor.start(python("store", TELLER))
        supervisor.start(python("worker", TELLER), python("api", TELLER))
        await said.until(lambda said: len(said.lines) == 3)
        await supervisor.stop()

        ends = [name for name, line in said.lines if line == "bye"]
        assert sorted(ends[:2]) == ["api", "worker"] and ends[2:] == ["store"]

    run(scene)


def test_a_child_that_ignores_the_request_is_killed_after_its_grace() -> None:
    async def scene(said: Said) -> None:
        supervisor = Supervisor(said, grace_s=0.001)
        supervisor.start(python("stubborn", STUBBORN))
        await said.until(lambda said: len(said.of("stubborn")) == 1)
        await supervisor.stop()

        assert not alive(int(said.of("stubborn")[0]))
        assert said.of("fast-reply") == ["stubborn did not stop within 0.001 s; killing it"]

    run(scene)


def test_kill_does_not_wait_for_the_grace() -> None:
    async def scene(said: Said) -> None:
        supervisor = Supervisor(said, grace_s=3600)
        supervisor.start(python("stubborn", STUBBORN))
        await said.until(lambda said: len(said.of("stubborn")) == 1)
        stopping = asyncio.create_task(supervisor.stop())
        supervisor.kill()
        async with asyncio.timeout(20):
            await stopping

        assert not alive(int(said.of("stubborn")[0]))

    run(scene)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exited with code 0"), (-9, "was killed by SIGKILL"), (-250, "was killed by signal 250")],
)
def test_a_death_is_told_in_words(code: int, words: str) -> None:
    assert how_it_died(code) == words


def test_lines_come_whole_and_an_endless_one_in_pieces() -> None:
    code = "import sys; w = sys.stdout.write; [w(c) for c in 'ein\\nzwei\\n']; w('x' * 200_000); w('\\u00e9')"

    async def scene(said: Said) -> None:
        supervisor = Supervisor(said)
        supervisor.start(python("talker", code))
        async with asyncio.timeout(20):
            await supervisor.gave_up

        assert said.of("talker")[:2] == ["ein", "zwei"]
        assert "".join(said.of("talker")[2:]) == "x" * 200_000 + "\u00e9"

    run(scene)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_children_do_not_outlive_a_supervisor_that_is_killed() -> None:
    code = (
        "import asyncio, sys\n"
        "from cli.processes import Command, Supervisor\n"
        "async def main():\n"
        "    Supervisor(lambda name, line: print(line, flush=True)).start(\n"
        f"        Command('sleeper', (sys.executable, '-I', '-S', '-c', {SLEEPER!r})))\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )

    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as above:
        assert above.stdout is not None
        child = int(above.stdout.readline())
        above.kill()
        assert not above.stdout.read()  # the pipe closes with its last holder, the child

    deadline_s = time.monotonic() + 20
    while alive(child) and not _is_zombie(child):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _is_zombie(pid: int) -> bool:
    # Where nobody adopts orphans (a container without an init), the dead stay in the table.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
