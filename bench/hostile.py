"""A hostile tenant beside a quiet one: what its worst costs the other's time to the first text.

The quiet one asks some times a second throughout. For each kind it is alone, then the hostile one does that,
then it is alone again: both phases count, so that a drift of the machine doesn't. The hostile one is niced, a
process of its own, and each kind keeps to a rate: what is measured is what the gateway lets it take, not two
cores that an attacker shares with its victim.
Target: p95 of the quiet one's first text at most 1.10 of what it is alone.

    rules      four live turns, a profile's guard rules at their most, a draft without a full stop
    documents  two a second (blanks in headings, one line, tables, headings alone), beside turns that look up
    floods     five live turns whose servers send tokens, empty deltas, comments, blanks, events of a megabyte
    bodies     five of about a megabyte a second: refused, broken at the end, of many parts, too deep, asked
    headers    50 half-open connections a second, 50 that only connect, 20 heads of 50 KB
    readers    six of a session of 30 MB: replays at `max`, its events, its export, its report
"""

import argparse
import asyncio
import gc
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any

import orjson
import redis.asyncio

from bench import hostile_models, report
from bench.client import Reply, ask, ask_for
from bench.hostile_tenant import SESSION
from bench.replay import made_turn, write_session
from bench.report import Result, Table, Value, spread_ms
from bench.stack import ROOT, Shape, Stack, free_port
from common.names import SessionRef
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.api_keys import new_key
from common.tenants.config import KeyConfig, TenantConfig
from common.tenants.stored import TenantStore
from common.text.own_rules import MAX_WEIGHT

KINDS = ("rules", "documents", "floods", "bodies", "headers", "readers")
_ROUNDS = 4
_PHASE_S = 6.0
_CALM_S = 2.0
_QUIET_PER_S = 8.0
_LIVE_TURNS = 12  # of the hostile one at once
_RULES = MAX_WEIGHT // 162  # the most rules of this kind
_READ_TURNS = 28  # 10,000 events
_READ_WORDS = "words " * 180_000
_QUIET: dict[str, dict[str, Any]] = {
    "quiet-draft": {"ttft_ms": 300, "tpot_ms": 12.5, "text": "Let me have a look at that for you."},
    "quiet-full": {"ttft_ms": 900, "tpot_ms": 25, "text": "We open at nine."},
}


@dataclass(frozen=True, slots=True)
class _Phase:
    """The results of the quiet tenant's turns of some seconds, and the CPU seconds that each process took."""

    replies: list[Reply]
    seconds: float
    cpu_s: dict[str, float]


@dataclass
class _Kind:
    """The results of one kind, by rounds: beside it, and before and after."""

    beside: list[_Phase] = field(default_factory=list)
    alone: list[list[_Phase]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)


class _Hostile:
    """The other's process."""

    def __init__(self, stack: Stack, key: str, models_port: int) -> None:
        command = [sys.executable, "-m", "bench.hostile_tenant", str(stack.port), key, str(models_port)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, start_new_session=True)
        self._answer()

    def order(self, kind: str) -> Counter[str]:
        """Do that from now on, `""`: nothing; what it has done since the last order."""
        assert self._process.stdin
        self._process.stdin.write(orjson.dumps({"kind": kind}) + b"\n")
        self._process.stdin.flush()
        return Counter(orjson.loads(self._answer()))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> bytes:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("the hostile tenant has ended")
        return line


async def measure(options: argparse.Namespace) -> Result:
    """All kinds by rounds, on one stack."""
    env = {"FAST_REPLY_ALLOWED_HOSTS": '["127.0.0.1"]', "FAST_REPLY_LOG_LEVEL": "ERROR"}
    kinds = {name: _Kind() for name in getattr(options, "kinds", None) or KINDS}
    models_port = free_port()
    with Stack(Shape(env=env)) as stack:
        quiet, loud = await _set_up(stack, models_port)
        hostile = _Hostile(stack, loud, models_port)
        try:
            await _play(stack, quiet)  # what is made the first time
            for _ in range(max(1, round(_ROUNDS * options.scale))):
                before = await _play(stack, quiet)
                for name, kind in kinds.items():
                    await _beside(stack, kind, hostile, name, quiet)
                    after = await _play(stack, quiet)
                    kind.alone.append([before, after])
                    before = after
        finally:
            hostile.end()
    return _figures(kinds)


async def _beside(stack: Stack, kind: _Kind, hostile: _Hostile, name: str, quiet: str) -> None:
    """One phase of the hostile one."""
    hostile.order(name)
    await asyncio.sleep(_CALM_S / 2)
    kind.beside.append(await _play(stack, quiet))
    kind.done += hostile.order("")
    await asyncio.sleep(_CALM_S)


async def _play(stack: Stack, quiet: str) -> _Phase:
    """The quiet one's turns of one phase."""
    gc.collect()
    gc.disable()  # our own collections must not count as the gateway's
    before, begun_s, asked = stack.cpu_s(), monotonic(), list[asyncio.Task[Reply]]()
    while (next_s := begun_s + len(asked) / _QUIET_PER_S) < begun_s + _PHASE_S:
        await asyncio.sleep(next_s - monotonic())
        asked.append(asyncio.create_task(_ask(stack, quiet)))
    replies = await asyncio.gather(*asked)
    gc.enable()
    used = {process: cpu_s - before[process] for process, cpu_s in stack.cpu_s().items()}
    return _Phase(replies, monotonic() - begun_s, used)


