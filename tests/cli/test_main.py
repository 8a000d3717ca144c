import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakeredis import FakeRedis
from typer.testing import CliRunner

from cli.healthy import has_beaten, local_url
from cli.main import app
from common.settings import Settings
from common.store.keys import workers
from common.tenants.profiles import DEFAULT_PROFILE

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environ: str) -> tuple[int, str]:
    result = CliRunner(env=environ).invoke(app, arguments)
    return result.exit_code, result.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cli.main import app; app(['--help'], standalone_mode=False); "
        "print(sorted({'arq', 'fastapi', 'httpx', 'pydantic', 'redis', 'uvicorn'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"


def test_every_command_has_its_help() -> None:
    code, out = run("--help")
    assert code == 0
    for command in ("up", "chat", "api", "worker", "simulate", "healthy"):
        assert f"  {command} " in out and run(command, "--help")[0] == 0


def test_up_on_a_taken_port_starts_nothing_and_says_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        code, out = run("up", "--port", port)
    assert code == 1
    assert f"port {port} is taken" in out and len(out.splitlines()) == 1


def test_a_wrong_setting_is_named() -> None:
    code, out = run("up", FAST_REPLY_WORKER_SLOTS="many")
    assert code == 2
    assert "worker_slots is wrong: Input should be a valid integer" in out


def test_chat_asks_for_the_default_profile() -> None:
    assert f"[default: {DEFAULT_PROFILE}]" in run("chat", "--help")[1]


def test_the_api_is_unwell_where_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert run("healthy", "api", FAST_REPLY_PORT=str(unused.getsockname()[1]))[0] == 1


def test_a_worker_is_unwell_without_its_store() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert run("healthy", "full", REDIS_URL=f"redis://127.0.0.1:{unused.getsockname()[1]}/0")[0] == 1


def test_a_worker_is_well_while_one_of_its_lane_and_host_beats() -> None:
    queue, now_ms = FakeRedis(), time.time() * 1000
    beats = {"box:1:a": now_ms - 60_000, "box:2:b": now_ms - 600, "boxer:1:c": now_ms}
    queue.zadd(workers("draft"), beats)
    assert has_beaten(queue, "draft", "box")
    assert not has_beaten(queue, "full", "box")
    assert not has_beaten(queue, "draft", "bo")
    queue.zrem(workers("draft"), "box:2:b")
    assert not has_beaten(queue, "draft", "box")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("10.0.0.5", "http://10.0.0.5:8000"),
    ],
)
def test_the_api_is_reached_on_this_machine(host: str, url: str) -> None:
    assert local_url(Settings(host=host)) == url
