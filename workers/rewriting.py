"""A session's log written anew, with some of its turns masked or without their words, in one transaction.

Redis can't change a stream's entries, so all are added again under their own ids: places, times and whoever
reads on from an id see the same log. What is appended meanwhile makes the transaction fail, and isn't lost.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import WatchError

from common import keys
from common.events import Delta, Entry, Event, Extra, ToolPart, TurnEnded, TurnStarted, encode
from common.keys import SessionRef
from common.log import decode_entries
from common.redacted_turn import rewrite_turn
from common.stores import Stores, TimedPipeline

LONG = 2_000
"""A log of more entries is written anew only while none of its turns goes on: it takes too long."""

_PAGE = 500
_TRIES = 3
_TIMEOUT_S = 20.0
_LONGEST_TURN_MS = 3_660_000  # the policy's longest deadline, and a minute

Raw = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(slots=True)
class Plan:
    """What is to become of a log's entries.

    `done`: turns of which nothing clear is left and nothing more can come; `drifted`: those that say
    something else now; `changes`: by entry id, None for one that goes; `live`: whether a turn goes on;
    `busy`: so much goes on that all has to wait.
    """

    done: set[str] = field(default_factory=set)
    drifted: set[str] = field(default_factory=set)
    changes: dict[str, Event | None] = field(default_factory=dict)
    live: bool = False
    busy: bool = False


async def rewrite_log(stores: Stores, session: SessionRef, turns: set[str]) -> Plan:
    """Mask or drop the words of these turns, as far as they have ended. Raises STORE_ERRORS."""
    for _ in range(_TRIES):
        async with asyncio.timeout(_TIMEOUT_S), stores.log.pipeline(transaction=True) as pipe:
            pipe.timeout_s = _TIMEOUT_S
            try:
                return await _rewrite(pipe, keys.log(session), turns, stores.log_clock.now_ms())
            except WatchError:
                continue  # something was appended meanwhile
    return Plan(busy=True)


async def _rewrite(pipe: TimedPipeline, key: str, turns: set[str], now_ms: int) -> Plan:
    await pipe.watch(key)
    raw = await _read(pipe, key)
    plan = await asyncio.to_thread(make_plan, raw, turns, now_ms)
    if not plan.changes:
        return plan
    if len(raw) > LONG and plan.live:
        return Plan(busy=True)
    about = await pipe.xinfo_stream(key)
    expires_ms: Any = await pipe.execute_command("PEXPIRETIME", key)
    pipe.multi()  # type: ignore[no-untyped-call]
    pipe.delete(key)
    gone = 0
    for entry_id, fields in raw:
        event = plan.changes.get(entry_id.decode(), fields)
        if event is None:
            gone += 1
        else:
            kept: Any = event if isinstance(event, dict) else encode(event)
            pipe.xadd(key, kept, id=entry_id)
    # The stream goes on behind its last id, and what was trimmed before is still known to be gone.
    added, deleted = about["entries-added"] - gone, about["max-deleted-entry-id"]
    pipe.execute_command(
        "XSETID", key, about["last-generated-id"], "ENTRIESADDED", added, "MAXDELETEDID", deleted
    )
    if expires_ms > 0:
        pipe.pexpireat(key, expires_ms)
    await pipe.execute()
    return plan


async def _read(pipe: TimedPipeline, key: str) -> Raw:
    raw: Raw = []
    begin = "-"
    while True:
        page: Any = await pipe.xrange(key, min=begin, count=_PAGE)
        raw += page
        if len(page) < _PAGE:
            return raw
        begin = f"({page[-1][0].decode()}"


def make_plan(raw: Raw, turns: set[str], now_ms: int) -> Plan:
    """What is to be done with a log. A turn that isn't there any more, or is to be kept whole, is done."""
    entries = decode_entries(raw)
    begun: dict[str, int] = {}
    for place, entry in enumerate(entries):
        if isinstance(entry.event, TurnStarted):
            begun.setdefault(entry.event.turn, place)
    ended = {entry.event.turn for entry in entries if isinstance(entry.event, TurnEnded)}
    plan = Plan(live=any(_is_live(entries[at], ended, now_ms) for at in begun.values()))
    for turn in turns | _added_late(entries):
        at = begun.get(turn)
        started = entries[at].event if at is not None else None
        if at is None or not isinstance(started, TurnStarted) or started.record == "full":
            plan.done.add(turn)
        elif turn in ended:
            # Of other turns only their starts matter to this one.
            own = [e for e in entries[at:] if e.event.turn == turn or isinstance(e.event, TurnStarted)]
            rewritten = rewrite_turn(own, now_ms)
            plan.changes |= rewritten.changes
            if rewritten.whole:
                plan.done.add(turn)
            if rewritten.drifted:
                plan.drifted.add(turn)
    return plan


def _added_late(entries: list[Entry]) -> set[str]:
    """Turns that were rewritten and then added to: by a worker that had stood still for very long."""
    rewritten, late = set[str](), set[str]()
    for entry in entries:
        event = entry.event
        if isinstance(event, TurnEnded) and event.record != "full":
            rewritten.add(event.turn)
        elif isinstance(event, Delta | ToolPart | Extra) and event.turn in rewritten:
            late.add(event.turn)
    return late


def _is_live(start: Entry, ended: set[str], now_ms: int) -> bool:
    return start.event.turn not in ended and start.ms > now_ms - _LONGEST_TURN_MS
