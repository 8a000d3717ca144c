"""What works in the background goes on when the store was away for a moment, and says that it was."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from api.limits.overload import LoadShedder
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.directory import Directory
from tests.support.ended_turns import open_keeper
from tests.support.failing_steps import fail_first
from tests.support.redaction import redacting
from tests.support.settlement import open_settler
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop, until

Opened = Callable[[Settings], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def _settler(settings: Settings) -> AsyncIterator[Any]:
    async with open_settler(settings) as (_, settler):
        yield settler


@asynccontextmanager
async def _redactor(settings: Settings) -> AsyncIterator[Any]:
    async with redacting(settings) as (_, redactor):
        yield redactor


@asynccontextmanager
async def _pressure(settings: Settings) -> AsyncIterator[Any]:
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        yield LoadShedder(settings, stores, Directory(settings, stores))


PARTS: dict[str, tuple[Opened, str, str]] = {
    "settler": (_settler, "settle", "could not settle turns"),
    "redactor": (_redactor, "redact", "could not redact"),
    "keeper": (open_keeper, "run_once", "could not keep to the end"),
    "pressure": (_pressure, "refresh", "could not look at the backlog"),
}


@pytest.mark.parametrize("name", PARTS)
@in_loop
async def test_it_goes_on_after_the_store_was_away(
    valkey: Backend,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    for pause in (
        "workers.accounting.settlement._POLL_S",
        "workers.redaction.redactor._POLL_S",
        "api.limits.overload._LOOK_S",
    ):
        monkeypatch.setattr(pause, 0.01)
    opened, step, warning = PARTS[name]
    async with opened(valkey.settings(archive_url=str(tmp_path), keep_s=0.01)) as part:
        away = fail_first(monkeypatch, part, step)
        running = asyncio.create_task(part.run())
        await until(lambda: away.done > 1 or running.done())
        assert not running.done() and not away.left
        await end(running)
    said = [record for record in caplog.records if record.message == warning]
    assert [record.__dict__["error"] for record in said] == ["ConnectionError"] * 2


@in_loop
async def test_the_keeper_goes_on_after_a_bug(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_keeper(valkey.settings(keep_s=0.01)) as keeper:
        broken = fail_first(monkeypatch, keeper, "run_once", TypeError("somebody's words"))
        running = asyncio.create_task(keeper.run())
        await until(lambda: broken.done > 1 or running.done())
        assert not running.done() and not broken.left
        await end(running)
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == ["could not keep to the end"] * 2
    assert "somebody" not in caplog.text
