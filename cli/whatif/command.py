"""`fast-reply whatif`: folds recorded turns under other policies, on all cores."""

import gc
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cli.recordings import NoRecording, as_file
from cli.whatif.cases import Case, Report, WrongCase, empty, read_cases, try_part
from cli.whatif.show import as_json, print_report
from common.names import DEFAULT_TENANT
from common.records.recording import TurnSpan, parts_of
from common.settings import Settings

_PART_BYTES = 4_000_000  # that a process folds at a time
_AHEAD = 2  # parts that wait, for each process


def run_whatif(
    settings: Settings,
    recorded: list[str],
    sets: list[str],
    sweeps: list[str],
    json: Path | None,
    jobs: int | None,
    tenant: str = DEFAULT_TENANT,
) -> int:
    """Fold, print, write; the process's exit code."""
    try:
        cases = read_cases(sets, sweeps)
        with tempfile.TemporaryDirectory(prefix="fast-reply-") as folder:
            paths = [as_file(settings, name, Path(folder), tenant) for name in recorded]
            report = try_files(paths, cases, jobs, show=True)
        if json:
            json.write_bytes(orjson.dumps(as_json(report, cases), option=orjson.OPT_INDENT_2))
    except WrongCase as error:
        print(error, file=sys.stderr)
        return 2
    except (NoRecording, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if not report.before.turns and not report.excluded:
        print("no turn in there", file=sys.stderr)
        return 1
    print_report(Console(), report, cases)
    return 0


def try_files(paths: list[Path], cases: list[Case], jobs: int | None = None, *, show: bool = False) -> Report:
    """Try the cases on all turns of these files. Raises OSError."""
    parts = [part for path in paths for part in parts_of(path, _PART_BYTES)]
    report = empty(cases)
    jobs = min(jobs or os.cpu_count() or 1, len(parts))
    with _progress(sum(part.end - part.start for part in parts), show) as progress:
        for part, done in _side_by_side(parts, cases, jobs) if jobs > 1 else _in_turn(parts, cases):
            report.merge(done)
            progress.advance(progress.task_ids[0], part.end - part.start)
    return report


def _try_apart(part: TurnSpan, cases: list[Case]) -> Report:
    """Try a part in its own process. A fold makes no cycles; to look for them took a third of the time."""
    gc.disable()
    report = try_part(part, cases)
    gc.collect()
    return report


def _in_turn(parts: list[TurnSpan], cases: list[Case]) -> Iterator[tuple[TurnSpan, Report]]:
    for part in parts:
        yield part, try_part(part, cases)


def _side_by_side(parts: list[TurnSpan], cases: list[Case], jobs: int) -> Iterator[tuple[TurnSpan, Report]]:
    """Parts as they are done; never more of them under way than the processes need."""
    waiting = iter(parts)
    # Not forked: the progress bar has a thread.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[Report], TurnSpan] = {}
        while True:
            while len(running) < jobs * _AHEAD and (part := next(waiting, None)):
                running[pool.submit(_try_apart, part, cases)] = part
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()


@contextmanager
def _progress(total: int, show: bool) -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not (show and console.is_terminal)
    ) as bar:
        bar.add_task("folding", total=total)
        yield bar
