"""The golden sessions are heard as they were recorded; and what is said of one that isn't."""

import gzip
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from cli.golden_sessions import assert_unchanged, compare, keep
from cli.main import app

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.jsonl"))
ONE = next(path for path in GOLDEN if path.stem == "join-append")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_session_is_heard_as_it_was(path: Path) -> None:
    assert_unchanged(path)
    assert compare(path)[0] == 1


def changed(tmp_path: Path, change: Callable[[bytes], bytes], *, kept: bool = True) -> Path:
    """A golden session of which every line but those of what was heard is changed."""
    lines = [
        line if b"golden.heard" in line else change(line)
        for line in ONE.read_bytes().splitlines(keepends=True)
        if kept or b"golden.heard" not in line
    ]
    path = tmp_path / "changed.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_a_difference_is_shown_where_it_begins(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda line: line.replace(b"Mondays", b"Sundays"))
    with pytest.raises(AssertionError) as told:
        assert_unchanged(path)
    said = str(told.value)
    name = orjson.loads(ONE.read_bytes().splitlines()[0])["event"]["turn"]
    assert f"turn {name}" in said and "recorded: stop" in said
    assert "see. We open at nine. We open at nine. On '" in said
    assert "recorded: 'Mondays we stay closed" in said and "now:      'Sundays we stay closed" in said


def test_without_the_text_that_was_heard_the_one_of_now_is_shown(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda line: line.replace(b"Mondays", b"Sundays"), kept=False)
    (found,) = compare(path)[1]
    assert "the texts part" not in found and "On Sundays we stay closed" in found


def test_another_versions_recording_is_folded_all_the_same(tmp_path: Path) -> None:
    assert_unchanged(changed(tmp_path, lambda line: line.replace(b'"fold":3', b'"fold":1')))


def test_a_policy_that_nobody_knows_is_a_difference(tmp_path: Path) -> None:
    (found,) = compare(changed(tmp_path, lambda line: line.replace(b'"deadline_ms"', b'"deadline"')))[1]
    assert "can't be folded" in found


def test_another_ending_is_a_difference(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda line: line.replace(b'"degraded":false', b'"degraded":true'))
    assert "recorded: stop, degraded" in compare(path)[1][0]


def test_a_turn_without_its_ending_is_a_difference(tmp_path: Path) -> None:
    (found,) = compare(changed(tmp_path, lambda line: b"" if b"turn.ended" in line else line))[1]
    assert "no ending in the recording" in found


def test_what_is_heard_now_can_be_kept(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda line: line, kept=False)
    keep(path)
    assert path.read_bytes() == ONE.read_bytes()
    keep(path)
    assert path.read_bytes() == ONE.read_bytes()


def test_the_command_tells_by_its_exit_code(tmp_path: Path) -> None:
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(ONE.read_bytes()))
    bad = changed(tmp_path, lambda line: line.replace(b"Mondays", b"Sundays"))
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    run = CliRunner().invoke
    good = run(app, ["golden", str(packed), str(ONE)])
    assert (good.exit_code, good.output) == (
        0,
        "2 turns, 0 of them heard otherwise than they were recorded\n",
    )
    assert run(app, ["golden", str(ONE), str(bad)]).exit_code == 1
    assert run(app, ["golden", str(empty)]).exit_code == 1
    assert run(app, ["golden", str(tmp_path / "none")]).exit_code == 2
