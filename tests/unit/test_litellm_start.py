"""A worker whose models need a package imports it at its start, or says then that it is missing."""

import logging
import sys
from types import ModuleType

import pytest

from common.names import Lane
from common.settings import FallbackModel, Settings
from workers.main import _check_packages

DRAFTED = Settings(llm_base_url="http://models/v1", small_model="small", small_model_base_url="litellm://")
FALLING_BACK = Settings(
    llm_base_url="http://models/v1", fallbacks=(FallbackModel(model="x/y", base_url="litellm://"),)
)


@pytest.mark.parametrize(("settings", "lane"), [(DRAFTED, "draft"), (FALLING_BACK, "full")])
def test_the_package_is_there_before_the_first_turn(
    settings: Settings, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("litellm")
    monkeypatch.setitem(sys.modules, "litellm", package)
    _check_packages(settings, lane)
    assert vars(package)["suppress_debug_info"] is True
    assert logging.getLogger("LiteLLM").disabled, "it would say what was asked and answered"


def test_where_it_is_missing_the_worker_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # as if it were not installed
    with pytest.raises(SystemExit, match="pip install litellm"):
        _check_packages(DRAFTED, "draft")


@pytest.mark.parametrize(("settings", "lane"), [(DRAFTED, "full"), (DRAFTED, "speech"), (Settings(), "full")])
def test_nobody_else_needs_it(settings: Settings, lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    _check_packages(settings, lane)
