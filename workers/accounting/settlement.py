"""The settler: run by all workers except the drafts', it accounts for turns that have ended with their lanes.

Each turn counts exactly once, whatever dies: all that it counts for is written in one step, and that step
begins by removing the turn from those to be settled.
"""

import asyncio
import logging
import random

import orjson

from common.log import kept_bytes
from common.names import TurnRef, parse_turn
from common.process.bugs import about
from common.records.recording import RecordedTurn
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable, answered_within
from common.store.scripts import script
from common.tenants.usage import Account, Counts, day_of, field, tokens
from workers.redaction.redacted_turn import without_words

logger = logging.getLogger(__name__)

_POLL_S = 0.25
_BATCH = 50
_AT_ONCE = 4  # each is folded again: more at once would keep live turns waiting
_TRY_S = 8.0
_HOLD_MS = 10_000  # how long a dead settler's turns wait; longer than a try
_LANE_AGAIN_MS = 500
_TURN_AGAIN_MS = 5_000
_BROKEN_AGAIN_MS = 60_000
_PATIENCE_MS = 5_000  # longer than a lane's lease a worker's last words may take
_DEADLINE_MS = 120_000
_DAY_S = 86_400
_BUDGET_S = 2 * _DAY_S

_TAKE, _SETTLE = script("take_due"), script("kept", "settle")


class SettlementJob:
    """Settles due turns. Several workers share the work: each holds the turns that it takes for a while."""

    def __init__(self, settings: Settings, stores: Stores, sessions: Sessions) -> None:
        self._settings = settings
        self._stores = stores
        self._sessions = sessions

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            looked_at = 0
            try:
                looked_at = await self.settle()
            except StoreUnavailable as error:
                logger.warning("could not settle turns", extra={"error": error.reason})
            if looked_at < _BATCH:
                await asyncio.sleep(_POLL_S * random.uniform(0.75, 1.25))

    async def settle(self) -> int:
        """Settle the turns that are due and that nobody holds; return their number.

        Raises StoreUnavailable.
        """
        now_ms = self._stores.queue_clock.now_ms()
        bounds = (str(now_ms), str(_BATCH), str(now_ms + _HOLD_MS))
        (due,) = await self._stores.on_queue.run(lambda pipe: pipe.eval(_TAKE, 1, keys.UNSETTLED, *bounds))
        for begin in range(0, len(due), _AT_ONCE):
            await asyncio.gather(*(self._try(member.decode()) for member in due[begin : begin + _AT_ONCE]))
        return len(due)

    async def _try(self, member: str) -> None:
        """Settle one turn; a failure must not keep the others from being settled."""
        try:
            turn = parse_turn(member)
        except ValueError:
            await self._stores.queue.zrem(keys.UNSETTLED, member)
            return
        try:
            async with answered_within(_TRY_S):  # an archive may hang
                await self._look(turn)
        except StoreUnavailable as error:  # it is tried again once the hold has lapsed
            logger.warning("could not settle a turn", extra={"error": error.reason})
        except Exception as bug:
            logger.error("could not settle a turn", extra={**about(bug), "turn": turn.turn})
            await self._look_again(turn, _BROKEN_AGAIN_MS)

    async def _look(self, turn: TurnRef) -> None:
        recorded, ended_ms = await self._sessions.recorded(turn)
        if recorded is None:
            await self._settle_lost(turn)
        elif not ended_ms:
            await self._look_again(turn, _TURN_AGAIN_MS)  # its driver, or the sweep, is yet to end it
        else:
            account, started = Account(recorded), recorded.started
            if account.waits and self._stores.log_clock.now_ms() < self._patient_until_ms(recorded, ended_ms):
                await self._look_again(turn, _LANE_AGAIN_MS)
            else:
                day = day_of(recorded.start_ms)
                kept = _kept(recorded)
                counts, record = account.counts(), started.record
                await self._settle(turn, counts, started.profile, day, record=record, kept=kept)

    def _patient_until_ms(self, turn: RecordedTurn, ended_ms: int) -> int:
        """Return until when to wait for the lanes: they end soon after the turn unless their workers died."""
        policy = turn.started.policy
        if policy.get("handoff", {}).get("shadow"):  # this draft speaks on to its end
            ended_ms = turn.start_ms + policy.get("deadline_ms", _DEADLINE_MS)
        return ended_ms + self._settings.lane_lease_ms + _PATIENCE_MS

    async def _settle_lost(self, turn: TurnRef) -> None:
        """Settle a turn of which nothing is kept: its session was deleted, or it never started."""
        session, member = turn.session, str(turn)

        def build(pipe: Pipeline) -> None:
            pipe.zscore(keys.sessions(session.tenant), session.quoted)
            pipe.zscore(keys.deleted(session.tenant), session.quoted)
            pipe.hget(keys.reserved(session.tenant), member)

        known, deleted, reserved = await self._stores.on_queue.run(build)
        day, _, amount = (reserved or b"").decode().partition(":")
        if known is None or deleted is not None:
            # Its use is no longer known; the reservation is an upper bound.
            counts = {"turns": 1, "deleted_tokens": int(amount or 0)}
            await self._settle(turn, counts, "", day or day_of(self._stores.queue_clock.now_ms()))
        else:
            await self._settle(turn, {}, "", day)

    async def _settle(
        self,
        turn: TurnRef,
        counts: Counts,
        profile: str,
        day: str,
        *,
        record: str = "full",
        kept: int = 0,
    ) -> None:
        """Write all that a turn counts for, unless somebody already has."""
        tenant, now_ms = turn.session.tenant, self._stores.queue_clock.now_ms()
        asked = {
            "turn": str(turn),
            "tenant": tenant,
            "session": turn.session.quoted,
            "bytes": kept,
            "until_ms": kept_bytes.until_ms(self._settings, now_ms),
            "bytes_last_s": kept_bytes.lasts_s(self._settings),
            "tokens": tokens(counts),
            "tokens_of": keys.tokens(tenant, ""),
            "tokens_last_s": _BUDGET_S,
            "counts": {field(profile, name): number for name, number in counts.items() if number},
            "usage_lasts_s": self._settings.usage_days * _DAY_S,
            "redact_ms": 0 if record == "full" else now_ms + int(self._settings.redact_after_s * 1000),
        }
        names = (
            keys.UNSETTLED,
            keys.reserved(tenant),
            keys.usage(tenant, day),
            keys.USED,
            keys.REDACTING,
            *kept_bytes.names(tenant),
        )
        await self._stores.on_queue.run(
            lambda pipe: pipe.eval(_SETTLE, len(names), *names, orjson.dumps(asked).decode())
        )

    async def _look_again(self, turn: TurnRef, in_ms: int) -> None:
        at_ms = self._stores.queue_clock.now_ms() + in_ms
        await self._stores.queue.zadd(keys.UNSETTLED, {str(turn): at_ms}, xx=True)


def _kept(turn: RecordedTurn) -> int:
    """Return how many bytes a turn takes in its session's log, without words that are not to be kept."""
    events = [turn.started, *(event for _, event in turn.events), *filter(None, [turn.ended])]
    if turn.started.record == "none" and not turn.dropped:
        return kept_bytes.size_of(kept for event in events if (kept := without_words(event)))
    return kept_bytes.size_of(events)
