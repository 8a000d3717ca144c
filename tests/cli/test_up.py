"""`fast-reply up` over a child that plays the gateway and the simulator's counts."""

import asyncio
import os
import signal
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from cli.processes import Command
from cli.show import Terminal
from cli.stack import Stack, UpOptions
from cli.up import supervise
from common.settings import Settings
from tests.support.processes import free_port

GATEWAY = Path(__file__).parents[1] / "support" / "fake_gateway.py"


class Screen(StringIO):
    """What the terminal shows; presses Ctrl-C as soon as it shows a certain text."""

    def __init__(self, ctrl_c_at: str = "") -> None:
        super().__init__()
        self._awaited = ctrl_c_at

    def write(self, text: str) -> int:
        size = super().write(text)
        if self._awaited and self._awaited in self.getvalue():
            self._awaited = ""
            os.kill(os.getpid(), signal.SIGINT)
        return size


def up(screen: Screen, *, command: tuple[str, ...] = (), plan: UpOptions | None = None) -> int:
    port = free_port()
    api = Command("api", command or (sys.executable, "-I", "-S", str(GATEWAY), str(port)))
    stack = Stack((), (), (api,), f"http://127.0.0.1:{port}", "draft")
    terminal = Terminal(Console(file=screen, width=200, _environ={}))

    async def run() -> int:
        async with asyncio.timeout(60):
            return await supervise(stack, Settings(port=port), plan or UpOptions(), terminal)

    return asyncio.run(run())


def test_it_waits_for_the_workers_proves_a_turn_serves_and_leaves_on_ctrl_c() -> None:
    screen = Screen(ctrl_c_at="curl -N")
    assert up(screen) == 0
    shown = screen.getvalue()
    turn = shown.index("draft     212 ms  One moment.\nfull    1,480 ms  Here it is.\n")
    times = shown.index("first sound 212 ms · hand-over 1,480 ms · end 1,500 ms\n")
    cut = shown.index("draft stream cut after hand-over: 1\n")
    assert shown.index("ready after") < turn < times < cut < shown.index("Serving on http://127.0.0.1:")
    assert shown.count("api         asked whether it is ready\n") == 2
    assert shown.endswith("fast-reply  stopping; once more kills at once\n")


def test_without_the_proof_no_turn_is_had() -> None:
    screen = Screen(ctrl_c_at="Serving on")
    assert up(screen, plan=UpOptions(proof=False)) == 0
    assert "first sound" not in screen.getvalue()


def test_it_ends_when_a_child_cannot_be_kept_alive() -> None:
    screen = Screen()
    assert up(screen, command=(sys.executable, "-I", "-S", "-c", "raise SystemExit('broken')")) == 1
    assert screen.getvalue().count("api         broken\n") == 1
    assert "api exited with code 1 within 10 s of its start; stopping everything" in screen.getvalue()


def test_ctrl_c_before_it_is_ready_is_no_failure() -> None:
    screen = Screen(ctrl_c_at="asleep")
    sleeper = "import time; print('asleep', flush=True); time.sleep(600)"
    assert up(screen, command=(sys.executable, "-I", "-S", "-c", sleeper)) == 0
