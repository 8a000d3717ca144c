"""Real arrivals: the first minutes of a recorded trace of a chat service, at its own pace.

Each arrival is a turn with one of the recorded prompts; both models answer as recorded, at the simulator's
usual pace. Reports whether all ended whole, the time to the first text, hand-overs and cost.
Target: no errors, every answer whole.
"""

import argparse
import asyncio
from collections import Counter

from bench import data, report
from bench.client import Reply, ask, ask_at_once, ask_for
from bench.data import Answered
from bench.report import Result, Table, spread_ms
from bench.stack import Shape, Stack, cpu_per_turn_ms
from bench.whole import FULL_ALONE, KINDS, NotWhole, judge

_MARKED = "X-Fast-Reply-Lanes: 1\r\n"
_SECONDS = 120.0


async def measure(options: argparse.Namespace) -> Result:
    """Play the trace; nothing where the data is missing."""
    if data.missing():
        print(data.missing())
        return {}
    rows = data.answers()
    seconds = getattr(options, "seconds", _SECONDS) * options.scale
    arrivals = data.arrivals_s(seconds)
    # The draft's limit would cut its text where no recorded answer ends.
    env = {"SMALL_MODEL_MAX_TOKENS": "100000", "FAST_REPLY_POLICY__HANDOFF__JOIN": "append"}
    shape = Shape(answers=data.answer_files(), env=env)
    with Stack(shape) as stack:
        await ask_at_once(stack.port, [ask_for(f"Warm {n}") for n in range(8)])
        cut, before = stack.counts("draft")["cut_by_client"], stack.cpu_s()
        turns = [(time_s, rows[number % len(rows)]) for number, time_s in enumerate(arrivals)]
        ends = await asyncio.gather(*(_turn(stack, time_s, row) for time_s, row in turns))
        await asyncio.sleep(0.5)
        cost = cpu_per_turn_ms(before, stack.cpu_s(), len(turns))
        cut = stack.counts("draft")["cut_by_client"] - cut
    replies = [reply for reply, _ in ends if reply]
    kinds = Counter(kind for _, kind in ends)
    errors = sum(not reply.whole for reply in replies) + len(ends) - len(replies)
    first: Table = {"through the gateway": spread_ms(r.first_s for r in replies if r.pieces)}
    counts: Table = {
        f"{seconds:g} s of arrivals": {
            "turns": len(turns),
            "whole": sum(kinds[kind] for kind in KINDS),
            "errors": errors,
            "hand-overs": sum(kinds[kind] for kind in KINDS if kind != FULL_ALONE),
            "drafts cut at their server": cut,
        }
    }
    cuts: Table = {"turns": {kind: kinds[kind] for kind in (*KINDS, "wrong")}}
    return {"turns": counts, "first text": first, "draft cut at": cuts, "CPU ms a turn": {"all": {**cost}}}


async def _turn(stack: Stack, at_s: float, row: Answered) -> tuple[Reply | None, str]:
    await asyncio.sleep(at_s)
    try:
        reply = await ask(stack.port, ask_for(row.prompt), _MARKED, within_s=120.0)
    except (OSError, TimeoutError) as error:
        print(f"{row.id}: {error!r}")
        return None, "wrong"
    try:
        return reply, judge(reply, row.draft, row.full)
    except NotWhole as error:
        print(f"{row.id}: {error}")
        return reply, "wrong"


if __name__ == "__main__":
    options_ = report.parser(__doc__)
    options_.add_argument("--seconds", type=float, default=_SECONDS, help="how much of the trace to play")
    report.run(options_.parse_args(), {"arrivals": measure})
