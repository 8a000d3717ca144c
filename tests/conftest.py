"""What holds for all tests: a busy machine is no failure, time is for the benches."""

import os
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("patient", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("patient")

_LAYOUTS = ("valkey", "two_servers")
_ROOT = Path(__file__).parents[1]
_FIRST = ("tests/e2e", "tests/data", "tests/integration", "tests/browser", "tests/cli")


class _ByStack(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each file to one process, and all files of one stack, which is then started once."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid.partition("::")[0])


@cache
def _scope(file: str) -> str:
    text = (_ROOT / file).read_text(encoding="utf-8") if file.startswith("tests/e2e/") else ""
    shared = {"tests/e2e/ the rough": "fragile: Stack", "tests/e2e/ the gentle": "(stack: Stack"}
    return next((scope for scope, fixture in shared.items() if fixture in text), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByStack(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first, so that no process is left alone with one at the end."""
    if not os.environ.get("FAST_REPLY_TEST_ALL"):
        left_out = [item for item in items if not _is_chosen(item)]
        items[:] = [item for item in items if _is_chosen(item)]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=_rank)  # which keeps the order within a rank


def _is_chosen(item: pytest.Item) -> bool:
    """Whether a test runs on this layout of the stores: each on one server or on two, as its name has it.

    `make soak` tries each on both.
    """
    params: dict[str, str] = item.callspec.params if hasattr(item, "callspec") else {}
    layout = params.get("real") or params.get("backend")
    if layout not in _LAYOUTS:
        return True
    return _LAYOUTS[crc32(item.nodeid.replace(layout, "").encode()) % 2] == layout


def _rank(item: pytest.Item) -> tuple[int, str]:
    folder = next((n for n, name in enumerate(_FIRST) if item.nodeid.startswith(name)), len(_FIRST))
    scope = _scope(item.nodeid.partition("::")[0])
    return folder, scope if folder == 0 else ""
