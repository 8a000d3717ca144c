"""Time to the first text: what the gateway adds to the model's own.

Alone: one client, the full model only, each turn asked directly and through the gateway, one after the other.
    Target: the median of what each pair differs by, at most 6 ms.
At once: 200 turns in one instant, draft and full, against as many draft requests asked directly.
    Target: p95 through the gateway, less p95 asked directly, at most 300 ms.
"""

import argparse
import asyncio
from collections import Counter

from bench import report
from bench.client import Reply, ask, ask_at_once, ask_for
from bench.report import Result, Table, Value, median_row, scaled, spread_ms
from bench.stack import Stack, cpu_per_turn_ms

_PAIRS = 200
_AT_ONCE = 200
_ROUNDS = 5


async def measure(options: argparse.Namespace) -> Result:
    """Both parts, on one stack."""
    with Stack() as stack:
        # Warm: connections, caches, and code that runs for the first time.
        await ask_at_once(stack.port, [ask_for(f"Warm {n}") for n in range(8)])
        return {**await _alone(stack, options), **await _at_once(stack, options)}


async def _alone(stack: Stack, options: argparse.Namespace) -> Result:
    stack.behave("full", ttft_ms=50, tpot_ms=5, text="A short answer in one sentence.")
    direct: list[float] = []
    through: list[float] = []
    spent: Counter[str] = Counter()
    pairs = scaled(options, _PAIRS)
    for number in range(pairs):
        reply = await ask(stack.simulator_port, ask_for(f"Question {number}", model="full"))
        direct.append(_first_s(reply))
        before = stack.cpu_s()
        reply = await ask(stack.port, ask_for(f"Question {number}", useProgressiveResponse=False))
        through.append(_first_s(reply))
        spent.update({name: used - before[name] for name, used in stack.cpu_s().items()})
    added = [ours - theirs for ours, theirs in zip(through, direct, strict=True)]
    table: Table = {
        "asked directly": spread_ms(direct),
        "through the gateway": spread_ms(through),
        "added, pair by pair": spread_ms(added),
    }
    cpu = cpu_per_turn_ms(dict.fromkeys(spent, 0.0), spent, pairs)
    return {"first text, one client": table, "CPU ms a turn, one client": {"full only": {**cpu}}}


async def _at_once(stack: Stack, options: argparse.Namespace) -> Result:
    stack.behave("draft", ttft_ms=200, tpot_ms=12.5)
    stack.behave("full", ttft_ms=800, tpot_ms=25)
    count = scaled(options, _AT_ONCE)
    direct: list[list[float]] = []
    through: list[list[float]] = []
    costs: list[dict[str, Value]] = []
    for _ in range(_ROUNDS):
        replies = await ask_at_once(stack.simulator_port, [_draft_body(n) for n in range(count)])
        direct.append([_first_s(reply) for reply in replies])
        await asyncio.sleep(0.5)
        before = stack.cpu_s()
        replies = await ask_at_once(stack.port, [ask_for(f"Question {n}") for n in range(count)])
        through.append([_first_s(reply) for reply in replies])
        await asyncio.sleep(0.5)
        costs.append({**cpu_per_turn_ms(before, stack.cpu_s(), count)})
    rounds: Table = {}
    for number, (theirs, ours) in enumerate(zip(direct, through, strict=True), start=1):
        rounds[f"round {number}"] = _compare(theirs, ours)
    rounds["median of the rounds"] = median_row(list(rounds.values()))
    table: Table = {
        "asked directly, all rounds": spread_ms(time_s for times in direct for time_s in times),
        "through the gateway, all rounds": spread_ms(time_s for times in through for time_s in times),
    }
    cpu = {"median of the rounds": median_row(costs)}
    return {f"{count} turns at once": rounds, "first text": table, "CPU ms a turn, at once": cpu}


def _compare(theirs: list[float], ours: list[float]) -> dict[str, Value]:
    direct, through = spread_ms(theirs), spread_ms(ours)
    row: dict[str, Value] = {}
    for name in ("p50 ms", "p95 ms"):
        row |= {f"direct {name}": direct[name], f"gateway {name}": through[name]}
        row[f"added {name}"] = float(through[name]) - float(direct[name])
    row["p95 ratio"] = float(through["p95 ms"]) / float(direct["p95 ms"])
    return row


def _draft_body(number: int) -> bytes:
    return ask_for(f"Question {number}", model="draft", max_tokens=100)


def _first_s(reply: Reply) -> float:
    if not reply.whole:
        raise RuntimeError(f"an answer broke off: status {reply.status}, {reply.error or reply.text[-80:]}")
    return reply.first_s


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"first_token": measure})
