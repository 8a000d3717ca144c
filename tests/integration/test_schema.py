"""The served doors against their own OpenAPI document: every check that schemathesis has, and no 5xx."""

import asyncio
import math
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from api.sessions.replay import read_speed
from common.tenants.api_keys import new_key
from common.tenants.profiles import Upstream
from tests.support.served_api import serving
from tests.support.speech_workers import Counting, open_speaker
from tests.support.store_servers import Backend
from tests.support.stored_tenants import bearer
from tests.support.waiting import in_loop
from tests.support.wiring import open_workers
from workers.providers.base import Finish, StreamPart

HERE = Path(__file__).parent
OPERATOR = "the operator's own token"
QUICK = ("--config-file", str(HERE / "schemathesis.toml"), "run", "--max-examples", "3")
LONG = ("run", "--max-examples", "150")


@pytest.fixture(autouse=True)
def no_replay_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.doors.replay.read_speed", lambda text: read_speed(text) * math.inf)


class Answering:
    """Models that answer whatever they are asked, by any name."""

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        yield "We open at nine. Every day."
        yield Finish("stop")


@in_loop
@pytest.mark.timeout(400)
async def test_the_doors_do_what_the_document_says(valkey: Backend, tmp_path: Path) -> None:
    await check_doors(valkey, tmp_path, QUICK)


@in_loop
@pytest.mark.timeout(400)
async def test_the_administration_does_what_the_document_says(valkey: Backend, tmp_path: Path) -> None:
    await check_administration(valkey, tmp_path, QUICK)


@in_loop
@pytest.mark.fuzz
@pytest.mark.timeout(3600)
async def test_the_doors_do_so_for_long(valkey: Backend, tmp_path: Path) -> None:
    await check_doors(valkey, tmp_path, LONG)


@in_loop
@pytest.mark.fuzz
@pytest.mark.timeout(3600)
async def test_the_administration_does_so_for_long(valkey: Backend, tmp_path: Path) -> None:
    await check_administration(valkey, tmp_path, LONG)


async def check_doors(backend: Backend, folder: Path, how: Sequence[str]) -> None:
    """All but `/admin`, by a key of all scopes; models and voice answer at once."""
    key, tenants = new_key(), folder / "tenants.toml"
    tenants.write_text(
        f"[tenants.default]\n[[tenants.default.keys]]\nid = '{key.id}'\ndigest = '{key.digest}'\n"
        "scopes = ['chat', 'read', 'admin']\n"
    )
    settings = backend.settings(tenants=str(tenants), secret_key="what signs tokens")
    async with (
        open_workers(settings, Answering()),
        open_speaker(settings, Counting()),
        serving(settings) as client,
    ):
        url = str(client.base_url)
        await check(url, key.text, folder, how, "--exclude-path-regex", "^/admin")


async def check_administration(backend: Backend, folder: Path, how: Sequence[str]) -> None:
    """`/admin`, by the operator's token."""
    settings = backend.settings(operator_token=OPERATOR, secret_key="what seals")
    async with serving(settings) as client:
        url = str(client.base_url)
        await check(url, OPERATOR, folder, how, "--include-path-regex", "^/admin")


async def check(url: str, key: str, folder: Path, how: Sequence[str], *which: str) -> None:
    """Run schemathesis over what the document says of these paths; fails with its report."""
    command = [
        *(sys.executable, "-W", "ignore", "-m", "schemathesis.cli", *how, f"{url}/openapi.json", *which),
        *("--checks", "all", "--continue-on-failure", "--generation-deterministic"),
        *("--header", f"Authorization: {bearer(key)['Authorization']}"),
    ]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "schema_hooks.py")}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        report, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    print(report.decode())
    assert process.returncode == 0
