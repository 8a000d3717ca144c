"""Admission in one step: a turn gets all that it needs of its tenant's limits, or nothing.

An admitted turn is watched over from that moment on. A process that dies right after it leaves a lease, by
which the sweep finds the turn, and an unsettled turn, whose reservation the settlement gives back.
"""

from dataclasses import dataclass, replace
from typing import Any

import orjson

from common.log import kept_bytes
from common.names import TurnRef
from common.queue import job_queue
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.store.scripts import script
from common.tenants.config import Limits
from common.tenants.usage import day_of

MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_ADMIT, _TAKE_BACK = script("kept", "admit"), script("kept", "take_back")


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """The needs of a turn. `tokens`: the most it may use; `supersedes`: it ends its session's last turn.

    `dry_run`: only check whether there is room. `bytes`: the size of its start in the log; `until_ms`: when
    that is deleted if no other turn follows; `bytes_last_s`: how long the byte counts are kept.
    """

    turn: TurnRef
    limits: Limits
    tokens: int
    supersedes: bool
    dry_run: bool = False
    bytes: int = 0
    until_ms: int = 0
    bytes_last_s: int = 0


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """The state of a tenant's limits at one moment, from which all times count.

    `refused_by`: the limit that refused the turn, empty if it was admitted. `wait_ms`: until that limit can
    have room again. `starts`: turns admitted within the last minute, the last of which leaves it in
    `window_ms`. `tokens`: used or reserved of the day, which ends in `day_left_ms`. `replaced`: sessions,
    quoted, that were dropped for a new one; their events up to `void_ms` are void.
    """

    refused_by: str
    wait_ms: int
    starts: int
    window_ms: int
    tokens: int
    day_left_ms: int
    replaced: tuple[str, ...] = ()
    void_ms: int = 0

    def later(self, passed_ms: int) -> "LimitStatus":
        """Return the status after some time of the same day in which nothing happened."""
        wait_ms, window_ms = max(0, self.wait_ms - passed_ms), max(0, self.window_ms - passed_ms)
        day_left_ms = max(0, self.day_left_ms - passed_ms)
        return replace(self, wait_ms=wait_ms, window_ms=window_ms, day_left_ms=day_left_ms)


def is_limited(limits: Limits) -> bool:
    """Return True if turns of this tenant need admission."""
    return any(limits.counted.values())


async def admit(stores: Stores, ask: AdmissionRequest, lease_ms: int) -> LimitStatus:
    """Admit a turn, in one round trip, or take nothing. Raises StoreUnavailable."""
    turn, limits, tenant = ask.turn, ask.limits, ask.turn.session.tenant
    now_ms, void_ms = stores.queue_clock.now_ms(), stores.log_clock.now_ms()
    asked = {
        "turn": str(turn),
        "session": turn.session.quoted,
        "tokens": ask.tokens,
        "day": day_of(now_ms),
        "supersedes": ask.supersedes,
        "dry_run": ask.dry_run,
        "most": limits.counted,
        "bytes": ask.bytes,
        "until_ms": ask.until_ms,
        "bytes_last_s": ask.bytes_last_s,
        "day_left_ms": _DAY_MS - now_ms % _DAY_MS,
        "void_ms": void_ms,
        "list": _listing(stores, turn, lease_ms),
    }
    names = (
        keys.turn_starts(tenant),
        keys.live_turns(tenant),
        keys.reserved(tenant),
        keys.sessions(tenant),
        keys.deleted(tenant),
        keys.tokens(tenant, day_of(now_ms)),
        *kept_bytes.names(tenant),
    )
    (reply,) = await stores.on_queue.run(
        lambda pipe: pipe.eval(_ADMIT, len(names), *names, orjson.dumps(asked).decode())
    )
    refused_by, wait_ms, starts, window_ms, tokens, day_left_ms, *replaced = reply
    return LimitStatus(
        refused_by.decode(),
        wait_ms,
        starts,
        window_ms,
        tokens,
        day_left_ms,
        tuple(session.decode() for session in replaced),
        void_ms,
    )


def _listing(stores: Stores, turn: TurnRef, lease_ms: int) -> list[list[str]]:
    """Return the writes of a turn's start on the queue server, as commands for the script."""
    now_ms, pipe = stores.queue_clock.now_ms(), stores.queue.pipeline()
    job_queue.hold_turns(pipe, [turn], now_ms + lease_ms)
    job_queue.register_turn(pipe, turn, now_ms)
    commands: list[tuple[tuple[Any, ...], Any]] = pipe.command_stack
    return [[job_queue.text_of(part) for part in command] for command, _ in commands]


async def release(stores: Stores, turn: TurnRef) -> None:
    """Give back what an admitted turn that never started had reserved, once. Raises StoreUnavailable."""
    tenant = turn.session.tenant
    names = (keys.UNSETTLED, keys.turn_starts(tenant), keys.reserved(tenant), *kept_bytes.names(tenant))

    def build(pipe: Pipeline) -> None:
        pipe.eval(_TAKE_BACK, len(names), *names, str(turn), keys.tokens(tenant, ""), turn.session.quoted)
        job_queue.unregister_turn(pipe, turn)

    await stores.on_queue.run(build)
