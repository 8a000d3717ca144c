"""Decides which upstreams may be asked now: how many streams each may have, and which are busy or broken.

The state is in the queue's store, shared by all workers. A worker reads it in the round trip in which it
picks a job up; a healthy upstream without a stream limit costs no further round trip.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from common.names import JobRef
from common.settings import Settings
from common.store import keys
from common.store.clocks import Contact
from common.store.redis import Pipeline, Stores, StoreUnavailable
from common.tenants.profiles import Upstream
from workers.providers.base import UpstreamError

logger = logging.getLogger(__name__)

_LOOK_S = 0.05  # how often a waiting job asks for a free stream
_KEPT_MS = 60_000  # after its lease: a worker that could not renew it may be back
_LONGEST_S = 900.0  # the longest time for which an upstream is left alone
_FORGET_MS = 3_600_000  # a broken upstream that nobody has tried for this long


class Upstreams:
    """This worker's view of the upstreams, and the streams that it holds."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        self._settings = settings
        self._stores = stores
        self._busy: dict[str, float] = {}  # until when, ms
        self._broken: dict[str, float] = {}
        self._failed: set[str] = set()  # those that have failed here since they last spoke
        self._held: set[tuple[str, str]] = set()  # upstream and job of each stream that counts
        self._tasks: set[asyncio.Task[None]] = set()
        self.contact = Contact(gap_s=settings.lane_lease_s)

    # Commands that ride in others' round trips.

    def read_state(self, pipe: Pipeline) -> None:
        """Add the commands that read which upstreams are busy and broken: two replies."""
        pipe.zrange(keys.UPSTREAMS_BUSY, 0, -1, withscores=True)
        pipe.zrange(keys.UPSTREAMS_BROKEN, 0, -1, withscores=True)

    def set_state(self, busy: list[tuple[bytes, float]], broken: list[tuple[bytes, float]]) -> None:
        """Store the replies to `read_state`."""
        self._busy = {name.decode(): until_ms for name, until_ms in busy}
        self._broken = {name.decode(): until_ms for name, until_ms in broken}

    def renew(self, pipe: Pipeline) -> None:
        """Renew the leases of the streams that are held here."""
        deadline_ms = self._stores.queue_clock.now_ms() + self._settings.lane_lease_ms
        for name, job in self._held:
            pipe.zadd(keys.upstream_streams(name), {job: deadline_ms})  # also where it was given up on

    def _in_touch(self) -> bool:
        """Return True if every live worker has had time to renew its streams since the store came back."""
        lease_s = self._settings.lane_lease_s + self._settings.redis_timeout_s
        return not self.contact.breaks or self.contact.for_s > lease_s

    # Around one stream.

    @asynccontextmanager
    async def admit(self, upstream: Upstream, job: JobRef, wait_s: float) -> AsyncIterator[None]:
        """Let the upstream be asked within the context.

        Waits for it up to a limit, then raises UpstreamError.
        """
        name = name_of(upstream)
        trial = await self._enter(upstream, name, job, asyncio.get_running_loop().time() + wait_s)
        try:
            yield
        finally:  # nothing here waits for the store: we may be cancelled
            if (name, str(job)) in self._held:
                self._held.discard((name, str(job)))
                self._later(self._leave(name, job))
            if trial:
                self._later(self._end_probe(name, job))

    def record_success(self, upstream: Upstream) -> None:
        """Note that the upstream answers, and forget its earlier failures."""
        name = name_of(upstream)
        if name in self._failed or name in self._broken:
            self._failed.discard(name)
            self._broken.pop(name, None)
            self._later(self._mend(name))

    def record_failure(self, upstream: Upstream, error: UpstreamError) -> None:
        """Note that the upstream has failed, and tell all workers."""
        name = name_of(upstream)
        if error.retry_after_s is not None:
            until_ms = self._stores.queue_clock.now_ms() + error.retry_after_s * 1000
            self._busy[name] = max(until_ms, self._busy.get(name, 0))
            self._later(self._shut(keys.UPSTREAMS_BUSY, name, until_ms, keep_ms=0))
        elif error.faulty and self._settings.breaker_failures:
            self._failed.add(name)
            self._later(self._count(name, upstream.model))

    async def flush(self) -> None:
        """Wait until all pending notes are written or have failed."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _enter(self, upstream: Upstream, name: str, job: JobRef, give_up_s: float) -> bool:
        """Wait until the upstream may be asked; return True if this request probes a broken one."""
        trial = tried = False
        try:
            while True:
                if self._left_s(self._broken.get(name, 0)):
                    raise _broken()
                if not (pause_s := self._busy_s(name)):
                    if name in self._broken and not trial:
                        tried = True
                        trial = await self._take_probe(name, job)
                    if trial == tried and await self._has_room(upstream, name, job):
                        return trial
                pause_s = pause_s or _LOOK_S
                if asyncio.get_running_loop().time() + pause_s > give_up_s:
                    raise UpstreamError("upstream_busy", "the model's server has as much to do as it may")
                await asyncio.sleep(pause_s)
        except BaseException:  # also where it may have been taken on, and nobody heard of it
            if tried:
                self._later(self._end_probe(name, job))
            raise

    def _busy_s(self, name: str) -> float:
        """Return for how many more seconds the upstream is to be left alone."""
        return self._left_s(self._busy.get(name, 0))

    def _left_s(self, until_ms: float) -> float:
        """Return the seconds until then, or 0.

        A time too far ahead is from before the store's clock was set back, and counts as past.
        """
        left_s = (until_ms - self._stores.queue_clock.now_ms()) / 1000
        return left_s if 0 < left_s < _LONGEST_S else 0.0

    async def _take_probe(self, name: str, job: JobRef) -> bool:
        """Claim the probe of a broken upstream. Raises UpstreamError if another job has it.

        Return False if the store cannot be asked: a job without a fallback tries again.
        """
        for_ms, key = int(self._settings.first_token_timeout_s * 1000), keys.upstream_trial(name)

        def try_(pipe: Pipeline) -> None:
            pipe.set(key, str(job), nx=True, px=for_ms)
            pipe.get(key)  # it may be ours already: taken on, with the reply lost

        try:
            _, whose = await self._stores.on_queue.run(try_)
        except StoreUnavailable as error:
            logger.warning("could not try a broken upstream", extra={"error": error.reason})
            return False
        if whose is None or whose.decode() != str(job):
            raise _broken()
        return True

    async def _has_room(self, upstream: Upstream, name: str, job: JobRef) -> bool:
        """Return True if the upstream may have another stream, and claim that stream if they are limited."""
        try:
            return not upstream.max_streams or await self._take(upstream.max_streams, name, job)
        except StoreUnavailable as error:  # whoever has no fallback tries again
            logger.warning("could not count an upstream's streams", extra={"error": error.reason})
            return False

    async def _take(self, limit: int, name: str, job: JobRef) -> bool:
        """Claim one of its streams.

        The count is exact: of many that add themselves, only those within the limit stay.
        """
        key, member, now_ms = keys.upstream_streams(name), str(job), self._stores.queue_clock.now_ms()
        deadline_ms = now_ms + self._settings.lane_lease_ms

        def take(pipe: Pipeline) -> None:
            # Dead workers' streams no longer count; those of one that was out of touch count again, renewed.
            pipe.zremrangebyscore(key, "-inf", now_ms - _KEPT_MS)
            pipe.zadd(key, {member: deadline_ms})
            pipe.zcount(key, now_ms if self._in_touch() else "-inf", "+inf")

        streams = (await self._stores.on_queue.run(take))[-1]
        if streams > limit:
            await self._leave(name, job)
            return False
        self._held.add((name, member))
        return True

    async def _leave(self, name: str, job: JobRef) -> None:
        await self._stores.on_queue.run(lambda pipe: pipe.zrem(keys.upstream_streams(name), str(job)))

    async def _count(self, name: str, model: str) -> None:
        settings, key = self._settings, keys.upstream_failures(name)

        def count(pipe: Pipeline) -> None:
            pipe.incr(key)
            pipe.pexpire(key, int(settings.breaker_window_s * 1000), nx=True)

        failures, _ = await self._stores.on_queue.run(count)
        if failures >= settings.breaker_failures or name in self._broken:
            self._broken[name] = self._stores.queue_clock.now_ms() + settings.breaker_open_s * 1000
            await self._shut(keys.UPSTREAMS_BROKEN, name, self._broken[name], keep_ms=_FORGET_MS)
            logger.warning("an upstream is broken", extra={"model": model, "failures": failures})

    async def _shut(self, key: str, name: str, until_ms: float, keep_ms: int) -> None:
        def shut(pipe: Pipeline) -> None:
            pipe.zremrangebyscore(key, "-inf", self._stores.queue_clock.now_ms() - keep_ms)
            pipe.zadd(key, {name: until_ms}, gt=True)

        await self._stores.on_queue.run(shut)

    async def _mend(self, name: str) -> None:
        def mend(pipe: Pipeline) -> None:
            pipe.zrem(keys.UPSTREAMS_BROKEN, name)
            pipe.delete(keys.upstream_failures(name))

        await self._stores.on_queue.run(mend)

    async def _end_probe(self, name: str, job: JobRef) -> None:
        """Give the probe up, if it is this job's, so that others may try."""
        key = keys.upstream_trial(name)
        whose = await self._stores.on_queue.run(lambda pipe: pipe.get(key))
        if whose[0] is not None and whose[0].decode() == str(job):
            await self._stores.on_queue.run(lambda pipe: pipe.delete(key))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_leniently(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _broken() -> UpstreamError:
    return UpstreamError("upstream_broken", "the model's server has failed too often to be asked now")


async def _leniently(work: Coroutine[Any, Any, None]) -> None:
    """Await a write and log its failure: what cannot be written now expires by itself."""
    try:
        await work
    except StoreUnavailable as error:
        logger.warning("could not note an upstream's state", extra={"error": error.reason})


def name_of(upstream: Upstream) -> str:
    """Return one name for one model at one server under one key; the key does not show in it.

    Names differ between tenants, so that none can make another's upstream count as busy or broken.
    """
    parts = (upstream.tenant, upstream.base_url, upstream.model, upstream.api_key.get_secret_value())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
