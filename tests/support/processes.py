"""Real processes for the tests: started, watched, hurt, and surely gone at the end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.forking import Forked, forked

ROOT = Path(__file__).resolve().parents[2]
# Runs a command that the kernel kills with us: nothing is left behind even where we are killed.
_TETHERED = (sys.executable, "-I", "-S", str(ROOT / "cli" / "tether.py"), str(os.getpid()))


def until(check: Callable[..., object], within_s: float = 60.0, what: str = "the condition") -> None:
    """Wait for a condition, never for a duration."""
    deadline_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline_s, f"{what} did not come true within {within_s:g} s"
        time.sleep(0.02)


def free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One process that may be started again under the same name, its words kept in one file."""

    def __init__(self, name: str, command: tuple[str, ...], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **env}
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    def start(self) -> None:
        """Start it, if it doesn't run."""
        if self.alive:
            return
        self._paused = False
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                (*_TETHERED, *self._command),
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def send(self, signum: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(signum)

    def pause(self) -> None:
        """SIGSTOP: to all others it looks hung."""
        self._paused = True
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._paused = False
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL it with all that it started, and wait until it is gone."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, within_s: float = 60.0) -> int:
        """Wait for its end by itself; the exit code."""
        assert self._process is not None
        return self._process.wait(within_s)

    def heal(self) -> None:
        """Running, whatever was done to it."""
        if self._paused:
            self.resume()
        self.start()

    def words(self) -> str:
        """All that it has written to its log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class GatewayProcess(Process):
    """A process of the product itself, forked where its modules are loaded: that is most of a start."""

    def __init__(self, name: str, arguments: str, env: Mapping[str, str], log: Path) -> None:
        super().__init__(name, (), env, log)
        self._arguments = arguments.split()
        self._forked: Forked | None = None

    def start(self) -> None:
        if self.alive:
            return
        self._paused = False
        self._forked = forked(_run_gateway, self._arguments, self._env, str(self.log))

    @property
    def alive(self) -> bool:
        return self._forked is not None and self._forked.is_alive()

    @property
    def pid(self) -> int:
        assert self._forked is not None and self._forked.pid, f"{self.name} was never started"
        return self._forked.pid

    def send(self, signum: signal.Signals) -> None:
        os.kill(self.pid, signum)

    def kill(self) -> None:
        if self._forked is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # it may have had no time to lead a group
        self._forked.join()

    def wait(self, within_s: float = 60.0) -> int:
        assert self._forked is not None
        self._forked.join(within_s)
        code = self._forked.exitcode
        assert code is not None, f"{self.name} did not end within {within_s:g} s"
        return code


def _run_gateway(arguments: list[str], env: Mapping[str, str], log: str) -> None:
    """What a forked process does: all that `python -m cli.main` would, as that would."""
    os.setsid()
    words, nothing = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (words, 1), (words, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["fast-reply", *arguments]
    from cli.main import app

    app()


def gateway_process(name: str, arguments: str, env: Mapping[str, str], log: Path) -> Process:
    """A process of the product itself."""
    return GatewayProcess(name, arguments, env, log)
