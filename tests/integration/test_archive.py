"""The archive's files: whole or not at all, one a session, on a disk and in an object store."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.names import SessionRef
from common.sessions.archive import Archive, ArchiveUnavailable, id_of, open_archive
from tests.support.waiting import in_loop

Open = Callable[[], Archive]


def lines(*ids: int) -> list[bytes]:
    return [b'{"id":"%d-0","kind":"delta","event":{"text":"one\\nline"}}\n' % number for number in ids]


def files(archive: Archive, session: SessionRef) -> list[str]:
    """All there is of a session, half-written files too."""
    fs: Any = archive._fs
    try:
        return sorted(path.rpartition("/")[2] for path in fs.ls(archive.path(session), detail=False))
    except FileNotFoundError:
        return []


def directory(archive: Archive, session: SessionRef) -> Path:
    return Path(archive.path(session))


@in_loop
async def test_what_was_written_is_read_by_another_process(archive_url: str, session: SessionRef) -> None:
    assert await Archive(archive_url).read(session) == []
    assert await Archive(archive_url).last(session) is None
    await Archive(archive_url).write(session, lines(1, 2, 3))
    assert await Archive(archive_url).read(session) == lines(1, 2, 3)
    assert [id_of(line) for line in lines(1, 20)] == ["1-0", "20-0"]


@in_loop
async def test_a_longer_file_takes_the_place_of_shorter_ones(archive_url: str, session: SessionRef) -> None:
    archive = Archive(archive_url)
    for last in (2, 9, 10):
        await archive.write(session, lines(*range(1, last + 1)))
        assert files(archive, session) == [f"{last}-0.jsonl.gz"]
        assert await archive.last(session) == (last, 0)
    assert await archive.read(session) == lines(*range(1, 11))


@in_loop
async def test_who_writes_late_or_again_does_no_harm(archive_url: str, session: SessionRef) -> None:
    archive = Archive(archive_url)
    await archive.write(session, lines(1, 2, 3, 4))
    await archive.write(session, lines(1, 2))  # by an archiver that stood still meanwhile
    assert await archive.read(session) == lines(1, 2, 3, 4)
    await archive.write(session, lines(1, 2, 3, 4))
    assert await archive.read(session) == lines(1, 2, 3, 4)
    assert files(archive, session) == ["4-0.jsonl.gz"]


@in_loop
async def test_what_is_deleted_is_gone_and_the_rest_stays(archive_url: str, session: SessionRef) -> None:
    archive, other = Archive(archive_url), SessionRef("default", "other")
    await archive.delete(session)
    await archive.write(session, lines(1, 2))
    await archive.write(other, lines(1))
    await archive.delete(session, until_ms=1)
    assert await archive.read(session) == lines(1, 2)
    await archive.delete(session, until_ms=2)
    assert await archive.read(session) == [] and files(archive, session) == []
    await archive.write(session, lines(3))
    await archive.delete(session)
    assert await archive.read(session) == [] and files(archive, session) == []
    assert await archive.read(other) == lines(1)


@in_loop
async def test_no_two_sessions_share_a_place(archive_url: str) -> None:
    names = [".", "..", "../x", "a/b", "a:b", "call", "CALL", "x" * 128, "х" * 128, "х" * 127 + "у"]
    archive = Archive(archive_url)
    sessions = [SessionRef(tenant, name) for tenant in ("default", "acme") for name in names]
    for number, each in enumerate(sessions):
        await archive.write(each, lines(number))
    assert [await archive.read(each) for each in sessions] == [lines(n) for n in range(len(sessions))]
    assert len({archive.path(each).lower() for each in sessions}) == len(sessions)
    root: str = archive._root
    assert all(archive.path(each).startswith(root) and "/../" not in archive.path(each) for each in sessions)


@in_loop
async def test_a_file_half_written_is_not_seen_and_goes_with_the_next(
    tmp_path: Path, session: SessionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(str(tmp_path))
    await archive.write(session, lines(1))

    def die(descriptor: int) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", die)
        with pytest.raises(ArchiveUnavailable, match="full"):
            await archive.write(session, lines(1, 2))
    assert len(files(archive, session)) == 2
    assert await archive.read(session) == lines(1)
    await archive.write(session, lines(1, 2))
    assert files(archive, session) == ["2-0.jsonl.gz"]
    (directory(archive, session) / "3-0.jsonl.gz.1.part").touch()
    await archive.delete(session)
    assert not directory(archive, session).exists()


@in_loop
async def test_a_reader_beside_a_writer_always_finds_a_whole_file(
    archive_url: str, session: SessionRef
) -> None:
    archive, reader = Archive(archive_url), Archive(archive_url)
    await archive.write(session, lines(1))
    writing = asyncio.create_task(_grow(archive, session))
    seen = 1
    while not writing.done():
        found = await reader.read(session)
        assert found == lines(*range(1, len(found) + 1)) and len(found) >= seen
        seen = len(found)
    await writing


async def _grow(archive: Archive, session: SessionRef) -> None:
    for last in range(2, 60):
        await archive.write(session, lines(*range(1, last + 1)))


@in_loop
async def test_a_broken_file_may_be_read_again_as_may_a_place_that_is_away(
    tmp_path: Path, session: SessionRef
) -> None:
    archive = Archive(str(tmp_path))
    await archive.write(session, lines(1, 2))
    (file,) = directory(archive, session).iterdir()
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(ArchiveUnavailable):
        await archive.read(session)
    blocked = tmp_path / "blocked"
    blocked.touch()
    with pytest.raises(ArchiveUnavailable):
        await Archive(str(blocked)).write(session, lines(1))


@in_loop
async def test_a_bug_is_no_reason_to_try_again(
    tmp_path: Path, session: SessionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(Archive, "_files", broken)
    with pytest.raises(TypeError):
        await Archive(str(tmp_path)).read(session)


def test_without_a_url_there_is_no_archive(tmp_path: Path) -> None:
    assert open_archive("") is None
    assert open_archive(str(tmp_path)) is not None
