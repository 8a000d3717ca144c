"""Recovery: the full's worker is killed with SIGKILL in the middle of its answer; a second one is there.

From the kill to the next text of the full at the client, the model taking 300 ms to its first token.
Target: at most 3 s. Every answer must be whole: each character once.
"""

import argparse
import asyncio
from time import monotonic
from urllib.parse import unquote

from redis.asyncio import Redis

from bench import report
from bench.client import Reply, ask_for, connect
from bench.report import Result, Table, scaled, spread_ms
from bench.stack import Shape, Stack
from bench.whole import NotWhole, judge
from common.events import LaneStarted
from common.log.stream import decode_entries
from common.names import DEFAULT_TENANT, SessionRef
from common.store import keys
from simulator.texts import own_answer

_RUNS = 10
_SPEAKS_S = 1.5  # by then the full is heard
_FORGOTTEN_S = 3.5  # by then the dead worker is no longer counted
_PROMPT = "How does one come to understand something new?"


async def measure(options: argparse.Namespace) -> Result:
    """All runs on one stack, each dead worker replaced."""
    asked: list[float] = []
    heard: list[float] = []
    broken = 0
    with Stack(Shape(full_workers=2)) as stack:
        stack.behave("draft", ttft_ms=50, tpot_ms=15)
        stack.behave("full", ttft_ms=300, tpot_ms=20)
        for number in range(scaled(options, _RUNS)):
            killed_s, reply = await _lose_a_worker(stack, f"recovery-{number}")
            again = [s for s in stack.streams(4) if s["model"] == "full" and s["started_s"] > killed_s]
            said_s = again[0]["token_s"][0]
            # What the dead worker still got out is heard after the kill, too: look behind the new one's text.
            next_s = next(p.at_s for p in reply.pieces if p.lane == "full" and p.at_s >= said_s)
            asked.append(again[0]["started_s"] - killed_s)
            heard.append(next_s - killed_s)
            answer = own_answer(_PROMPT)
            try:
                judge(reply, answer.draft, answer.full)
            except NotWhole as error:
                print(error)
                broken += 1
            await asyncio.sleep(max(0.0, killed_s + _FORGOTTEN_S - monotonic()))
            stack.start_worker("full")
            stack.wait_until(stack.ready, "another full worker")
    table: Table = {
        "model asked again": spread_ms(asked),
        "next text heard": {**spread_ms(heard), "answers not whole": broken},
    }
    return {"since the kill": table}


async def _lose_a_worker(stack: Stack, session: str) -> tuple[float, Reply]:
    exchange = await connect(stack.port)
    exchange.send(stack.port, ask_for(_PROMPT, session_id=session, fast_reply={"lanes": True}))
    await asyncio.sleep(_SPEAKS_S)
    pid = await _full_worker(stack, session)
    if not any(piece.lane == "full" for piece in exchange.read().pieces):
        raise RuntimeError("the full had not spoken when its worker was to be killed")
    killed_s = monotonic()
    stack.kill(pid)
    await asyncio.wait_for(exchange.ended, 30.0)
    return killed_s, exchange.read()


async def _full_worker(stack: Stack, session: str) -> int:
    """The process id of the worker that speaks the full, which is a part of its name."""
    async with Redis.from_url(stack.redis_url) as redis:
        raw = await redis.xrange(keys.log(SessionRef(DEFAULT_TENANT, session)))
    starts = [entry.event for entry in decode_entries(raw) if isinstance(entry.event, LaneStarted)]
    (worker,) = [start.worker for start in starts if start.lane == "full"]
    return int(unquote(worker).split(":")[1])


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"recovery": measure})
