from pathlib import Path

import pytest

from cli.store import DataInUse, data_directory


def test_a_chosen_directory_is_made_and_kept(tmp_path: Path) -> None:
    with data_directory(tmp_path / "calls") as data:
        (data / "log").write_text("kept")
    assert (tmp_path / "calls" / "log").read_text() == "kept"


def test_a_directory_serves_one_at_a_time(tmp_path: Path) -> None:
    with data_directory(tmp_path), pytest.raises(DataInUse, match="in use by another"):
        data_directory(tmp_path).__enter__()
    with data_directory(tmp_path):
        pass


def test_a_temporary_directory_goes_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with data_directory(None) as data:
        assert data.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_behind_is_removed_and_what_is_in_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, foreign = tmp_path / "fast-reply-killed", tmp_path / "fast-reply-foreign"
    killed.mkdir()
    (killed / "fast-reply.lock").touch()
    foreign.mkdir()
    with data_directory(None) as first, data_directory(None) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second, foreign])
