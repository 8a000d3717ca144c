"""Has a child process mask texts for this worker's redactor; a turn that kills the child loses its words."""

import asyncio
import logging
import signal

import orjson

from workers.child import Child
from workers.redaction import redacted_log
from workers.redaction.redacted_log import Raw, RedactionRequest, RewritePlan, pack_question, read_plan

logger = logging.getLogger(__name__)

_WAIT_S = 120.0  # for a process that hangs; one that computes is ended by its own limit of CPU time


class Planner:
    """Plans one log at a time.

    A turn that cannot be masked loses its words: it must not stay in clear text.
    """

    def __init__(self, module: str = redacted_log.__name__) -> None:
        self._child = Child(module)
        self._lock = asyncio.Lock()
        self._turn: str | None = None  # with which it is busy

    async def plan(self, raw: Raw, turns: set[str], now_ms: int) -> RewritePlan:
        """Return the plan for a log. Raises OSError or EOFError if no process can make one."""
        asked = RedactionRequest(raw, sorted(turns), now_ms)
        async with self._lock:
            while True:
                try:
                    return await self._ask(asked)
                except (TimeoutError, OSError, EOFError):
                    turn, is_slow = self._turn, await self._child.close() == -signal.SIGPROF
                    if turn is None:
                        raise
                    if not is_slow and asked.late:  # it may be ended for a reason that is not the turn's
                        asked = RedactionRequest(raw, [turn], now_ms, late=False)
                        continue
                    if asked.dropped:
                        raise
                    reason = "too slow" if is_slow else "crashed"
                    logger.error(
                        "dropped a turn that can't be masked", extra={"turn": turn, "reason": reason}
                    )
                    asked = RedactionRequest(raw, [turn], now_ms, late=False, dropped=[turn])
                except BaseException:  # half an answer must not be taken for the next one's
                    await self._child.close()
                    raise

    async def close(self) -> None:
        """End the process."""
        await self._child.close()

    async def _ask(self, asked: RedactionRequest) -> RewritePlan:
        self._turn = None
        async with asyncio.timeout(_WAIT_S):
            await self._child.ask(pack_question(asked))
            while "begun" in (told := orjson.loads(await self._child.answer())):
                self._turn = told["begun"]
            return read_plan(told, await self._child.answer())
