"""Overload: how busy the workers are, and what that means for turns that want to start.

First turns lose their draft, then they are refused: a quick refusal is better than a late answer.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from common.errors import Overloaded
from common.names import Lane, TurnRef
from common.queue import fair_share
from common.queue.fair_share import Load, share_of
from common.settings import Settings
from common.store.redis import Pipeline, Stores, StoreUnavailable
from common.tenants.directory import Directory

logger = logging.getLogger(__name__)

_LANES: tuple[Lane, ...] = ("draft", "full")
_LOOK_S = 0.25
_LOOK_AGAIN_S = 0.02  # the shortest time between readings, while turns start
_LOST_S = 2.0  # jobs not sent by then never will be


@dataclass(slots=True)
class _Begun:
    """A turn of this process that is not in the last reading of the queue."""

    tenant: str
    lanes: list[Lane]
    at_s: float
    sent: bool = False


class LoadShedder:
    """Estimates the lanes' backlog, from the last reading of the queue and the turns started here since.

    If no worker is known nothing is refused: one may come, and turns wait for it.
    """

    def __init__(self, settings: Settings, stores: Stores, directory: Directory) -> None:
        self._settings = settings
        self._stores = stores
        self._directory = directory
        self._loads: dict[Lane, Load] = {}
        self._begun: dict[str, _Begun] = {}
        self._jobs: dict[Lane, Counter[str]] = {lane: Counter() for lane in _LANES}  # of `_begun`, by tenant
        self._starting = asyncio.Event()

    def sheds_draft(self, tenant: str) -> bool:
        """Return True if a turn of this tenant goes without a draft now."""
        return any(self._presses(tenant, lane, self._settings.shed_drafts_at) for lane in _LANES)

    def check(self, tenant: str) -> None:
        """Raise Overloaded if no turn of this tenant can start now."""
        if self._presses(tenant, "full", self._settings.refuse_turns_at):
            raise Overloaded

    def admit(self, turn: TurnRef, lanes: Iterable[Lane]) -> None:
        """Count in a turn that is about to start with these lanes. Raises Overloaded."""
        tenant = turn.session.tenant
        self.check(tenant)
        begun = self._begun[turn.turn] = _Begun(
            tenant, [lane for lane in lanes if lane in _LANES], monotonic()
        )
        for lane in begun.lanes:
            self._jobs[lane][tenant] += 1
        self._starting.set()

    def sent(self, turn: TurnRef) -> None:
        """Note that the turn's jobs are on their way: every later reading of the queue includes them."""
        if begun := self._begun.get(turn.turn):
            begun.sent = True

    def _presses(self, tenant: str, lane: Lane, at: float) -> bool:
        load = self._loads.get(lane)
        if load is None or not load.slots:
            return False
        load = load.with_more(self._jobs[lane])
        return load.presses(tenant, share_of(self._settings, self._directory), at)

    async def run(self) -> None:
        """Read the backlog until cancelled: now and then, and soon after turns start."""
        while True:
            self._starting.clear()
            try:
                await self.refresh()
            except StoreUnavailable as error:
                logger.warning("could not look at the backlog", extra={"error": error.reason})
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._starting.wait()
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def refresh(self) -> None:
        """Read the backlog now. Raises StoreUnavailable."""
        shown: list[str] = []

        def build(pipe: Pipeline) -> None:
            shown.extend(turn for turn, begun in self._begun.items() if begun.sent)
            for lane in _LANES:
                fair_share.read_load(pipe, lane)

        replies = await self._stores.on_queue.run(build)
        self._loads = {lane: fair_share.load_of(reply) for lane, reply in zip(_LANES, replies, strict=True)}
        lost_s = monotonic() - _LOST_S
        for turn in (*shown, *(name for name, begun in self._begun.items() if begun.at_s < lost_s)):
            self._forget(turn)

    def _forget(self, turn: str) -> None:
        if begun := self._begun.pop(turn, None):
            for lane in begun.lanes:
                self._jobs[lane][begun.tenant] -= 1
