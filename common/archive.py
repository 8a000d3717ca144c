"""The archive: one compressed JSONL file a session, under a directory or any fsspec URL."""

import asyncio
import contextlib
import gzip
import hashlib
import posixpath
import secrets
from typing import Any

import fsspec

from common.keys import SessionRef

_LONGEST_NAME = 180  # characters of a file's name that every file system takes


class Archive:
    """Files by tenant and session. Every call runs in a thread; raises OSError where the place is away."""

    def __init__(self, url: str) -> None:
        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = str(root)

    async def read(self, session: SessionRef) -> list[bytes]:
        """The lines of a session's file, in log order; none where there is no such file."""
        return await asyncio.to_thread(self._read, session)

    async def write(self, session: SessionRef, lines: list[bytes]) -> None:
        """Put a session's file in the place of the one before, as a whole or not at all."""
        await asyncio.to_thread(self._write, session, lines)

    async def delete(self, session: SessionRef) -> None:
        """Remove a session's file; without one nothing happens."""
        await asyncio.to_thread(self._delete, session)

    def path(self, session: SessionRef) -> str:
        """Where a session's file is."""
        name = session.quoted
        digest = hashlib.sha256(name.encode()).hexdigest()
        if len(name) > _LONGEST_NAME:
            name = f"{name[: _LONGEST_NAME - 33]}-{digest[:32]}"
        return posixpath.join(self._root, session.tenant, digest[:2], f"{name}.jsonl.gz")

    def _read(self, session: SessionRef) -> list[bytes]:
        try:
            packed: bytes = self._fs.cat_file(self.path(session))
        except FileNotFoundError:
            return []
        return gzip.decompress(packed).splitlines(keepends=True)

    def _write(self, session: SessionRef, lines: list[bytes]) -> None:
        path, packed = self.path(session), gzip.compress(b"".join(lines), mtime=0)
        if "file" not in self._fs.protocol:
            self._fs.pipe_file(path, packed)  # an object store shows an object when it is whole
            return
        self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
        begun = f"{path}.{secrets.token_hex(4)}.part"
        self._fs.pipe_file(begun, packed)
        self._fs.mv(begun, path)

    def _delete(self, session: SessionRef) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self.path(session))


def open_archive(url: str) -> Archive | None:
    """The archive at this URL or directory; None where nothing is to be archived."""
    return Archive(url) if url else None
