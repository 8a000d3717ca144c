"""Fairness: what a tenant that floods does to another's time to the first token.

The quiet one asks a few times a second throughout. It is alone, then the other floods within its limits, with
as many live turns as it may have, more than the workers have slots; then ten times as many callers want some,
who ask ten times as often as the workers could answer.
Phases take turns, so that a drift of the machine doesn't count.
Target: p95 of the quiet one's first text in either flood less than 1.10 of what it is alone.

--first-come: both ask with keys of one tenant, whose jobs are taken as they come, for comparison.
"""

import argparse
import asyncio
import gc
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from bench import report
from bench.client import Reply, ask, ask_for
from bench.report import Result, Table, Value, spread_ms
from bench.stack import Shape, Stack
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.api_keys import new_key
from common.tenants.config import KeyConfig, TenantConfig
from common.tenants.stored import TenantStore

_SLOTS = 30  # of each lane
_LIVE_TURNS = 36  # at once, of the loud one; each takes a slot of both lanes
_QUIET_PER_S = 3.0
_ROUNDS = 4
_PHASE_S = 7.0
_CALM_S = 1.5  # by then what the flood left behind is over
_CALLS_PER_S = 10 * _SLOTS / 2.7  # ten times what the slots can answer, as one answer takes so long
_PAUSE_S = 10 * _LIVE_TURNS / _CALLS_PER_S  # of a caller who was refused
_PHASES = ("alone", "flood", "alone", "ten times over")
_CALLERS = {"alone": 0, "flood": _LIVE_TURNS, "ten times over": 10 * _LIVE_TURNS}
_ANSWERS: dict[str, dict[str, Any]] = {
    "quiet-draft": {"ttft_ms": 300, "tpot_ms": 12.5, "text": "Let me have a look at that for you."},
    "quiet-full": {"ttft_ms": 1200, "tpot_ms": 25, "text": "We open at nine."},
    "loud-draft": {"ttft_ms": 300, "tpot_ms": 12.5},
    "loud-full": {"ttft_ms": 1200, "tpot_ms": 25, "text": "A longer answer, about the parcel. " * 6},
}


@dataclass
class _Phase:
    """The results of a phase's requests, and the CPU seconds that all of it took."""

    quiet: list[Reply] = field(default_factory=list)
    loud: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_s: float = 0.0


async def measure(options: argparse.Namespace) -> Result:
    """All rounds, on one stack."""
    env = {
        "FAST_REPLY_WORKER_SLOTS": str(_SLOTS),
        "FAST_REPLY_ALLOWED_HOSTS": '["127.0.0.1"]',
        "FAST_REPLY_LOG_LEVEL": "WARNING",
    }
    phases = {name: _Phase() for name in _CALLERS}
    with Stack(Shape(env=env)) as stack:
        quiet, loud = await _set_up(stack, first_come=getattr(options, "first_come", False))
        for _ in range(max(1, round(_ROUNDS * options.scale))):
            for name in _PHASES:
                await _play(stack, phases[name], quiet, loud, _CALLERS[name])
    return _figures(phases)


def _figures(phases: dict[str, _Phase]) -> Result:
    first: Table = {name: _spread(phase) for name, phase in phases.items()}
    alone = first["alone"]
    for name in ("flood", "ten times over"):
        columns = [column for column in ("p50 ms", "p95 ms", "p99 ms") if column in first[name]]
        first[f"{name}, of alone"] = {
            column: float(first[name][column]) / float(alone[column]) for column in columns
        }
    loud: Table = {
        name: {
            "answered/s": phase.loud["whole"] / phase.seconds,
            "429/s": phase.loud["429"] / phase.seconds,
            "503/s": phase.loud["503"] / phase.seconds,
            "broken": phase.loud["broken"],
            "CPU, of one core": phase.cpu_s / phase.seconds,
        }
        for name, phase in phases.items()
    }
    return {"the quiet one's first text": first, "the loud one": loud}


