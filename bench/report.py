"""Figures: from measured times to a table and a JSON file."""

import argparse
import math
import os
import platform
import statistics
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import uvloop

Value = float | int | str
Table = dict[str, dict[str, Value]]
"""Rows by their label; each row's values by their column."""

Result = dict[str, Table]
"""Tables by their title."""

Measure = Callable[[argparse.Namespace], Coroutine[Any, Any, Result]]


def spread_ms(times_s: Iterable[float]) -> dict[str, Value]:
    """Return the number of values and their percentiles in milliseconds."""
    values = sorted(time_s * 1000 for time_s in times_s)
    row: dict[str, Value] = {"n": len(values)}
    if values:
        row |= {f"p{share} ms": percentile(values, share) for share in (50, 95, 99)}
        row["max ms"] = values[-1]
    return row


def percentile(ordered: list[float], share: float) -> float:
    """Return the smallest value that this percentage of all do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def median_row(rows: list[dict[str, Value]]) -> dict[str, Value]:
    """The median of each column over rows of numbers."""
    return {name: statistics.median(float(row[name]) for row in rows) for name in rows[0]}


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options that every bench has; `doc` is its docstring."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    made.add_argument(
        "--scale", type=float, default=1.0, help="so many times the usual number of turns, to try a bench out"
    )
    return made


def run(options: argparse.Namespace, measures: Mapping[str, Measure]) -> None:
    """Run benches by name, one after the other; print each one's figures, and write all down if asked to."""
    results: dict[str, Result] = {}
    for name, measure in measures.items():
        before = os.getloadavg()[0]
        print(f"{name} …\n", flush=True)
        result = results[name] = uvloop.run(measure(options))
        machine: dict[str, Value] = {
            "cores": os.cpu_count() or 0,
            "load before": before,
            "load after": os.getloadavg()[0],
            "python": platform.python_version(),
        }
        result["machine"] = {"this run": machine}
        print_result(result)
        if options.json:
            options.json.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))


def print_result(result: Result) -> None:
    """Print the tables."""
    for title, table in result.items():
        columns = list(dict.fromkeys(name for row in table.values() for name in row))
        lines = [[title, *columns]]
        lines += [[label, *(_show(row.get(name, "")) for name in columns)] for label, row in table.items()]
        widths = [max(len(line[place]) for line in lines) for place in range(len(columns) + 1)]
        for line in lines:
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            print("  ".join(cells).rstrip())
        print(flush=True)


def scaled(options: argparse.Namespace, count: int) -> int:
    """The usual number of turns, scaled; at least two."""
    scale: float = options.scale
    return max(2, round(count * scale))


def _show(value: Value) -> str:
    if isinstance(value, float):
        places = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
        return f"{value:.{places}f}"
    return str(value)
