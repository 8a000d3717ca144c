"""The gateways that `fast-reply up` runs here: each leaves a note by which other commands find its store."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where it serves, and where its stores are; no `queue_url` where it is one server."""

    url: str
    redis_url: str
    queue_url: str = ""


@contextmanager
def noted(gateway: Gateway) -> Iterator[None]:
    """Keep a note of this gateway for as long as the context lasts. Only its user can read the note."""
    folder = _folder()
    if folder is None:
        yield
        return
    path = folder / f"{os.getpid()}.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as note:
        fcntl.flock(note, fcntl.LOCK_EX)  # it ends with the process, however that dies
        note.truncate()
        note.write(orjson.dumps(asdict(gateway)))
        note.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running() -> list[Gateway]:
    """Return the gateways that run now, by their notes; remove the notes of dead ones."""
    folder = _folder()
    gateways = [_read(path) for path in sorted(folder.glob("*.json"))] if folder else []
    return [gateway for gateway in gateways if gateway]


def _read(path: Path) -> Gateway | None:
    with suppress(OSError, ValueError, TypeError), path.open("rb") as note:
        try:
            fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Gateway(**orjson.loads(note.read()))
        path.unlink(missing_ok=True)
    return None


def _folder() -> Path | None:
    """Return the folder of the notes, or None if another user owns a folder of its name."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"fast-reply.{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
            return folder
    return None