async def _ask(stack: Stack, quiet: str) -> Reply:
    return await ask(stack.port, ask_for("When do you open?", model="quiet"), quiet)


def _figures(kinds: dict[str, _Kind]) -> Result:
    first: Table = {}
    hostile: Table = {}
    for name, kind in kinds.items():
        alone = [phase for phases in kind.alone for phase in phases]
        before, beside = _spread(alone), _spread(kind.beside)
        rounds = [
            _p95_ms([phase]) / _p95_ms(phases) for phase, phases in zip(kind.beside, kind.alone, strict=True)
        ]
        first[name] = {
            **{f"alone {share} ms": before[f"{share} ms"] for share in ("p50", "p95")},
            **{f"beside {share} ms": beside[f"{share} ms"] for share in ("p50", "p95")},
            **{f"{p}, of alone": float(beside[f"{p} ms"]) / float(before[f"{p} ms"]) for p in ("p50", "p95")},
            "p95 by rounds": " ".join(f"{ratio:.2f}" for ratio in rounds),
            "n": beside["n"],
            "not answered": sum(not reply.whole for phase in kind.beside for reply in phase.replies),
        }
        seconds = sum(phase.seconds for phase in kind.beside)
        hostile[name] = {
            "a second": ", ".join(f"{what} {n / seconds:.1f}" for what, n in kind.done.most_common()),
            **_cores(alone, kind.beside),
        }
    return {"the quiet one's first text": first, "the hostile one, and cores used alone and beside": hostile}


def _spread(phases: list[_Phase]) -> dict[str, Value]:
    return spread_ms(reply.first_s for phase in phases for reply in phase.replies if reply.whole)


def _p95_ms(phases: list[_Phase]) -> float:
    return float(_spread(phases)["p95 ms"])


def _cores(alone: list[_Phase], beside: list[_Phase]) -> dict[str, Value]:
    """Return how much of a core each process of the gateway took."""

    def share(phases: list[_Phase], process: str) -> float:
        return sum(phase.cpu_s[process] for phase in phases) / sum(phase.seconds for phase in phases)

    names = [name for name in beside[0].cpu_s if name not in ("client", "simulator")]
    return {name: f"{share(alone, name):.2f} {share(beside, name):.2f}" for name in names}


async def _set_up(stack: Stack, models_port: int) -> tuple[str, str]:
    """Two tenants, and the hostile one's session; the quiet one's header, the other's key."""
    for model, behaviour in _QUIET.items():
        stack.behave(model, **behaviour)
    profiles = {name: _profile(models_port, name, name) for name in hostile_models.FLOODS}
    profiles["brief"] = _profile(models_port, "brief", "brief")
    rules = [f"(?:a?b?[a-z]?){{3}}\\d{number:02}" for number in range(_RULES)]
    guarded = {"policy": {"draft": {"guard": True, "guard_rules": rules, "max_chars": 10_000}}}
    profiles["rules"] = _profile(models_port, "unpunctuated", "late") | guarded
    url = f"http://127.0.0.1:{stack.simulator_port}/v1"
    lanes = {lane: {"base_url": url, "model": f"quiet-{lane}"} for lane in ("draft", "full")}
    tenants = {
        "hostile": {"profiles": profiles, "limits": {"live_turns": _LIVE_TURNS}},
        "quiet": {"profiles": {"quiet": lanes | {"memory": {"mode": "off"}}}},
    }
    made = {name: new_key() for name in tenants}
    async with open_stores(Settings.model_validate({"redis_url": stack.redis_url})) as stores:
        store = TenantStore(stores, None)
        for name, tenant in tenants.items():
            await store.put_tenant(name, TenantConfig.model_validate(tenant))
            scopes = {"tenant": name, "digest": made[name].digest, "scopes": ["chat", "read", "admin"]}
            await store.put_key(made[name].id, KeyConfig.model_validate(scopes))
    await _write_session(stack)
    header = f"Authorization: Bearer {made['quiet'].text}\r\n"
    for _ in range(100):
        if (await _ask(stack, header)).whole:
            return header, made["hostile"].text
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the gateway does not answer its tenants\n{stack.output()}")


async def _write_session(stack: Stack) -> None:
    """A session of the hostile one's, of ten thousand events and thirty megabytes."""
    request = {"messages": [{"role": "user", "content": _READ_WORDS}]}
    turns = [made_turn(number, 20) for number in range(_READ_TURNS)]
    start_ms = int(time() * 1000) - 3_600_000  # an older one is forgotten
    turns = [replace(turn, started=replace(turn.started, request=request)) for turn in turns]
    async with redis.asyncio.Redis.from_url(stack.redis_url) as store:
        await write_session(store, SessionRef("hostile", SESSION), turns, start_ms)


def _profile(port: int, draft: str, full: str) -> dict[str, Any]:
    models = {"draft": draft, "full": full}
    lanes = {
        lane: {"base_url": f"http://127.0.0.1:{port}/{name}/v1", "model": name}
        for lane, name in models.items()
    }
    return {**lanes, "memory": {"mode": "off"}}


if __name__ == "__main__":
    options_ = report.parser(__doc__)
    options_.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    report.run(options_.parse_args(), {"hostile": measure})
