"""The redactor: run by every worker, it masks or drops what was said in turns that are not to be kept whole.

A turn is rewritten until nothing more can be added to it: a worker that stood still may add a few words
after the first time. Every step may be done twice; whatever dies in between, the turn stays listed.
"""

import asyncio
import logging
import random

from common.names import SessionRef, TurnRef, parse_turn
from common.process.bugs import about
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable
from workers.redaction.planner import Planner
from workers.redaction.rewriting import rewrite_log

logger = logging.getLogger(__name__)

_POLL_S = 1.0
_BATCH = 100
_AT_ONCE = 4
_HOLD_MS = 30_000
_AGAIN_MS = 5_000
_BUSY_MS = 1_000
_BROKEN_MS = 60_000


class Redactor:
    """Rewrites due turns.

    Several workers share the work: a session is held by the one that rewrites it now.
    """

    def __init__(self, stores: Stores, worker: str) -> None:
        self._stores = stores
        self._worker = worker
        self._planner = Planner()

    async def run(self) -> None:
        """Redact until cancelled."""
        try:
            while True:
                redacted = 0
                try:
                    redacted = await self.redact()
                except StoreUnavailable as error:
                    logger.warning("could not redact", extra={"error": error.reason})
                if redacted < _BATCH:
                    await asyncio.sleep(_POLL_S * random.uniform(0.75, 1.25))
        finally:
            await self.close()

    async def close(self) -> None:
        """End the process that masks texts."""
        await self._planner.close()

    async def redact(self) -> int:
        """Rewrite the turns that are due and that nobody else holds; return their number.

        Raises StoreUnavailable.
        """
        now_ms = self._stores.queue_clock.now_ms()
        due = await self._stores.queue.zrangebyscore(keys.REDACTING, "-inf", now_ms, start=0, num=_BATCH)
        turns: dict[SessionRef, set[str]] = {}
        for member in due:
            if turn := await self._parse(member):
                turns.setdefault(turn.session, set()).add(turn.turn)
        mine = await self._hold(list(turns))
        for begin in range(0, len(mine), _AT_ONCE):
            await asyncio.gather(*(self._try(each, turns[each]) for each in mine[begin : begin + _AT_ONCE]))
        return sum(len(turns[session]) for session in mine)

    async def _parse(self, member: bytes) -> TurnRef | None:
        try:
            return parse_turn(member.decode())
        except ValueError:
            await self._stores.queue.zrem(keys.REDACTING, member)
            return None

    async def _hold(self, sessions: list[SessionRef]) -> list[SessionRef]:
        """Hold these sessions, and return those that nobody else holds."""
        if not sessions:
            return []

        def build(pipe: Pipeline) -> None:
            for session in sessions:
                pipe.set(keys.redacting(session), self._worker, nx=True, px=_HOLD_MS)

        replies = await self._stores.on_queue.run(build)
        return [session for session, is_mine in zip(sessions, replies, strict=True) if is_mine]

    async def _try(self, session: SessionRef, turns: set[str]) -> None:
        """Rewrite one session; a failure must not keep the others from being redacted."""
        done, again_ms = set[str](), _BROKEN_MS
        try:
            plan = await rewrite_log(self._stores, self._planner, session, turns)
        except (StoreUnavailable, OSError) as error:  # or no process could make a plan
            reason = error.reason if isinstance(error, StoreUnavailable) else type(error).__name__
            logger.warning("could not redact a session", extra={"error": reason})
            again_ms = _AGAIN_MS
        except Exception as bug:  # that one session meets
            logger.error("could not redact a session", extra=about(bug))
        else:
            done, again_ms = plan.done, _BUSY_MS if plan.busy else _AGAIN_MS
            for turn in plan.drifted:
                logger.warning("a redacted turn folds to another text", extra={"turn": turn})
        await self._let_go(session, turns, done, again_ms)

    async def _let_go(self, session: SessionRef, turns: set[str], done: set[str], again_ms: int) -> None:
        later_ms = self._stores.queue_clock.now_ms() + again_ms

        def build(pipe: Pipeline) -> None:
            for turn in turns:
                if turn in done:
                    pipe.zrem(keys.REDACTING, str(TurnRef(session, turn)))
                else:
                    pipe.zadd(keys.REDACTING, {str(TurnRef(session, turn)): later_ms}, xx=True)
            pipe.delete(keys.redacting(session))

        await self._stores.on_queue.run(build)
