"""The stacks: one for all gentle tests, one to be hurt; both talk to the same simulator."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway_stack import Simulator, Stack

# Short waits where a test waits for the silence itself; long enough for a machine that is busy.
_GENTLE = {
    "FAST_REPLY_AGORA_METADATA": "true",
    "FAST_REPLY_ALLOWED_HOSTS": '["127.0.0.1"]',
    "FAST_REPLY_BREAKER_FAILURES": "0",  # its models fail in one test after the other
    "FAST_REPLY_SECRETS": '{"TELEPHONY_TOKEN": "value-of-telephony-token"}',
    "FAST_REPLY_SECRET_KEY": "a key of the tests",
    "FAST_REPLY_FIRST_TOKEN_TIMEOUT_S": "1.5",
    "FAST_REPLY_NEXT_TOKEN_TIMEOUT_S": "1.5",
    "FAST_REPLY_HEARTBEAT_S": "0.3",
    "FAST_REPLY_REFUSED_PER_MINUTE": "0",  # one test after the other sends nothing else
}
_ROUGH = {
    "FAST_REPLY_BREAKER_FAILURES": "0",
    "FAST_REPLY_DRAIN_S": "0.5",
    "FAST_REPLY_LANE_LEASE_S": "1.2",
    "FAST_REPLY_RENEW_S": "0.2",
    "FAST_REPLY_REDIS_TIMEOUT_S": "1",
    "FAST_REPLY_TURN_LEASE_S": "1.2",
}


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("simulator")).running() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def _gentle(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("gentle")
    with Stack(simulator, folder, _GENTLE, speech_workers=1).running() as stack:
        yield stack


@pytest.fixture(scope="session")
def _rough(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("rough")
    with Stack(simulator, folder, _ROUGH, full_workers=2, replicas=2).running() as stack:
        yield stack


@pytest.fixture
def stack(_gentle: Stack, simulator: Simulator) -> Iterator[Stack]:
    """The gateway with one process of each kind; it must not log a bug during the test."""
    simulator.reset()
    before = len(_gentle.bugs())
    yield _gentle
    assert _gentle.bugs()[before:] == []


@pytest.fixture
def fragile(_rough: Stack, simulator: Simulator) -> Stack:
    """A gateway whose processes may be hurt, with two full workers; all of it works now."""
    _rough.heal()
    simulator.reset()
    return _rough


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the processes logged beside a test that failed."""
    report = yield
    if report.failed:
        for fixture in ("_gentle", "_rough"):
            running = getattr(item, "funcargs", {}).get(fixture)
            for process in running.processes.values() if running else ():
                report.sections.append((f"log of {process.name}", process.words()[-3000:]))
    return report
