"""The operator's list of turns that were given up because they cost too many processes.

It holds no session names: a name may be somebody's number, and goes with its session.
"""

from dataclasses import dataclass

from common.names import TurnRef
from common.store import keys
from common.store.redis import Pipeline, Stores

MOST = 1_000


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked turn. `reason`: what it has cost; `at_ms`: when it was given up, on the queue's clock."""

    tenant: str
    turn: str
    reason: str
    at_ms: int


def record(pipe: Pipeline, turn: TurnRef, reason: str, now_ms: int) -> None:
    """Add a turn to the list; repeating it changes nothing."""
    pipe.zadd(keys.PARKED, {f"{turn.session.tenant}|{turn.turn}|{reason}": now_ms}, nx=True)
    pipe.zremrangebyrank(keys.PARKED, 0, -MOST - 1)


async def read_parked(stores: Stores, limit: int = MOST) -> list[Parked]:
    """Return the latest parked turns, latest first. Raises StoreUnavailable."""
    found = await stores.queue.zrevrange(keys.PARKED, 0, limit - 1, withscores=True)
    return [_read(member.decode(), int(at_ms)) for member, at_ms in found]


def _read(member: str, at_ms: int) -> Parked:
    tenant, turn, reason = member.split("|", 2)
    return Parked(tenant, turn, reason, at_ms)
