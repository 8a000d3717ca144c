"""Cancelling: from the full's overtaking text leaving the model's server to the draft's connection closed.

Both moments are the simulator's own. The full overtakes with its first token, which is not looked at for
repeats, and the draft is cut at once, so that the moment is unambiguous. And stopping a turn: from a client's
`cancel` to the full's connection closed.

One after the other, on an idle machine. Target: p50 at most 15 ms, p99 at most 60 ms.
50 turns live at once, their handovers within half a second: no target.
A client's cancel: p99 at most 50 ms.
"""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

from bench import report
from bench.client import Reply, ask, ask_at_once, ask_for
from bench.report import Result, Table, scaled, spread_ms
from bench.stack import DRAFT_PROMPT, Shape, Stack

_TURNS = 200
_LIVE = 50
_WAIT_S = 5.0
_POLICY = {"policy": {"handoff": {"when": "first_token", "cut": "now", "join": "append"}}}
_LONG = "The draft goes on and on, and it will not come to an end by itself before it is cut. " * 20
_SHORT = "That is what the full answer says."


async def measure(options: argparse.Namespace) -> Result:
    """Both ways, on one stack."""
    with Stack(Shape(env={"SMALL_MODEL_MAX_TOKENS": "4000"})) as stack:
        stack.behave("draft", ttft_ms=20, tpot_ms=20, text=_LONG)
        stack.behave("full", ttft_ms=250, jitter=0.5, tpot_ms=10, text=_SHORT)
        await ask_at_once(stack.port, [_body(n) for n in range(8)])
        alone = [await _cut_one(stack, number) for number in range(scaled(options, _TURNS))]
        # Handovers from 750 to 1,250 ms, when all drafts have spoken for long.
        stack.behave("full", ttft_ms=1000, jitter=1.0, tpot_ms=10, text=_SHORT)
        live: list[float] = []
        for _ in range(scaled(options, _TURNS) // _LIVE or 1):
            live += await _cut_many(stack, _LIVE)
        stack.behave("full", ttft_ms=20, tpot_ms=20, text=_LONG)
        stopped = [await _stop_one(stack, number) for number in range(scaled(options, _TURNS // 2))]
    table: Table = {
        "one after the other": spread_ms(alone),
        f"{_LIVE} turns live at once": spread_ms(live),
    }
    return {"overtaken to cut": table, "cancel to cut": {"one after the other": spread_ms(stopped)}}


async def _cut_one(stack: Stack, number: int) -> float:
    _check(await ask(stack.port, _body(number)))
    (time_s,) = await _cuts(stack, 1)
    return time_s


async def _cut_many(stack: Stack, count: int) -> list[float]:
    for reply in await ask_at_once(stack.port, [_body(n) for n in range(count)]):
        _check(reply)
    return await _cuts(stack, count)


async def _cuts(stack: Stack, count: int) -> list[float]:
    """The last turns' times, once every draft's stream is over."""
    deadline_s = asyncio.get_running_loop().time() + _WAIT_S
    while True:
        streams = stack.streams(2 * count)
        drafts = {s["prompt_chars"] - len(DRAFT_PROMPT): s for s in streams if s["model"] == "draft"}
        fulls = {s["prompt_chars"]: s for s in streams if s["model"] == "full"}
        if all(stream["outcome"] != "live" for stream in streams):
            break
        if asyncio.get_running_loop().time() > deadline_s:
            raise RuntimeError("a draft's stream was never cut")
        await asyncio.sleep(0.02)
    if len(drafts) != count or drafts.keys() != fulls.keys():
        raise RuntimeError("the simulator's streams don't belong to these turns")
    if any(draft["outcome"] != "cut" for draft in drafts.values()):
        raise RuntimeError("a draft came to its end before it was cut")
    return [drafts[key]["ended_s"] - fulls[key]["token_s"][0] for key in drafts]


async def _stop_one(stack: Stack, number: int) -> float:
    """A turn that its client stops when the full has begun to speak."""
    session, before = f"stopped-{number}", stack.counts("full")["started"]
    asking = asyncio.create_task(
        ask(stack.port, ask_for("?", useProgressiveResponse=False), f"X-Session-ID: {session}\r\n")
    )
    await _until(lambda: stack.counts("full")["started"] > before and stack.streams(1)[0]["token_s"])
    reply = await ask(stack.port, b"", path=f"/v1/sessions/{session}/cancel")
    if reply.status != 200 or not (await asking).done:
        raise RuntimeError(f"the turn was not stopped: {reply.status} {reply.body[-80:]!r}")
    await _until(lambda: stack.streams(1)[0]["outcome"] != "live")
    (stream,) = stack.streams(1)
    if stream["outcome"] != "cut":
        raise RuntimeError("the full came to its end before it was stopped")
    return float(stream["ended_s"] - reply.sent_s)


async def _until(check: Callable[[], Any]) -> None:
    deadline_s = asyncio.get_running_loop().time() + _WAIT_S
    while not check():
        if asyncio.get_running_loop().time() > deadline_s:
            raise RuntimeError("the full never spoke, or was never stopped")
        await asyncio.sleep(0.005)


def _body(number: int) -> bytes:
    # Each turn's prompt has a length of its own, by which the simulator's streams are told apart.
    return ask_for("?" * (number + 1), fast_reply=_POLICY)


def _check(reply: Reply) -> None:
    if not reply.whole or not reply.text.endswith(_SHORT) or len(reply.text) == len(_SHORT):
        raise RuntimeError(f"no turn with a handover: {reply.status} {reply.error or reply.text[-80:]}")


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"cancel": measure})
