"""The lanes that run in this worker: held by leases, renewed as one, stopped by order, mark or loss."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from common.names import JobRef, Lane, parse_lease
from common.queue import fair_share, job_queue
from common.settings import Settings
from common.store import keys
from common.store.pubsub import Subscriptions
from common.store.redis import Pipeline, Stores, StoreUnavailable
from workers.upstreams import Upstreams

logger = logging.getLogger(__name__)

Stop = Literal["cancelled", "lost", "drain"]
_FORGET_WORKER_MS = 60_000
_RETRY_S = 0.1


@dataclass(slots=True)
class HeldLane:
    """A lane that runs here. `work` is what to cancel; `stop` says why it was."""

    job: JobRef
    work: "asyncio.Task[None] | None" = None
    stop: Stop | None = None

    def end(self, why: Stop) -> None:
        """Stop the lane's work; the first reason counts."""
        if self.stop is None:
            self.stop = why
            if self.work:
                self.work.cancel()


class LaneLeases:
    """All lanes that this process runs, with their leases."""

    def __init__(self, settings: Settings, stores: Stores, lane: Lane, worker: str) -> None:
        self.worker = worker
        self.lane = lane
        self._beat = fair_share.beat(worker, settings.worker_slots)
        self._settings = settings
        self._stores = stores
        self.upstreams = Upstreams(settings, stores)
        self._held: dict[str, HeldLane] = {}
        self._known = False  # whether the server has heard of us
        self.on_forgotten: Callable[[], None] = lambda: None
        self._taken: set[str] = set()  # jobs picked up here that are not over; most are in _held
        self._channels = Subscriptions(stores, self._order, lambda _: None)
        self._channels.add(keys.orders(worker))

    @contextmanager
    def hold(self, job: JobRef) -> Iterator[HeldLane]:
        """Renew the job's lease for as long as the context lasts."""
        held = self._held[str(job)] = HeldLane(job)
        try:
            yield held
        finally:
            self._held.pop(str(job), None)

    def picked_up(self, job_id: str) -> None:
        """Renew this job's lease from now on, even if it has not started yet."""
        self._taken.add(job_id)

    def finished(self, job_id: str) -> None:
        """Stop renewing the job's lease: it is over."""
        self._taken.discard(job_id)

    def drain(self) -> None:
        """Hand every lane over to another worker."""
        for held in tuple(self._held.values()):
            held.end("drain")

    @property
    def count(self) -> int:
        return len(self._held)

    async def run(self) -> None:
        """Renew and listen for orders until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._channels.run())
            tasks.create_task(self._renew_on())

    def _order(self, channel: str, data: bytes) -> None:
        held = self._held.get(data.decode())
        if held:
            held.end("cancelled")

    async def _renew_on(self) -> None:
        while True:
            wait_s = self._settings.renew_s
            try:
                await self._renew()
            except StoreUnavailable as error:
                logger.warning("could not renew the lanes' leases", extra={"error": error.reason})
                self.upstreams.contact.lost()
                wait_s = min(wait_s, _RETRY_S)
            await asyncio.sleep(wait_s)

    async def _renew(self) -> None:
        """Renew beat, leases, streams and slots, and read the clock and the marks, in one round trip."""
        held = list(self._held.values())
        begun = [str(h.job) for h in held]
        waiting = self._taken.difference(begun)
        clock = self._stores.queue_clock
        now_ms, asked_ms = clock.now_ms(), clock.asked_at()
        deadline_ms = now_ms + self._settings.lane_lease_ms
        pipe = self._stores.queue.pipeline(transaction=False)
        pipe.time()
        pipe.zadd(keys.workers(self.lane), {self._beat: now_ms})
        pipe.zremrangebyscore(keys.workers(self.lane), "-inf", now_ms - _FORGET_WORKER_MS)
        # Only what is still there: a lease that the sweep took away is not taken back.
        if waiting:
            pipe.zadd(keys.LEASES, dict.fromkeys(waiting, deadline_ms), xx=True)
        first = len(pipe)
        if held:
            pipe.zadd(keys.LEASES, dict.fromkeys(begun, deadline_ms), xx=True)
            pipe.zmscore(keys.LEASES, begun)
            pipe.mget([keys.cancelled(h.job) for h in held])
            if self.lane == "draft":
                pipe.mget([keys.full_only(h.job.turn.session.tenant) for h in held])
        asked = len(pipe)
        self.upstreams.renew(pipe)
        fair_share.renew(pipe, self.lane, (h.job for h in held), deadline_ms)
        replies = await pipe.execute()
        if clock.set_from(replies[0], asked_ms):
            self.upstreams.contact.lost()
        self.upstreams.contact.made()
        if replies[1] and self._known:  # our beat was gone, so everything else may be
            await self._hold_anew()
            return
        self._known = True
        if not held:
            return
        for lane, score, *marks in zip(held, *replies[first + 1 : asked], strict=True):
            if any(marks):
                lane.end("cancelled")
            elif score is None:
                lane.end("lost")

    async def _hold_anew(self) -> None:
        """Put back the leases that the server has lost, and have the logs read again.

        It may have dropped them after a long silence. The logs say whether our attempts still count.
        """
        jobs = {str(held.job): held.job for held in self._held.values()}
        jobs |= {str(job): job for name in self._taken if isinstance(job := parse_lease(name), JobRef)}
        lease_ms, now_ms = self._settings.lane_lease_ms, self._stores.queue_clock.now_ms()

        def hold(pipe: Pipeline) -> None:
            for job in jobs.values():
                job_queue.hold_job(pipe, job, now_ms, lease_ms)

        await self._stores.on_queue.run(hold)
        self.on_forgotten()
        logger.warning("the queue had forgotten this worker", extra={"lanes": len(jobs)})

    async def say_goodbye(self) -> None:
        """Remove our beat, so that nobody counts on this worker any more. Raises StoreUnavailable."""
        await self._stores.queue.zrem(keys.workers(self.lane), self._beat)
