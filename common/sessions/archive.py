"""The archive: compressed JSONL files by session, under a directory or any fsspec URL.

A session's file is named by its last entry and holds all the session's events up to there. So it never
changes, and who writes it twice, late, or beside another does no harm: a longer file takes the place of
shorter ones.
"""

import asyncio
import contextlib
import gzip
import hashlib
import os
import posixpath
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from common.events import place
from common.names import SessionRef, valid_tenant
from common.store.redis import StoreUnavailable

_ENDING = ".jsonl.gz"
_NAME = re.compile(r"\d+-\d+" + re.escape(_ENDING))
_TRIES = 5
_SHOWN = 150  # characters of a session's name in its directory's: that much every file system takes

Result = TypeVar("Result")


def id_of(line: bytes) -> str:
    """The entry id with which a line begins."""
    return line.split(b'"', 4)[3].decode()


class ArchiveUnavailable(StoreUnavailable):
    """The archive is away, or answers that it can't: it may be asked again."""


class Archive:
    """Files by tenant and session. Every call runs in a thread and raises ArchiveUnavailable."""

    def __init__(self, url: str) -> None:
        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = str(root)
        self._is_local = isinstance(self._fs, LocalFileSystem)

    async def read(self, session: SessionRef) -> list[bytes]:
        """The lines of a session, in log order; none where there is no file of it."""
        return await _in_thread(lambda: self._read(session))

    async def last(self, session: SessionRef) -> tuple[int, int] | None:
        """The place up to which a session is archived; None where it isn't."""
        files = await _in_thread(lambda: self._files(session))
        return files[-1][1] if files else None

    async def sessions(self) -> AsyncGenerator[list[SessionRef], None]:
        """All sessions that are archived, but for names too long to be read from their directory's."""
        for tenant in await _in_thread(lambda: self._names(self._root)):
            for part in await _in_thread(lambda tenant=tenant: self._names(self._root, tenant)):  # type: ignore[misc]
                names = await _in_thread(lambda t=tenant, p=part: self._names(self._root, t, p))  # type: ignore[misc]
                yield [session for name in names if (session := self._named(tenant, name))]

    def _names(self, *path: str) -> list[str]:
        directory = posixpath.join(*path)
        self._fs.invalidate_cache(directory)
        try:
            return sorted(
                posixpath.basename(found.rstrip("/")) for found in self._fs.ls(directory, detail=False)
            )
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _named(self, tenant: str, directory: str) -> SessionRef | None:
        """The session whose directory is called so."""
        if not valid_tenant(tenant):
            return None
        session = SessionRef(tenant, unquote(directory.rpartition("-")[0]))
        return session if posixpath.basename(self.path(session)) == directory else None

    async def write(self, session: SessionRef, lines: list[bytes]) -> None:
        """Put these lines, all that the session has up to the last of them, in the place of fewer."""
        await _in_thread(lambda: self._write(session, lines))

    async def delete(self, session: SessionRef, until_ms: int | None = None) -> None:
        """Remove what there is of a session, or only files that end by then; without any nothing happens."""
        await _in_thread(lambda: self._delete(session, until_ms))

    def path(self, session: SessionRef) -> str:
        """The directory with a session's file."""
        # The digest keeps apart what a file system may not: long names, upper and lower case, "..".
        digest = hashlib.sha256(session.quoted.encode()).hexdigest()
        name = f"{session.quoted[:_SHOWN]}-{digest[:16]}"
        return posixpath.join(self._root, session.tenant, digest[:2], name)

    def _read(self, session: SessionRef) -> list[bytes]:
        for _ in range(_TRIES):
            try:
                files = [self._unpack(path) for path, _ in self._files(session)]
            except FileNotFoundError:
                continue  # a longer one has just taken its place
            if len(files) < 2:
                return files[0] if files else []
            by_place = {place(id_of(line)): line for lines in files for line in lines}
            return [by_place[at] for at in sorted(by_place)]
        raise OSError("a session's file is listed but not there")

    def _unpack(self, path: str) -> list[bytes]:
        lines: list[bytes] = gzip.decompress(self._fs.cat_file(path)).splitlines(keepends=True)
        return lines

    def _write(self, session: SessionRef, lines: list[bytes]) -> None:
        last, packed = id_of(lines[-1]), gzip.compress(b"".join(lines), mtime=0)
        path = posixpath.join(self.path(session), last + _ENDING)
        if self._is_local:
            _put_whole(Path(path), packed)
        else:
            self._fs.pipe_file(path, packed)  # an object store shows an object when it is whole
        self._remove([path for path, at in self._files(session) if at < place(last)])

    def _delete(self, session: SessionRef, until_ms: int | None) -> None:
        self._remove([p for p, (ms, _) in self._files(session) if until_ms is None or ms <= until_ms])
        if self._is_local:
            directory = Path(self.path(session))
            _remove_begun(directory)
            with contextlib.suppress(OSError):  # it isn't there, or not empty
                directory.rmdir()

    def _remove(self, paths: list[str]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(path)

    def _files(self, session: SessionRef) -> list[tuple[str, tuple[int, int]]]:
        """A session's files by the place of their last entries; one, but for what a crash has left."""
        directory = self.path(session)
        self._fs.invalidate_cache(directory)
        try:
            names = [posixpath.basename(path) for path in self._fs.ls(directory, detail=False)]
        except FileNotFoundError:
            return []
        lasts = {name: place(name.removesuffix(_ENDING)) for name in names if _NAME.fullmatch(name)}
        return [
            (posixpath.join(directory, name), lasts[name]) for name in sorted(lasts, key=lasts.__getitem__)
        ]


def open_archive(url: str) -> Archive | None:
    """The archive at this URL or directory; None where nothing is to be archived."""
    return Archive(url) if url else None


async def _in_thread(work: Callable[[], Result]) -> Result:
    try:
        return await asyncio.to_thread(work)
    except Exception as error:
        if _is_trouble(error):
            raise ArchiveUnavailable(error) from error
        raise


def _is_trouble(error: Exception) -> bool:
    """Return True if an error comes from the disk, the network or the stored file; any other is a bug."""
    # The libraries of object stores, and of compression, have errors of their own.
    return isinstance(error, OSError | EOFError) or type(error).__module__ != "builtins"


def _put_whole(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole or not at all, also after the machine has failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    with begun.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    begun.replace(path)
    _remove_begun(path.parent)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_begun(directory: Path) -> None:
    """Remove what a crash has left half written. A writer beside us loses its file so, and begins again."""
    for path in directory.glob("*.part"):
        path.unlink(missing_ok=True)
