"""The handover on recorded answers of real models: what is heard twice, what is missed, what waits.

    python -m bench.handover --joins append,skip_repeat

Each pair of answers becomes a turn at a given pace, its draft of the style `answer`, and is folded under each
join by the same code as `fast-reply whatif`. Counted are the turns in which the draft had spoken at least a
sentence under `append`. The answers are FAST_REPLY_TEST_DATA's, else ../shared/data's: any
`answers-<language>.jsonl`.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench import data
from bench.data import Answered
from bench.handover_judge import Measures, floor, measure
from bench.pace import SHADOW, Pace, record, write
from bench.report import Result, Table, Value, percentile, print_result
from common.records.replay import replay_as_recorded, replay_under
from common.turn.joins.registry import JOINS
from common.turn.policy import Policy

_ALL = "all"
_GUARD = "with a guard"
_JOINS = [name for name, join in JOINS.items() if not join.full_hears_draft]
_FAMILY = re.compile(r"[a-z]+")
_LONG_MS = 200
_A_FEW_TOKENS_MS = 50


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers, in which language, and whether by models of one family."""

    answered: Answered
    language: str
    kind: str


def pairs(folder: Path) -> Iterator[Pair]:
    """All pairs of a folder's answer files."""
    for path in sorted(folder.glob("answers-*.jsonl")):
        language = path.stem.removeprefix("answers-")
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            same = _family(row["draft_model"]) == _family(row["full_model"])
            answered = Answered(row["id"], row["prompt"], row["draft"], row["full"])
            yield Pair(answered, language, "same" if same else "cross")


def _family(model: str) -> str:
    """The name with which a model's name begins: llama-8b and Llama-70B are of one family."""
    match = _FAMILY.match(model.lower())
    return match[0] if match else model


def measure_pair(answered: Answered, pace: Pace, joins: list[str]) -> dict[str, Measures]:
    """A pair of answers under each join, and under a guard."""
    recorded = replay_as_recorded(record(answered, pace))
    alone = replay_under(recorded, _policy(when="never"))
    appended = replay_under(recorded, _policy("append"))
    folded = {join: replay_under(recorded, _policy(join)) for join in joins}
    folded[_GUARD] = replay_under(recorded, _policy(guard=True))
    assert not any(one.unknown for one in (alone, appended, *folded.values())), "a made recording tells all"
    return {name: measure(one, appended, alone) for name, one in folded.items()}


def _policy(join: str = "skip_repeat", **draft: object) -> Policy:
    made = SHADOW.model_dump()
    made["handoff"] |= {"shadow": False, "join": join}
    made["draft"] |= draft
    return Policy.model_validate(made)


Measured = dict[tuple[str, str, str], list[Measures]]
"""By language, kind and join."""


def _pace(options: argparse.Namespace) -> Pace:
    return Pace(options.draft_first_ms, options.full_first_ms, options.draft_tps, options.full_tps)


def run(options: argparse.Namespace, folder: Path) -> Result:
    """Measure all pairs; their tables."""
    pace = _pace(options)
    measured: Measured = defaultdict(list)
    floors: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for pair in pairs(folder):
        for name, measures in measure_pair(pair.answered, pace, options.joins).items():
            if measures.counted:
                for place in ((pair.language, pair.kind), (_ALL, _ALL)):
                    measured[(*place, name)].append(measures)
        if options.floor:
            for place in ((pair.language, pair.kind), (_ALL, _ALL)):
                floors[place].append(floor(pair.answered, pace))
    result = {
        "said twice, missed, silences": _table(measured, _what_was_heard, guard=False),
        "waiting": _table(measured, _what_waited, guard=True),
    }
    if floors:
        result["repeats at best, all turns"] = {
            " ".join(dict.fromkeys(place)): {"turns": len(found), "repeats %": _percent(found)}
            for place, found in sorted(floors.items())
        }
    return result


def _table(measured: Measured, row: Callable[[list[Measures]], dict[str, Value]], guard: bool) -> Table:
    return {
        " ".join(dict.fromkeys(place)): row(measures)
        for place, measures in sorted(measured.items(), key=lambda item: (item[0][0] == _ALL, item[0]))
        if guard or place[2] != _GUARD
    }


def _what_was_heard(turns: list[Measures]) -> dict[str, Value]:
    opened = [turn.opened_ms for turn in turns]
    return {
        "turns": len(turns),
        "repeats %": _percent([turn.repeats for turn in turns]),
        "left out %": _percent([turn.left_out for turn in turns]),
        "wrongly %": _percent([turn.wrong for turn in turns]),
        "opened p95 ms": _p95(opened),
        "over 200 ms %": _percent([ms > _LONG_MS for ms in opened]),
        "all left out": sum(turn.all_left_out for turn in turns),
    }


def _what_waited(turns: list[Measures]) -> dict[str, Value]:
    beyond = [turn.beyond_ms for turn in turns if turn.beyond_ms is not None]
    return {
        "turns": len(turns),
        "informed no later %": _percent([turn.informed_later_ms <= 0 for turn in turns]),
        "sound later p95 ms": _p95([turn.sound_later_ms for turn in turns]),
        "waited p50 ms": _percentile([turn.waited_ms for turn in turns], 50),
        "waited p95 ms": _p95([turn.waited_ms for turn in turns]),
        "beyond p95 ms": _p95([*beyond]),
        "beyond 50 ms %": _percent([ms > _A_FEW_TOKENS_MS for ms in beyond]),
        "slowed p95 ms": _p95([turn.slowed_ms for turn in turns]),
        "slowed max ms": _percentile([turn.slowed_ms for turn in turns], 100),
    }


def _percent(found: list[bool]) -> float:
    return 100 * sum(found) / (len(found) or 1)


def _p95(times_ms: Sequence[int | None]) -> Value:
    return _percentile(times_ms, 95)


def _percentile(times_ms: Sequence[int | None], share: float) -> Value:
    known = sorted(float(ms) for ms in times_ms if ms is not None)
    return int(percentile(known, share)) if known else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the answers are")
    parser.add_argument("--joins", type=lambda text: text.split(","), default=_JOINS, metavar="A,B")
    usual = Pace()
    for name in ("draft_first_ms", "full_first_ms", "draft_tps", "full_tps"):
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=float, default=getattr(usual, name), metavar="N"
        )
    parser.add_argument("--floor", action="store_true", help="also what a rule that knew all could reach")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the recordings, for a what-if")
    options = parser.parse_args()
    if not set(options.joins) <= set(_JOINS):
        parser.error(f"no recording tells any join but {', '.join(_JOINS)}")
    return options


def main() -> None:
    """Measure and print, or say why not."""
    options = _options()
    folder = options.data or data.folder()
    if not any(folder.glob("answers-*.jsonl")):
        print(f"skipped: no answers-*.jsonl in {folder}; set FAST_REPLY_TEST_DATA")
        return
    result = run(options, folder)
    print_result(result)
    if options.json:
        options.json.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    if options.write:
        pace = _pace(options)
        count = write(options.write, (record(pair.answered, pace) for pair in pairs(folder)))
        print(f"{count} events in {options.write}")


if __name__ == "__main__":
    main()
