"""A whole Fast Reply of real processes: Valkey, simulator, API and workers, started and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from cli.store import valkey_command

ROOT = Path(__file__).resolve().parent.parent
# It has the kernel kill the child when we die, however we die.
_TETHER = ROOT / "cli" / "tether.py"
_TICKS = os.sysconf("SC_CLK_TCK")
_READY_S = 60.0
_STOP_S = 5.0
DRAFT_PROMPT = "Speak first."


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of each process; `env` goes to the API and the workers, over what we set ourselves."""

    draft_workers: int = 1
    full_workers: int = 1
    speech_workers: int = 0
    answers: Sequence[Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)


class Processes(AbstractContextManager["Processes"]):
    """Children that are gone, with their output and their data, when the context ends."""

    def __init__(self) -> None:
        self.pids: dict[int, str] = {}  # names by process id, the dead ones too
        self._running: list[subprocess.Popen[bytes]] = []
        self._kept = ExitStack()
        self.folder = Path(self._kept.enter_context(tempfile.TemporaryDirectory(prefix="fast-reply-bench-")))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The last started goes first, so that nobody misses a server that is still needed.
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._kept.close()

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a child from the main thread; its process id."""
        number = sum(known.split("-")[0] == name for known in self.pids.values())
        with (self.folder / f"{name}-{number}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pids[process.pid] = f"{name}-{number}" if number else name
        self._running.append(process)
        return process.pid

    def start_valkey(self) -> str:
        """Start a server that keeps its data in a file of ours; its URL."""
        port = free_port()
        data = self.folder / f"valkey-{port}"
        data.mkdir()
        self.start("valkey", valkey_command(port, data))
        self.wait_until(lambda: _listens(port), "Valkey")
        return f"redis://127.0.0.1:{port}/0"

    def kill(self, pid: int) -> None:
        """Kill a child with SIGKILL."""
        os.kill(pid, signal.SIGKILL)

    def wait_until(self, check: Callable[[], bool], what: str) -> None:
        """Wait for something to come up. Raises RuntimeError with what a child said that ended instead."""
        deadline_s = time.monotonic() + _READY_S
        while not check():
            dead = [p for p in self._running if p.poll() not in (None, -signal.SIGKILL)]
            if dead or time.monotonic() > deadline_s:
                raise RuntimeError(f"{what} did not come up\n{self.output()}")
            time.sleep(0.05)

    def output(self) -> str:
        """The end of what each child has said."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{file.stem}: {file.read_text('utf-8', 'replace')[-2000:]}" for file in files)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds that each child, and this process as `client`, has used so far."""
        used = {name: _cpu_s(pid) for pid, name in self.pids.items()}
        return {**used, "client": _cpu_s(os.getpid())}


class Stack(Processes):
    """The gateway, ready to be asked on `port`, before a simulator on `simulator_port`."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self._shape = shape or Shape()
        self.port, self.simulator_port = free_port(), free_port()
        self.redis_url = ""
        self._env: dict[str, str] = {}

    def __enter__(self) -> "Stack":
        try:
            self._start_all()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start_all(self) -> None:
        self.redis_url = self.start_valkey()
        answers = (word for path in self._shape.answers for word in ("--answers", str(path)))
        simulator = ("simulator", "--port", str(self.simulator_port), *answers)
        self.start("simulator", [sys.executable, "-m", *simulator])
        self.wait_until(lambda: _listens(self.simulator_port), "the simulator")
        self._env = {
            "REDIS_URL": self.redis_url,
            "LLM_BASE_URL": f"http://127.0.0.1:{self.simulator_port}/v1",
            "LLM_MODEL": "full",
            "SMALL_MODEL": "draft",
            "SMALL_MODEL_PROMPT": DRAFT_PROMPT,
            "FAST_REPLY_HOST": "127.0.0.1",
            "FAST_REPLY_PORT": str(self.port),
            **self._shape.env,
        }
        self.start("api", [sys.executable, "-m", "cli.main", "api"], self._env)
        for lane, count in self._workers.items():
            for _ in range(count):
                self.start_worker(lane)
        self.wait_until(self.ready, "the gateway")

    def start_worker(self, lane: str) -> int:
        """Start one more worker; its process id. It may take a second to be ready."""
        return self.start(lane, [sys.executable, "-m", "cli.main", "worker", lane], self._env)

    def ready(self) -> bool:
        """Return True if the gateway knows exactly the workers that it should have."""
        try:
            answer = _call("GET", self.port, "/readyz")
        except OSError:
            return False
        return bool(answer["workers"] == self._workers)

    @property
    def _workers(self) -> dict[str, int]:
        shape = self._shape
        return {"draft": shape.draft_workers, "full": shape.full_workers, "speech": shape.speech_workers}

    def behave(self, model: str, **fields: Any) -> None:
        """Tell the simulator how a model is to behave from now on."""
        _call("PUT", self.simulator_port, f"/simulator/models/{model}", fields)

    def streams(self, last: int) -> list[dict[str, Any]]:
        """The last streams that the simulator knows of, oldest first."""
        answer = _call("GET", self.simulator_port, f"/simulator/streams?last={last}")
        return list(answer["streams"])

    def counts(self, model: str) -> dict[str, int]:
        """Return the counts of a model's streams since the simulator's start."""
        return dict(_call("GET", self.simulator_port, "/simulator/stats")["models"][model])


def free_port() -> int:
    """Return a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_per_turn_ms(before: Mapping[str, float], after: Mapping[str, float], turns: int) -> dict[str, float]:
    """CPU milliseconds a turn of each process, from two answers of `cpu_s`."""
    used = {name: (after[name] - before[name]) / turns * 1000 for name in before}
    return {**used, "all": sum(used.values())}


def _cpu_s(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _call(method: str, port: int, path: str, body: object = None) -> Any:
    content = None if body is None else orjson.dumps(body)
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return orjson.loads(response.read())
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None
