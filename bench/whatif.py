"""Measures a what-if: made-up recordings of 10,000 turns of about 200 events, on two processes.

python -m bench.whatif
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import report
from bench.data import Answered
from bench.pace import Pace, record, write
from bench.report import Value, print_result
from cli.whatif.cases import read_cases
from cli.whatif.command import try_files
from common.records.recording import RecordedTurn
from common.turn.policy import Policy

_TURNS = 10_000
_DRAFT_WORDS = 58
_FULL_WORDS = 118
_WORDS = (
    "account amount answer balance branch bring call change charge check city clear close code "
    "corner cost date day desk door early empty enter evening every fee field file find first flat "
    "follow form free garden give glass green ground group happy hold hour house idea inside keep "
    "kind large late leave letter level light line list local long look machine market meet minute "
    "model morning move music name near never night north note number offer office only open order "
    "paper part person phone place plan point price quick quiet reach ready reason river road room "
    "school second send service short show side simple small sound south start station step stone "
    "street table take team tell time today train travel under visit voice wait walk wall water week "
    "west window winter word work write year yellow "
)


def turns(count: int) -> Iterator[RecordedTurn]:
    """Made-up turns, the same each time."""
    chance, pace = random.Random(7), Pace()
    for number in range(count):
        draft, full = _text(chance, _DRAFT_WORDS), _text(chance, _FULL_WORDS)
        yield record(Answered(f"made-up-{number}", "What do you offer?", draft, full), pace, Policy())


def _text(chance: random.Random, words: int) -> str:
    sentences = []
    while words > 0:
        count = min(words, chance.randint(5, 14))
        sentences.append(" ".join(chance.choices(_WORDS.split(), k=count)).capitalize() + ".")
        words -= count
    return " ".join(sentences)


def _cpu_s() -> float:
    """Return the CPU seconds that this process and those that it has waited for have used."""
    return sum(os.times()[:4])


def measure(count: int, jobs: int) -> dict[str, dict[str, Value]]:
    """Seconds for an unchanged policy, for another, and for a grid."""
    tries = {
        "unchanged": ([], []),
        "another policy": (["handoff.when=first_token", "filler.delay_ms=800"], []),
        "a grid of six": (
            [],
            ["handoff.when=sentence,first_token,length", "handoff.join=append,skip_repeat"],
        ),
    }
    table: dict[str, dict[str, Value]] = {}
    with tempfile.TemporaryDirectory(prefix="fast-reply-bench-") as folder:
        path = Path(folder) / "recordings.jsonl"
        events = write(path, turns(count))
        for name, (sets, sweeps) in tries.items():
            began, used_s = time.perf_counter(), _cpu_s()
            found = try_files([path], read_cases(sets, sweeps), jobs, show=True)
            seconds = time.perf_counter() - began
            assert found.before.turns == count, "a turn was not heard as it was"
            table[name] = {
                "turns": count,
                "events a turn": events / count,
                "MB": path.stat().st_size / 1e6,
                "s": seconds,
                "CPU s": _cpu_s() - used_s,
                "unknown": len(found.outcomes[0].unknown),
            }
    return table


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    options: argparse.Namespace = parser.parse_args()
    count = report.scaled(options, _TURNS)
    print_result({f"a what-if, {options.jobs} processes": measure(count, options.jobs)})


if __name__ == "__main__":
    main()
