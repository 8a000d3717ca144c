"""The keeper: run by every worker, it archives, trims and forgets sessions as the settings say.

One worker at a time holds the key that says so, for thrift: two at once would do no harm.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from common.events import place
from common.knowledge.documents import Documents
from common.log import kept_bytes
from common.log.stream import read_turn
from common.names import SessionRef, parse_turn
from common.process.bugs import about
from common.queue import job_queue
from common.sessions.archive import Archive
from common.sessions.deletion import delete_session, drop_void
from common.sessions.index import Index
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable
from common.turn.policy import LONGEST_TURN_MS
from workers.upkeep.archiver import Archiver

logger = logging.getLogger(__name__)

_LEASE_MS = 10_000
_PAGE = 500
_AT_ONCE = 8
_TOO_MANY = 16  # failures in a row: not a session is broken but a place is away
# A start stands in the index before it stands in the log, and by another machine's clock.
_LATE_MS = 60_000
_LATE_TURN_MS = LONGEST_TURN_MS + 60_000
# For so long a crashed deletion, or a writer that stood still, may have left something of a deleted session.
_TOMBSTONE_MS = 86_400_000
_EVER_MS = 2**52

Members = list[tuple[str, int]]
Work = Callable[[SessionRef], Awaitable[bool]]
"""Something to be done with a session; whether it was done."""
Thing = TypeVar("Thing")


class RetentionJob:
    """Keeps to the settings' bounds, a round now and then."""

    def __init__(self, settings: Settings, stores: Stores, worker: str, archive: Archive | None) -> None:
        self._settings = settings
        self._stores = stores
        self._worker = worker
        self._archive = archive
        self._archiver = Archiver(stores, archive)
        self._index = Index(stores, archive)
        self._failures = 0

    async def run(self) -> None:
        """Keep until cancelled."""
        while True:
            await asyncio.sleep(self._settings.keep_s * random.uniform(0.75, 1.25))
            try:
                await self.run_once()
            except StoreUnavailable as error:
                logger.warning("could not keep to the end", extra={"error": error.reason})
            except Exception as bug:
                logger.error("could not keep to the end", extra=about(bug))

    async def run_once(self) -> bool:
        """One round, unless another worker is at it, or just was. Raises StoreUnavailable."""
        lock = self._stores.queue
        if not await lock.set(keys.KEEPING, self._worker, nx=True, px=_LEASE_MS):
            return False
        renewing = asyncio.create_task(self._renew())
        self._failures = 0
        try:
            if not await self._index.is_whole():
                await self._index.rebuild()
            kept, gone = await self._stores.on_queue.run(
                lambda pipe: (pipe.smembers(keys.KEPT), pipe.smembers(keys.TENANTS_GONE))
            )
            if self._settings.tenants:
                gone = set()  # the file says who is there: one of that name may be another
            for tenant in gone:
                await self._clear(tenant.decode())
            for tenant in kept - gone:
                await self._keep(tenant.decode())
        finally:
            renewing.cancel()
        await lock.pexpire(keys.KEEPING, max(1, int(self._settings.keep_s * 500)))
        return True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_LEASE_MS / 3000)
            with contextlib.suppress(StoreUnavailable):
                await self._stores.queue.pexpire(keys.KEEPING, _LEASE_MS)

    async def _keep(self, tenant: str) -> None:
        await self._settle(tenant)
        if self._archive:
            await self._move(tenant)
        if self._settings.retention_events:
            await self._trim(tenant)
        if age_s := self._settings.archive_retention_s if self._archive else self._settings.retention_s:
            await self._forget(tenant, self._now_ms() - age_s * 1000 - _LATE_MS)
        await self._bury(tenant)

    def _now_ms(self) -> int:
        return self._stores.queue_clock.now_ms()

    async def _settle(self, tenant: str) -> None:
        """Live turns that nobody watches over: one that is over leaves the list, any other gets the sweep."""
        async for page in self._members(keys.live_turns(tenant), 0, self._now_ms() - _LATE_MS):
            turns = [f"{tenant}:{member}" for member, _ in page]
            leases = await self._stores.queue.zmscore(keys.LEASES, turns)
            lost = [turn for turn, lease in zip(turns, leases, strict=True) if lease is None]
            await self._each(lost, self._settle_turn)

    async def _settle_turn(self, member: str) -> bool:
        turn = parse_turn(member)
        log = await read_turn(self._stores, turn)
        if log and not log.ended:
            await self._stores.queue.zadd(keys.LEASES, {member: self._now_ms()}, nx=True)
        else:
            await self._stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
        return True

    async def _move(self, tenant: str) -> None:
        """Archive what has rested for long enough; what could not be holds the mark back."""
        mark = int(await self._stores.queue.get(keys.archived_until(tenant)) or 0)
        until = self._now_ms() - self._settings.archive_after_s * 1000
        reached = until - _LATE_MS
        async for page in self._members(keys.sessions(tenant), mark, until):
            pipe = self._stores.log.pipeline(transaction=False)
            for name, _ in page:
                pipe.exists(keys.log(SessionRef.parse(f"{tenant}:{name}")))
            there = dict(zip((name for name, _ in page), await pipe.execute(), strict=True))
            full = [(name, ms) for name, ms in page if there[name]]
            moved = await self._each_session(tenant, full, self._archiver.move)
            reached = min([reached, *(ms for (_, ms), done in zip(full, moved, strict=True) if not done)])
        if reached > mark:
            await self._stores.queue.set(keys.archived_until(tenant), reached)

    async def _trim(self, tenant: str) -> None:
        """Shorten the logs that have become too long lately."""
        keep = self._settings.retention_events

        async def trim(session: SessionRef) -> bool:
            await self._archiver.trim(session, keep)
            return True

        begin = self._now_ms() - _LATE_TURN_MS
        async for page in self._members(keys.sessions(tenant), begin, self._now_ms() + _LATE_MS):
            pipe = self._stores.log.pipeline(transaction=False)
            for name, _ in page:
                pipe.xlen(keys.log(SessionRef.parse(f"{tenant}:{name}")))
            lengths = await pipe.execute()
            long = [member for member, length in zip(page, lengths, strict=True) if length > keep]
            await self._each_session(tenant, long, trim)

    async def _forget(self, tenant: str, until_ms: int) -> None:
        """Delete the sessions whose last turn is older than this, whatever of them is left."""

        async def forget(session: SessionRef) -> bool:
            return await self._forget_one(session, until_ms)

        await self._drain(tenant, keys.sessions(tenant), until_ms, forget)

    async def _forget_one(self, session: SessionRef, until_ms: int) -> bool:
        latest = await self._stores.log.xrevrange(keys.log(session), count=1)
        if latest:
            entry_id = latest[0][0].decode()
            if (last_ms := place(entry_id)[0]) > until_ms:  # the index doesn't know: it has to
                await self._stores.queue.zadd(
                    keys.sessions(session.tenant), {session.quoted: last_ms}, gt=True
                )
                return True
            if not await self._archiver.drop_log(session, entry_id):
                return False
        if self._archive:
            await self._archive.delete(session, until_ms)
        return True

    async def _bury(self, tenant: str) -> None:
        """Drop old tombstones, and what a crash may have left of their sessions."""

        async def bury(session: SessionRef) -> bool:
            void_ms = await self._stores.queue.zscore(keys.deleted(tenant), session.quoted)
            await drop_void(self._stores, self._archive, session, int(void_ms or 0))
            return True

        await self._drain(tenant, keys.deleted(tenant), self._now_ms() - _TOMBSTONE_MS, bury)

    async def _clear(self, tenant: str) -> None:
        """Delete what a deleted tenant has left behind.

        Processes that have not heard of it yet may add to that: it is over with a round that finds nothing.
        """

        async def delete(session: SessionRef) -> bool:
            await delete_session(self._stores, self._archive, session)
            return True

        await self._settle(tenant)
        found = False
        async for page in self._members(keys.deleted(tenant), 0, _EVER_MS):
            found |= not all(await self._each_session(tenant, page, delete))
        async for page in self._members(keys.sessions(tenant), 0, _EVER_MS):
            found = True
            await self._each_session(tenant, page, delete)
        found |= await Documents(self._stores).drop_all(tenant)
        live, reserved = await self._stores.on_queue.run(
            lambda pipe: (pipe.zcard(keys.live_turns(tenant)), pipe.hlen(keys.reserved(tenant)))
        )
        if not (found or live or reserved):
            await self._strike_out(tenant)

    async def _strike_out(self, tenant: str) -> None:
        """Forget that there ever was this tenant, but for its usage: its name may be given anew."""
        pace = [key async for key in self._stores.queue.scan_iter(f"{keys.pace(tenant, '')}*", count=_PAGE)]
        names = (keys.full_only, keys.turn_starts, keys.deleted, keys.archived_until)
        counts = kept_bytes.names(tenant)

        def build(pipe: Pipeline) -> None:
            pipe.delete(*(name(tenant) for name in names), *counts, *pace)
            pipe.srem(keys.KEPT, tenant)
            pipe.srem(keys.TENANTS_GONE, tenant)

        await self._stores.on_queue.run(build)

    async def _drain(self, tenant: str, key: str, until_ms: int, work: Work) -> None:
        """Do the work for the members of a sorted set up to a score; those with which it was done go.

        They go by their scores: who has got a higher one meanwhile stays.
        """
        async for page in self._members(key, 0, until_ms):
            done = await self._each_session(tenant, page, work)
            left = {ms for (_, ms), was_done in zip(page, done, strict=True) if not was_done}
            pipe = self._stores.queue.pipeline(transaction=False)
            for ms in {ms for _, ms in page} - left:
                pipe.zremrangebyscore(key, ms, ms)
            await pipe.execute()

    async def _members(self, key: str, begin: int, end: int) -> AsyncIterator[Members]:
        """The members of a sorted set between two scores, in pages; those of one score are in one page."""
        count = _PAGE
        while True:
            found = await self._stores.queue.zrangebyscore(key, begin, end, 0, count, withscores=True)
            page = [(name.decode(), int(score)) for name, score in found]
            if len(page) < count:
                if page:
                    yield page
                return
            last = page[-1][1]
            if page[0][1] == last:
                count *= 2
                continue
            yield [member for member in page if member[1] < last]
            begin, count = last, _PAGE

    async def _each_session(self, tenant: str, members: Members, work: Work) -> list[bool]:
        """Do the work for all of these sessions; with which it was done."""
        sessions = [SessionRef.parse(f"{tenant}:{name}") for name, _ in members]
        return await self._each(sessions, work)

    async def _each(self, things: list[Thing], work: Callable[[Thing], Awaitable[bool]]) -> list[bool]:
        done: list[bool] = []
        for begin in range(0, len(things), _AT_ONCE):
            done += await asyncio.gather(
                *(self._try(work, thing) for thing in things[begin : begin + _AT_ONCE])
            )
        return done

    async def _try(self, work: Callable[[Thing], Awaitable[bool]], thing: Thing) -> bool:
        """Return True if the work was done: one session's trouble must not hold up the others."""
        try:
            done = await work(thing)
        except StoreUnavailable as error:
            self._failures += 1
            if self._failures >= _TOO_MANY:
                raise
            logger.warning("could not keep a session", extra={"error": error.reason})
        except Exception as bug:
            logger.error("could not keep a session", extra=about(bug))
        else:
            self._failures = 0
            return done
        return False
