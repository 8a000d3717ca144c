"""An export takes its name once it is whole, and leaves nothing behind where it fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli import recordings
from cli.recordings import NoRecording, fetch
from common.sessions import Sessions
from common.settings import Settings


def _session_of(monkeypatch: pytest.MonkeyPatch, *lines: bytes | Exception) -> None:
    async def told(self: Sessions, session: object) -> AsyncIterator[bytes]:
        for line in lines:
            if isinstance(line, Exception):
                raise line
            yield line

    monkeypatch.setattr(recordings.Sessions, "lines", told)


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
