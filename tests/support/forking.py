"""Real processes without the second that loading the product takes: forked where it is loaded already."""

import ctypes
import multiprocessing
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Forked = multiprocessing.process.BaseProcess

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["api.main", "workers.main", "workers.knowledge.indexes", "workers.speech.voices", "cli.main"]
)
_PR_SET_PDEATHSIG = 1


def forked(work: Callable[..., None], *args: Any) -> Forked:
    """A process that does this work; it has begun, and doesn't outlive the tests."""
    process = _SERVER.Process(target=_work, args=(os.getpid(), work, args))
    process.start()
    return process


def _work(parent: int, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    if sys.platform == "linux":  # elsewhere a killed test run leaves its processes running
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the fork server ends with the tests
    if Path(f"/proc/{parent}").exists():
        work(*args)
