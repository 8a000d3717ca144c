"""`fast-reply replay`: plays recorded turns in the terminal, at their own pace, with timelines."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from cli.recordings import NoRecording, as_file
from cli.show import TurnView
from cli.timeline import draw
from common.names import DEFAULT_TENANT
from common.records.recording import RecordedTurn, SessionTurns, read_line
from common.records.report import report_turn
from common.records.session_replay import parse_speed
from common.settings import Settings
from common.turn.fold import Fold
from common.turn.outputs import TextReleased, TurnEnding
from common.turn.version import UnknownFold

_LONGEST_PAUSE_MS = 5_000  # between turns: viewers don't want to wait while a caller thinks
_WIDEST = 120
_INTERRUPTED = 130


def run_replay(
    settings: Settings, recorded: str, speed: str, turn: str | None, tenant: str = DEFAULT_TENANT
) -> int:
    """Play a session or a file; return the process's exit code."""
    console = Console(highlight=False)
    try:
        rate = parse_speed(speed)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        turns = [t for t in load_turns(settings, recorded, tenant) if turn in (None, t.started.turn)]
    except (NoRecording, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if not turns:
        print(f"no turn {turn} in there" if turn else "no turn in there", file=sys.stderr)
        return 1
    try:
        play(console, turns, rate)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def load_turns(settings: Settings, recorded: str, tenant: str = DEFAULT_TENANT) -> list[RecordedTurn]:
    """Return all turns of a session or a file, by their start. Raises NoRecording, OSError, ValueError."""
    turns = SessionTurns()
    with tempfile.TemporaryDirectory(prefix="fast-reply-") as folder:
        path = as_file(settings, recorded, Path(folder), tenant)
        for line in path.read_bytes().splitlines():
            if entry := read_line(line):
                turns.feed(entry)
    return turns.all()


def play(console: Console, turns: list[RecordedTurn], speed: float) -> None:
    """Draw these turns, one after the other."""
    began_s, before_ms = time.monotonic(), turns[0].start_ms
    skipped_ms = 0
    for turn in turns:
        pause_ms = turn.start_ms - before_ms
        # Another session's turn may lie before the last one.
        skipped_ms += pause_ms - min(max(pause_ms, 0), _LONGEST_PAUSE_MS)
        at_ms = turn.start_ms - skipped_ms - turns[0].start_ms
        for ms in _draw_turn(console, turn):
            before_ms = turn.start_ms + ms
            time.sleep(max(0.0, began_s + (at_ms + ms) / 1000 / speed - time.monotonic()))


def _draw_turn(console: Console, turn: RecordedTurn) -> Iterator[int]:
    """Draw a turn step by step, and its timeline. Yields before each step when it is to be drawn, ms."""
    report = report_turn(turn)
    view = TurnView(console)
    yield 0
    view.asked(report["asked"])
    try:
        fold = Fold(turn.started)
    except UnknownFold:
        turn = RecordedTurn(turn.started, [], None)
    for ms, event in turn.events:
        if not (released := fold.feed(event, ms)):
            continue
        yield ms
        for release in released:
            if isinstance(release, TextReleased):
                view.said(release.lane, release.text, release.at_ms)
            elif isinstance(release, TurnEnding):
                view.said("", "", release.at_ms)
    view.ended(f"turn {turn.started.turn}")
    for line in draw(report, min(console.width, _WIDEST)):
        console.print(line, soft_wrap=True)
    console.print()
