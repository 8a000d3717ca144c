"""`fast-reply replay`: what it draws of recorded turns, from plain files, packed ones, and none."""

import gzip
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench.data import Answered
from bench.pace import Pace, record, write
from cli import replay as replaying
from cli.main import app
from cli.timeline import draw
from common.events import Delta, LaneFinished, LaneStarted, TurnInterrupted
from common.records.recording import RecordedTurn
from common.records.report import report_turn
from common.turn.policy import Policy
from tests.support.turn_events import Timed

DRAFT, FULL = "Let me see. I look it up.", "We open at nine. Every day."
POLICY = Policy.model_validate({"handoff": {"join": "append"}})
PACE = Pace(draft_first_ms=200, full_first_ms=800, draft_tps=50, full_tps=50)


def made(name: str = "1", start_ms: int = 0) -> RecordedTurn:
    turn = record(Answered(name, "When do you [b]open[/b]?", DRAFT, FULL), PACE, POLICY)
    return replace(turn, start_ms=start_ms)


def recorded(tmp_path: Path, count: int = 2) -> Path:
    path = tmp_path / "calls.jsonl"
    write(path, [made(str(number)) for number in range(count)])
    return path


def run(*arguments: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["replay", *map(str, arguments)], env={"COLUMNS": "60"})
    return result.exit_code, result.output


def lines(report: dict[str, Any], width: int = 60) -> list[str]:
    return [line.plain for line in draw(report, width)]


def test_a_turn_is_drawn_with_its_timeline_and_without_colours(tmp_path: Path) -> None:
    code, out = run(recorded(tmp_path, 1), "--speed", "max")
    assert code == 0
    assert out == (
        "you               When do you [b]open[/b]?\n"
        "draft     200 ms  Let me see. I look it up.\n"
        "full      800 ms  We open at nine. Every day.\n"
        "                  first sound 200 ms · hand-over 800 ms · end 940 ms · turn 5feceb66ffc8\n"
        "        0                                            940 ms\n"
        "draft   s··········t━━━━━━━|\n"
        "        q queued 0 · s started 0 · t first token 200 · | ended 360\n"
        "full    s··········································H━━━━━━|\n"
        "        q queued 0 · s started 0 · t first token 800 · H hand-over 800 · | ended 940\n"
        "        first sound 200 ms · stop at 940 ms\n"
        "\n"
    )


def test_a_packed_file_is_played_as_a_plain_one(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    packed = tmp_path / "calls.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert run(packed, "--speed", "max") == run(path, "--speed", "max")
    packed.write_bytes(packed.read_bytes()[:-30])
    code, out = run(packed)
    assert (code, out) == (1, f"the file {packed} breaks off\n")


def test_one_turn_may_be_picked(tmp_path: Path) -> None:
    name = made("1").started.turn
    code, out = run(recorded(tmp_path), "--speed", "max", "--turn", name)
    assert code == 0 and out.count("When do you") == 1 and name in out
    assert run(recorded(tmp_path), "--turn", "x") == (1, "no turn x in there\n")


@pytest.mark.parametrize("speed", ["fast", "0", "1000"])
def test_a_speed_that_cannot_be_is_told(tmp_path: Path, speed: str) -> None:
    assert run(recorded(tmp_path), "--speed", speed) == (2, "speed is max, or from 0.1 to 100\n")


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear all,\n")
    code, out = run(path)
    assert code == 1 and len(out.splitlines()) == 1


def test_the_pace_is_the_original_times_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, slept = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(seconds)
        now_s += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    turns = [made("1", 1_000), made("2", 9_000_000), made("3", 500)]
    replaying.play(Console(file=StringIO(), width=60), turns, 2.0)
    # Three turns of 940 ms, and 5 s in place of the long silence between two; the last is another session's.
    assert sum(slept) == pytest.approx((3 * 0.94 + 5) / 2)
    assert slept[1] == pytest.approx(0.1)


def test_a_cancelled_lane_and_an_interrupted_turn_are_marked() -> None:
    turn = made()
    name = turn.started.turn
    events: list[Timed] = [
        (10, LaneStarted(name, "draft", 1, "w")),
        (100, Delta(name, "draft", 1, 0, "Let me", 100)),
        (200, TurnInterrupted(name, "client", 3)),
        (210, LaneFinished(name, "draft", 1, 6, "cancelled", None, None, 210)),
    ]
    told = lines(report_turn(RecordedTurn(turn.started, events, None)), width=31)
    assert told == [
        "        0               210 ms",
        "draft   qs········t━━━━━━━━━━x",
        "        q queued 0 · s started 10 · t first token 100 · x cancelled 210",
        "full    q",
        "        q queued 0",
        "        first sound 100 ms · interrupted at 200 ms · by client, 3 characters heard",
    ]


def test_a_turn_of_another_version_has_its_lanes_all_the_same() -> None:
    turn = made()
    foreign = replace(turn, started=replace(turn.started, fold=999))
    told = lines(report_turn(foreign))
    assert told[:3] == lines(report_turn(turn))[:3]
    assert told[-1].strip() == "stop · folded by version 999: what was heard is unknown"
    assert turn.ended
    dropped = replace(turn, ended=replace(turn.ended, record="none"))
    assert lines(report_turn(dropped))[-1].strip().endswith("what was said is not kept")
    console = Console(file=StringIO(), width=60)
    replaying.play(console, [foreign], 100.0)


@pytest.mark.parametrize("width", [1, 20, 300])
def test_any_width_will_do(width: int) -> None:
    assert all(len(line) <= max(width, 29) for line in lines(report_turn(made()), width)[1:4:2])
