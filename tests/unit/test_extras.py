"""What only some need may be missing: all starts without it, and it is said what to install for it."""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from cli import up
from cli.stack import UpOptions
from common.names import CollectionRef, Lane
from common.process.extras import lacks
from common.settings import Settings
from common.store.redis import Stores
from workers.knowledge.retrieval import SearchFailed
from workers.main import _check_packages, _open_search

ROOT = Path(__file__).parents[2]
PACKAGES = ("espeakng_loader", "numpy", "tantivy")
SPEECH = "espeakng_loader and numpy not installed: pip install 'fast-reply[speech]'"
KNOWLEDGE = "tantivy not installed: pip install 'fast-reply[knowledge]'"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed


def search(lane: Lane, **settings: Any) -> object:
    """Have what finds passages for a lane asked."""

    async def ask() -> object:
        async with httpx.AsyncClient() as client:
            found, background = _open_search(Settings(**settings), cast(Stores, None), client, lane)
            assert background == []
            return await found.search(CollectionRef("acme", "shop"), "When?", 3)

    return asyncio.run(ask())


def test_all_processes_import_without_any_of_them() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({PACKAGES}))"
    command = f"{blocked}; import api.main, cli.main, cli.up, workers.main"
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True, timeout=100)


def test_where_all_are_installed_nothing_is_said() -> None:
    assert lacks("speech") == lacks("knowledge") == ""


def test_a_speech_worker_says_what_to_install_and_ends(bare: None) -> None:
    with pytest.raises(SystemExit) as ended:
        _check_packages(Settings(), "speech")
    assert str(ended.value) == f"fast-reply: {SPEECH}"


@pytest.mark.parametrize("lane", ["draft", "full"])
def test_the_others_go_on(bare: None, lane: Lane) -> None:
    _check_packages(Settings(), lane)


def test_a_full_worker_says_what_to_install_and_a_turn_that_asks_is_told(
    bare: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(SearchFailed) as failed:
        search("full")
    assert failed.value.code == "search_missing"
    assert caplog.messages == ["no document is found: a package is missing"]
    assert caplog.records[0].__dict__["lack"] == KNOWLEDGE


def test_who_has_a_search_of_their_own_needs_none(bare: None, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SearchFailed) as failed:
        search("full", search_url="http://127.0.0.1:9/find")
    assert (failed.value.code, caplog.messages) == ("search_unreachable", [])


def test_up_starts_no_speech_worker_and_says_why(
    bare: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def supervise(stack: Any, settings: Settings, plan: UpOptions, terminal: Any) -> int:
        return plan.speech_workers

    monkeypatch.setattr(up, "check_port", lambda host, port: None)
    monkeypatch.setattr(up, "supervise", supervise)
    assert up.run_up(Settings(), UpOptions(speech_workers=2)) == 0
    assert f"nothing is spoken: {SPEECH}" in capsys.readouterr().out
