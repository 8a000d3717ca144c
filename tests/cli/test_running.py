"""Notes of running gateways: found while they run, gone with them, never another user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.environment import read_store_settings
from cli.running import Gateway, noted, running

HERE = Gateway("http://127.0.0.1:8000", "redis://127.0.0.1:7001/0")


@pytest.fixture(autouse=True)
def _no_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "FAST_REPLY_QUEUE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_gateway_is_found_while_it_runs_and_by_its_user_alone(runtime: Path) -> None:
    with noted(HERE):
        assert running() == [HERE]
        (note,) = runtime.glob("*/*.json")
        assert note.stat().st_mode & 0o077 == 0 and note.parent.stat().st_mode & 0o077 == 0
    assert running() == []


def test_the_note_of_a_killed_gateway_is_removed(runtime: Path) -> None:
    code = (
        "import os, signal; from cli.running import *\n"
        "kept = noted(Gateway('http://127.0.0.1:8000', 'redis://127.0.0.1:7001/0'))\n"
        "kept.__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    assert list(runtime.glob("*/*.json"))
    assert running() == []
    assert not list(runtime.glob("*/*.json"))


def test_a_folder_that_is_only_linked_to_is_not_believed(runtime: Path) -> None:
    elsewhere = runtime / "elsewhere"
    elsewhere.mkdir()
    (runtime / f"fast-reply.{os.getuid()}").symlink_to(elsewhere)
    with noted(HERE):
        assert running() == [] and not list(elsewhere.iterdir())


def test_a_command_takes_the_running_gateways_stores() -> None:
    apart = Gateway(HERE.url, HERE.redis_url, "redis://127.0.0.1:7002/0")
    with noted(apart):
        settings = read_store_settings()
    assert (settings.redis_url, settings.queue_url) == (apart.redis_url, apart.queue_url)
    assert read_store_settings().redis_url == "redis://127.0.0.1:6379/0"


def test_the_environment_goes_before_a_running_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:7003/0")
    with noted(HERE):
        assert read_store_settings().redis_url == "redis://127.0.0.1:7003/0"


def test_of_two_gateways_one_must_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with noted(HERE):
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with noted(Gateway("http://127.0.0.1:8001", "redis://127.0.0.1:7002/0")), pytest.raises(SystemExit):
            read_store_settings()
    told = capsys.readouterr().err
    assert "http://127.0.0.1:8000: REDIS_URL=redis://127.0.0.1:7001/0" in told
    assert "http://127.0.0.1:8001: REDIS_URL=redis://127.0.0.1:7002/0" in told
