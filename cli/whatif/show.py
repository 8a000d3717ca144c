"""Shows the result of a what-if: as tables in a terminal and as JSON."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.whatif.cases import Case, Outcome, Report

Summary = Mapping[str, float | int | None]

_FIGURES = {
    "turns": "turns",
    "first_sound_p50_ms": "first sound, p50 ms",
    "first_sound_p95_ms": "first sound, p95 ms",
    "informed_p50_ms": "first informative sentence, p50 ms",
    "informed_p95_ms": "first informative sentence, p95 ms",
    "gap_p50_ms": "between them, p50 ms",
    "gap_p95_ms": "between them, p95 ms",
    "repeats_share": "turns that repeat",
    "misses_share": "turns with a sentence wrongly left out",
    "won_share": "turns that the draft won",
    "wasted_tokens": "draft tokens wasted, a turn",
    "degraded_share": "turns degraded",
    "failed_share": "turns with an error",
}
_SWEPT = {
    "turns": "\nturns",
    "first_sound_p50_ms": "sound\np50 ms",
    "informed_mean_ms": "informed\nmean ms",
    "repeats_share": "\nrepeats",
    "misses_share": "wrongly\nleft out",
    "wasted_tokens": "tokens\nwasted",
}


def best_trade(outcomes: list[Outcome]) -> tuple[set[int], int | None]:
    """The cases that no other beats, and the best of them.

    Two things count, over the turns that are known in all: the mean time to the first informative sentence,
    and the share that repeats. A case is on the front if no other is as good in both and better in one. The
    best is the one with the smallest sum of both, each scaled from 0 to 1; equals by fewer tokens wasted.
    """
    costs: dict[int, tuple[float, float]] = {}
    for place, outcome in enumerate(outcomes):
        informed, repeats = outcome.shared.informed.mean(), outcome.shared.share("repeats")
        if informed is not None and repeats is not None:
            costs[place] = (informed, repeats)
    front = {
        place
        for place, cost in costs.items()
        if not any(o != cost and o[0] <= cost[0] and o[1] <= cost[1] for o in costs.values())
    }
    if not front:
        return set(), None
    spans = [(min(values), max(values) - min(values)) for values in zip(*costs.values(), strict=True)]

    def cost(place: int) -> tuple[float, float]:
        scaled = [(value - low) / (span or 1) for value, (low, span) in zip(costs[place], spans, strict=True)]
        return round(sum(scaled), 9), outcomes[place].shared.wasted

    return front, min(sorted(front), key=cost)


def as_json(report: Report, cases: list[Case]) -> dict[str, Any]:
    """All figures, and each turn of which something is unknown."""
    made: dict[str, Any] = {
        "before": report.before.summary(),
        "excluded": _unknown(report.excluded),
        "drifted": report.drifted,
        "broken_lines": report.broken,
    }
    rows: list[dict[str, Any]] = [
        {
            "settings": case.changes,
            "after": outcome.after.summary(),
            "before_same_turns": outcome.before.summary(),
            "unknown": _unknown(outcome.unknown),
        }
        for case, outcome in zip(cases, report.outcomes, strict=True)
    ]
    if len(cases) == 1:
        return made | rows[0]
    front, best = best_trade(report.outcomes)
    for place, (row, outcome) in enumerate(zip(rows, report.outcomes, strict=True)):
        row |= {"shared_turns": outcome.shared.summary(), "on_front": place in front}
    return made | {"sweep": rows, "best": None if best is None else cases[best].changes}


def print_report(console: Console, report: Report, cases: list[Case]) -> None:
    """Print what was found."""
    if len(cases) == 1:
        console.print(_two_sides(report, cases[0]))
        _print_reasons(console, "unknown under this policy", report.outcomes[0].unknown)
    else:
        _print_sweep(console, report, cases)
    _print_reasons(console, "left out", report.excluded)
    total = report.before.turns + report.drifted
    console.print(f"{report.before.turns} of {total} turns fold to exactly what was heard.", highlight=False)
    if report.broken:
        console.print(f"{report.broken} lines could not be read.", highlight=False)


def _two_sides(report: Report, case: Case) -> Table:
    (outcome,) = report.outcomes
    sides: dict[str, Summary] = {"before": report.before.summary()}
    if outcome.unknown:
        sides["before, same turns"] = outcome.before.summary()
    sides["after"] = outcome.after.summary()
    table = Table(title=str(case), title_justify="left")
    table.add_column("")
    for name in sides:
        table.add_column(name, justify="right")
    for key, label in _FIGURES.items():
        table.add_row(label, *(_show(key, side[key]) for side in sides.values()))
    return table


def _print_sweep(console: Console, report: Report, cases: list[Case]) -> None:
    front, best = best_trade(report.outcomes)
    fixed = {name for name in cases[0].changes if len({repr(case.changes[name]) for case in cases}) == 1}
    varied = [name for name in cases[0].changes if name not in fixed]
    title = "  ".join(f"{name}={value}" for name, value in cases[0].values().items() if name in fixed)
    table = Table(title=title, title_justify="left", padding=0, box=SIMPLE_HEAD, show_edge=False)
    for name in varied:
        table.add_column(name.replace(".", "\n"), no_wrap=True)
    for label in _SWEPT.values():
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    recorded = ["recorded", *[""] * (len(varied) - 1)]
    table.add_row(*recorded, *_cells(report.before.summary()), "", end_section=True)
    for place, (case, outcome) in enumerate(zip(cases, report.outcomes, strict=True)):
        mark = "best" if place == best else "front" if place in front else ""
        values = [case.values()[name] for name in varied]
        table.add_row(*values, *_cells(outcome.after.summary()), mark, style="bold" if mark == "best" else "")
    console.print(table)
    _print_best(console, report, cases, best)


def _print_best(console: Console, report: Report, cases: list[Case], best: int | None) -> None:
    unknown = {turn: reason for outcome in report.outcomes for turn, reason in outcome.unknown.items()}
    _print_reasons(console, "unknown under some of these", unknown)
    if best is None:
        console.print("No turn is known under all of these.")
        return
    shared = report.outcomes[best].shared.turns
    console.print(f"Best trade: {cases[best]}", style="bold", highlight=False)
    console.print(
        f"Of the {shared} turns known in all rows: no other informs sooner on average and repeats no more "
        "(front); the smallest sum of the two, each scaled over the rows; equals by fewer tokens wasted.",
        highlight=False,
    )


def _cells(summary: Summary) -> list[str]:
    return [_show(key, summary[key]) for key in _SWEPT]


def _show(key: str, value: float | int | None) -> str:
    if value is None:
        return "unknown"
    if key.endswith("_share"):
        return f"{value:.1%}"
    if key.endswith("_ms"):
        return f"{value:,.0f}"
    return f"{value:.1f}" if isinstance(value, float) else f"{value:,}"


def _print_reasons(console: Console, title: str, unknown: dict[str, str]) -> None:
    for reason, count in Counter(unknown.values()).most_common():
        console.print(f"{title}: {count} {'turn' if count == 1 else 'turns'}, {reason}", highlight=False)


def _unknown(unknown: dict[str, str]) -> dict[str, Any]:
    return {"reasons": Counter(unknown.values()), "turns": unknown}
