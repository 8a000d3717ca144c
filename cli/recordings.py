"""Recordings on disk: writes a session to a file, and finds the files that a command was given."""

import asyncio
import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from common.names import DEFAULT_TENANT, SessionRef, valid_session
from common.security.hidden_names import HiddenNames
from common.sessions.archive import open_archive
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store.redis import StoreUnavailable, open_stores

_GZIP = b"\x1f\x8b"


class NoRecording(Exception):
    """No recording has this name."""


def run_export(settings: Settings, session: str, out: Path, tenant: str = DEFAULT_TENANT) -> int:
    """Write a session to a file; return the process's exit code."""
    try:
        count = fetch(settings, session, out, tenant)
    except (NoRecording, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} events of {session} in {out}")
    return 0


def fetch(settings: Settings, session: str, out: Path, tenant: str = DEFAULT_TENANT) -> int:
    """Write a tenant's session to a file, wherever its events are; how many. Raises NoRecording, OSError."""
    if not valid_session(session):
        raise NoRecording(f"no file {session}, and no session can be called so")
    try:
        count = asyncio.run(_write(settings, SessionRef(tenant, session), out))
    except StoreUnavailable as error:
        raise NoRecording(f"no file {session}, and the store can't be read: {error.reason}") from None
    if not count:
        raise NoRecording(f"no session {session}")
    return count


def as_file(settings: Settings, name: str, folder: Path, tenant: str = DEFAULT_TENANT) -> Path:
    """A plain file as it is; a compressed one, or a session, as a file in that folder.

    Raises NoRecording, OSError.
    """
    path = Path(name)
    written = folder / f"{len(list(folder.iterdir()))}.jsonl"
    if not path.is_file():
        fetch(settings, name, written, tenant)
        return written
    with path.open("rb") as file:
        if file.read(len(_GZIP)) != _GZIP:
            return path
    try:
        with gzip.open(path) as packed, written.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except EOFError:
        raise NoRecording(f"the file {name} breaks off") from None
    return written


async def _write(settings: Settings, session: SessionRef, out: Path) -> int:
    count = 0
    async with open_stores(settings) as stores:
        sessions = Sessions(stores, open_archive(settings.archive_url))
        for kept in (session, *HiddenNames(settings).known_as(session)):
            if count:
                break
            with _once_whole(out) as file:
                async for lines in sessions.lines(kept):
                    file.write(lines)
                    count += lines.count(b"\n")
    return count


@contextmanager
def _once_whole(out: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes its name, replacing any other, only if it was written without an error."""
    if out.exists() and not out.is_file():  # such as a pipe or a terminal
        with out.open("wb") as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            if file.tell():
                part.replace(out)
        finally:
            part.unlink(missing_ok=True)
