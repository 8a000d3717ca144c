"""The recorded answers and arrival times, read in place: FAST_REPLY_TEST_DATA, else ../shared/data."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.stack import ROOT

_ANSWERS = ("answers-en.jsonl", "answers-zh.jsonl", "answers-ru.jsonl")
_ARRIVALS = "arrivals.csv"


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt and what the two models say to it."""

    id: str
    prompt: str
    draft: str
    full: str


def folder() -> Path:
    """Return the folder of the recorded data."""
    return Path(os.environ.get("FAST_REPLY_TEST_DATA") or ROOT.parent / "shared" / "data")


def missing() -> str:
    """Return why the data can't be used; empty if it can."""
    absent = [name for name in (*_ANSWERS, _ARRIVALS) if not (folder() / name).is_file()]
    return f"no {', '.join(absent)} in {folder()}; set FAST_REPLY_TEST_DATA" if absent else ""


def answer_files() -> tuple[Path, ...]:
    """The files of answers, as the simulator takes them."""
    return tuple(folder() / name for name in _ANSWERS)


def answers() -> list[Answered]:
    """All answers."""
    rows = [orjson.loads(line) for path in answer_files() for line in path.read_bytes().splitlines()]
    return [Answered(row["id"], row["prompt"], row["draft"], row["full"]) for row in rows]


def arrivals_s(within_s: float) -> list[float]:
    """Return when requests arrive, in seconds from the first one."""
    with (folder() / _ARRIVALS).open(encoding="utf-8", newline="") as file:
        times = [float(row["arrival_s"]) for row in csv.DictReader(file)]
    return [time_s for time_s in times if time_s < within_s]
