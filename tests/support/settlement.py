"""Turns to be settled, and what became of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from common.events import Delta, LaneFinished, LaneStarted
from common.names import SessionRef, TurnRef
from common.queue import job_queue
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.usage import Counts, read_usage
from tests.support.ended_turns import begun, end_turn, put
from tests.support.redis_replies import reply
from workers.accounting.settlement import SettlementJob

DAY = "20261120"
START_MS = round(datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC).timestamp() * 1000)
TOLD = {"prompt_tokens": 100, "completion_tokens": 6, "total_tokens": 106}
SETTLED = {"turns": 1, "full_prompt_tokens": 100, "full_completion_tokens": 6}


@asynccontextmanager
async def open_settler(settings: Settings) -> AsyncIterator[tuple[Stores, SettlementJob]]:
    """A settler over connections of its own; it takes its rounds by hand."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        yield stores, SettlementJob(settings, stores, Sessions(stores, None))


def call(name: str = "turn0001") -> TurnRef:
    """A turn, alone in a session whose name needs quoting."""
    return TurnRef(SessionRef("acme", f"{name}: call {{a}}"), name)


async def have_turn(
    stores: Stores, name: str = "turn0001", *, at_ms: int = START_MS, reserved: int = 0, **fields: Any
) -> TurnRef:
    """A turn that has begun, as its start leaves it."""
    turn = call(name)
    await stores.on_queue.run(lambda pipe: job_queue.register_turn(pipe, turn, stores.queue_clock.now_ms()))
    if reserved:
        await reply(stores.queue.hset(keys.reserved("acme"), str(turn), f"{DAY}:{reserved}"))
        await reply(stores.queue.hincrby(keys.tokens("acme", DAY), "reserved", reserved))
    await put(stores, turn.session, replace(begun(name), **fields), at_ms)
    return turn


async def speak(stores: Stores, turn: TurnRef, at_ms: int = START_MS, *, to_its_end: bool = True) -> None:
    """What the full says in it."""
    name, session = turn.turn, turn.session
    await put(stores, session, LaneStarted(name, "full", 1, "w"), at_ms + 5)
    await put(stores, session, Delta(name, "full", 1, 0, "We open at nine.", 20), at_ms + 20)
    if to_its_end:
        await put(stores, session, LaneFinished(name, "full", 1, 16, "stop", TOLD, None, 30), at_ms + 30)


async def have_ended(stores: Stores, name: str = "turn0001", *, reserved: int = 0, **fields: Any) -> TurnRef:
    turn = await have_turn(stores, name, reserved=reserved, **fields)
    await speak(stores, turn)
    await end_turn(stores, turn, START_MS + 40)
    return turn


async def unsettled(stores: Stores) -> dict[str, int]:
    """The turns that are to be settled, and when."""
    found = await stores.queue.zrange(keys.UNSETTLED, 0, -1, withscores=True)
    return {member.decode(): int(score) for member, score in found}


async def usage(stores: Stores, day: str = DAY) -> dict[str, Counts]:
    """The tenant's counters of a day, by profile."""
    on = date.fromisoformat(day)
    return {used.profile: used.counts for used in await read_usage(stores, "acme", on, on)}


async def budget(stores: Stores) -> dict[str, int]:
    found = await reply(stores.queue.hgetall(keys.tokens("acme", DAY)))
    return {name.decode(): int(number) for name, number in found.items()}


async def bring_on(stores: Stores) -> None:
    """Let everything be due that is listed and held or put off."""
    for member in await unsettled(stores):
        await stores.queue.zadd(keys.UNSETTLED, {member: 1}, xx=True)
