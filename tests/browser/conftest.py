"""A real browser, and a gateway for it to talk to. Without Chromium these tests are skipped, and say so."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.gateway_stack import Simulator, Stack


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's command."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def gateway(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with one process of each kind, and simulated models."""
    folder = tmp_path_factory.mktemp("gateway")
    with (
        Simulator(tmp_path_factory.mktemp("simulator")).running() as simulator,
        Stack(simulator, folder, {"FAST_REPLY_RESUME_GRACE_S": "10"}).running() as stack,
    ):
        yield stack