def _spread(phase: _Phase) -> dict[str, Value]:
    answered = [reply for reply in phase.quiet if reply.whole]
    row = spread_ms(reply.first_s for reply in answered)
    return {**row, "not answered": len(phase.quiet) - len(answered)}


async def _set_up(stack: Stack, *, first_come: bool) -> tuple[str, str]:
    """Two tenants, as the gateway knows them; the headers that show their keys."""
    for model, behaviour in _ANSWERS.items():
        stack.behave(model, **behaviour)
    settings = Settings.model_validate({"redis_url": stack.redis_url})
    quiet, loud = new_key(), new_key()
    async with open_stores(settings) as stores:
        store = TenantStore(stores, None)
        profiles = {name: _profile(stack, name) for name in ("quiet", "loud")}
        limits: dict[str, int] = {"live_turns": 0 if first_come else _LIVE_TURNS}
        await store.put_tenant("loud", TenantConfig.model_validate({"profiles": profiles, "limits": limits}))
        await store.put_tenant("quiet", TenantConfig.model_validate({"profiles": profiles}))
        for key, tenant in ((quiet, "loud" if first_come else "quiet"), (loud, "loud")):
            config = KeyConfig.model_validate({"tenant": tenant, "digest": key.digest, "scopes": ["chat"]})
            await store.put_key(key.id, config)
    headers = [f"Authorization: Bearer {key.text}\r\n" for key in (quiet, loud)]
    for header in headers:
        await _until_known(stack, header)
    return headers[0], headers[1]


async def _until_known(stack: Stack, header: str) -> None:
    """Wait until the gateway has looked at its tenants."""
    for _ in range(100):
        if (await _ask(stack, "quiet", header)).whole:
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the gateway does not answer its tenants\n{stack.output()}")


def _profile(stack: Stack, name: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{stack.simulator_port}/v1"
    models = {lane: {"base_url": url, "model": f"{name}-{lane}"} for lane in ("draft", "full")}
    return {**models, "memory": {"mode": "off"}}


async def _ask(stack: Stack, profile: str, header: str) -> Reply:
    return await ask(stack.port, ask_for("When do you open?", model=profile), header)


async def _play(stack: Stack, phase: _Phase, quiet: str, loud: str, callers: int) -> None:
    """One phase, from the first request to the last answer."""
    gc.collect()
    gc.disable()  # our own collections must not count as the gateway's
    before, begun_s = sum(stack.cpu_s().values()), monotonic()
    end_s = begun_s + _PHASE_S
    tasks = [
        asyncio.create_task(_call_on(stack, phase, loud, n / _CALLS_PER_S, end_s)) for n in range(callers)
    ]
    asked: list[asyncio.Task[Reply]] = []
    while (next_s := begun_s + len(asked) / _QUIET_PER_S) < end_s:
        await asyncio.sleep(next_s - monotonic())
        asked.append(asyncio.create_task(_ask(stack, "quiet", quiet)))
    phase.quiet += await asyncio.gather(*asked)
    await asyncio.gather(*tasks)
    phase.seconds += monotonic() - begun_s
    phase.cpu_s += sum(stack.cpu_s().values()) - before
    gc.enable()
    await asyncio.sleep(_CALM_S if callers else 0)


async def _call_on(stack: Stack, phase: _Phase, header: str, wait_s: float, end_s: float) -> None:
    """Call again and again, as one caller."""
    await asyncio.sleep(wait_s)
    while monotonic() < end_s:
        reply = await _ask(stack, "loud", header)
        phase.loud[
            "whole" if reply.whole else str(reply.status) if reply.status in (429, 503) else "broken"
        ] += 1
        if reply.status != 200:
            await asyncio.sleep(_PAUSE_S)


if __name__ == "__main__":
    options_ = report.parser(__doc__)
    options_.add_argument("--first-come", action="store_true", help="one tenant's keys for both")
    report.run(options_.parse_args(), {"fairness": measure})
