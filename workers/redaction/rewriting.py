"""Rewrites a session's log, with some turns masked or without their words, in one transaction.

Redis cannot change a stream's entries, so all are added again under their own ids: places, times and a
reader that goes on from an id see the same log. If something is appended meanwhile, the transaction fails
and nothing is lost.
"""

from typing import Any

from redis.exceptions import WatchError

from common.names import SessionRef
from common.store import keys
from common.store.redis import Stores, TimedPipeline, answered_within
from workers.redaction.planner import Planner
from workers.redaction.redacted_log import Raw, RewritePlan

LONG = 2_000
"""A log of more entries is written anew only while none of its turns goes on: it takes too long."""

_PAGE = 500
_TRIES = 3
_TIMEOUT_S = 20.0


async def rewrite_log(stores: Stores, planner: Planner, session: SessionRef, turns: set[str]) -> RewritePlan:
    """Mask or drop the words of these turns, where they have ended. Raises StoreUnavailable."""
    key = keys.log(session)
    for _ in range(_TRIES):
        async with stores.log.pipeline(transaction=True) as pipe:
            pipe.timeout_s = _TIMEOUT_S
            async with answered_within(_TIMEOUT_S):
                await pipe.watch(key)
                raw = await _read(pipe, key)
            plan = await planner.plan(raw, turns, stores.log_clock.now_ms())
            if not plan.changes:
                return plan
            if len(raw) > LONG and plan.live:
                return RewritePlan(busy=True)
            try:
                async with answered_within(_TIMEOUT_S):
                    await _write(pipe, key, raw, plan)
            except WatchError:
                continue  # something was appended meanwhile
            return plan
    return RewritePlan(busy=True)


async def _write(pipe: TimedPipeline, key: str, raw: Raw, plan: RewritePlan) -> None:
    about = await pipe.xinfo_stream(key)
    expires_ms: Any = await pipe.execute_command("PEXPIRETIME", key)
    pipe.multi()  # type: ignore[no-untyped-call]
    pipe.delete(key)
    gone = 0
    for entry_id, fields in raw:
        kept: Any = plan.changes.get(entry_id, fields)
        if kept is None:
            gone += 1
        else:
            pipe.xadd(key, kept, id=entry_id)
    # The stream goes on behind its last id, and what was trimmed before is still known to be gone.
    added, deleted = about["entries-added"] - gone, about["max-deleted-entry-id"]
    pipe.execute_command(
        "XSETID", key, about["last-generated-id"], "ENTRIESADDED", added, "MAXDELETEDID", deleted
    )
    if expires_ms > 0:
        pipe.pexpireat(key, expires_ms)
    await pipe.execute()


async def _read(pipe: TimedPipeline, key: str) -> Raw:
    raw: Raw = []
    begin = "-"
    while True:
        page: Any = await pipe.xrange(key, min=begin, count=_PAGE)
        raw += page
        if len(page) < _PAGE:
            return raw
        begin = f"({page[-1][0].decode()}"
