"""The processes of one machine that `fast-reply up` runs, with their ports and environment."""

import errno
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.processes import Command
from cli.store import data_directory, valkey_command
from common.settings import Settings

_MAIN = f"{__package__}.main"
_ROOT = Path(__file__).resolve().parents[len(_MAIN.split(".")) - 1]  # what must be on a child's path
# Slower than the simulator's own draft: it is still speaking when the full overtakes, so that it is cut.
_APIS_OWN = ("FAST_REPLY_OPERATOR_TOKEN",)
_ALL_SECRETS = (
    *_APIS_OWN,
    "FAST_REPLY_SECRET_KEY",
    "FAST_REPLY_OLD_SECRET_KEYS",
    "FAST_REPLY_SECRETS",
    "FAST_REPLY_WEBHOOK_SECRET",
    "LLM_API_KEY",
    "SMALL_MODEL_API_KEY",
)
_SIMULATE = ("simulate", "--draft-tpot-ms", "32")


class PortTaken(Exception):
    """The API's port is not free; the message is for people."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of `up`."""

    data: Path | None = None
    proof: bool = True
    draft_workers: int = 1
    full_workers: int = 1
    speech_workers: int = 1


@dataclass(frozen=True, slots=True)
class Stack:
    """All children: `backing` must answer on their ports before the others start."""

    backing: tuple[Command, ...]
    ports: tuple[int, ...]
    serving: tuple[Command, ...]
    simulator_url: str | None
    draft_model: str
    redis_url: str = ""
    queue_url: str = ""


def check_port(host: str, port: int) -> None:
    """Raise PortTaken, with advice, unless the port is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"port {port} is taken: stop what serves there, or choose another port "
                    f"(fast-reply up --port {port + 1}, make up PORT={port + 1})"
                ) from None
            raise PortTaken(f"cannot serve on {host}, port {port}: {error.strerror}") from None


@contextmanager
def build_stack(settings: Settings, plan: UpOptions, environ: Mapping[str, str]) -> Iterator[Stack]:
    """Decide what to run here; what the environment names is used as it is. Raises DataInUse, OSError."""
    env = _child_environ(settings, environ)
    valkey_port, simulator_port = _free_ports(2)
    backing: dict[int, Command] = {}
    simulator_url = None
    with ExitStack() as kept:
        if not env.get("REDIS_URL"):
            data = kept.enter_context(data_directory(plan.data))
            env["REDIS_URL"] = f"redis://127.0.0.1:{valkey_port}/0"
            backing[valkey_port] = Command("valkey", valkey_command(valkey_port, data), env)
        if not env.get("LLM_BASE_URL"):
            simulator_url = f"http://127.0.0.1:{simulator_port}"
            env["LLM_BASE_URL"] = f"{simulator_url}/v1"
            env.setdefault("LLM_MODEL", "full")
            env.setdefault("SMALL_MODEL", "draft")
            backing[simulator_port] = _own(
                "simulator", _without(env, _ALL_SECRETS), *_SIMULATE, "--port", str(simulator_port)
            )
        workers = _without(env, _APIS_OWN)
        serving = (
            _own("api", env, "api"),
            *_workers("draft", plan.draft_workers, workers),
            *_workers("full", plan.full_workers, workers),
            *_workers("speech", plan.speech_workers, workers),
        )
        draft_model = env.get("SMALL_MODEL", "")
        yield Stack(
            tuple(backing.values()),
            tuple(backing),
            serving,
            simulator_url,
            draft_model,
            env["REDIS_URL"],
            env.get("FAST_REPLY_QUEUE_URL", ""),
        )


def _without(env: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Return the environment without the variables that a process doesn't need."""
    return {name: value for name, value in env.items() if name.removesuffix("_FILE") not in names}


def _child_environ(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    env = {**environ, "FAST_REPLY_HOST": settings.host, "FAST_REPLY_PORT": str(settings.port)}
    env["PYTHONUNBUFFERED"] = "1"
    if not env.get("FAST_REPLY_SECRET_KEY_FILE"):
        env.setdefault("FAST_REPLY_SECRET_KEY", secrets.token_urlsafe(32))
    if _ROOT.name not in ("site-packages", "dist-packages"):
        # Run from a checkout that is not installed, perhaps: the children must find the same code.
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environ.get("PYTHONPATH"))))
    return env


def _workers(lane: str, count: int, env: Mapping[str, str]) -> Iterator[Command]:
    for number in range(1, count + 1):
        name = f"{lane}-worker" if count == 1 else f"{lane}-worker-{number}"
        yield _own(name, env, "worker", lane)


def _own(name: str, env: Mapping[str, str], *arguments: str) -> Command:
    # -P: the folder `up` was called in may hold an `api` or `cli` of its own.
    return Command(name, (sys.executable, "-P", "-m", _MAIN, *arguments), env)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
