"""An export takes its name once it is whole, and leaves nothing behind where it fails."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.recordings import NoRecording, fetch
from common.sessions.sessions import Sessions
from common.settings import Settings


def _session_of(monkeypatch: pytest.MonkeyPatch, *lines: bytes | Exception) -> None:
    async def told(self: Sessions, session: object) -> AsyncIterator[bytes]:
        for line in lines:
            if isinstance(line, Exception):
                raise line
            yield line

    monkeypatch.setattr(Sessions, "lines", told)


def test_a_whole_export_takes_the_place_of_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _session_of(monkeypatch, b"1\n2\n", b"3\n")
    (tmp_path / "calls.jsonl").write_text("older")
    assert fetch(Settings(), "call-1", tmp_path / "calls.jsonl") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["calls.jsonl"]
    assert (tmp_path / "calls.jsonl").read_bytes() == b"1\n2\n3\n"


@pytest.mark.parametrize("failure", [(), (b"1\n", ConnectionError()), (b"1\n", OSError("disk full"))])
def test_a_failed_one_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: tuple[bytes | Exception, ...]
) -> None:
    _session_of(monkeypatch, *failure)
    with pytest.raises((NoRecording, OSError)):
        fetch(Settings(), "call-1", tmp_path / "new.jsonl")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.jsonl").write_text("older")
    with pytest.raises((NoRecording, OSError)):
        fetch(Settings(), "call-1", tmp_path / "old.jsonl")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.jsonl", "older")]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_an_export_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int) -> None:
    _session_of(monkeypatch, b"1\n")
    (older := tmp_path / "older.jsonl").touch(mode=0o644)
    before = os.umask(umask)
    try:
        for out in (tmp_path / "new.jsonl", older):
            assert fetch(Settings(), "call-1", out) == 1
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "new.jsonl": 0o600,
        "older.jsonl": 0o600,
    }
