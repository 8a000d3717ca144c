"""The sweep: run by every worker, it mends what a dead process left behind.

A lapsed lease only says where to look; what is to be done follows from the turn's log, so that sweeping
twice, or beside the rightful owner, changes nothing.
"""

import asyncio
import logging

from common import driver, keys, queue, speech
from common.errors import turn_error
from common.events import Entry, LaneFinished, LaneStarted, TurnEnded, TurnStarted
from common.fold import Fold
from common.fold_version import UnknownFold
from common.keys import JobRef, TurnRef, parse_lease
from common.log import append_now, read_turn
from common.settings import Settings
from common.speech import Over
from common.stores import STORE_ERRORS, Stores

logger = logging.getLogger(__name__)

_BATCH = 100
_LOOK_AGAIN_MS = 1_000
_BROKEN_AGAIN_MS = 60_000


class Sweep:
    """Looks for lapsed leases now and then; one worker at a time."""

    def __init__(self, settings: Settings, stores: Stores, worker: str) -> None:
        self._settings = settings
        self._stores = stores
        self._worker = worker
        self._patient_until_ms = 0

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except STORE_ERRORS as error:
                logger.warning("could not sweep", extra={"error": type(error).__name__})
                # While the store was away nobody could renew: give the living time to.
                self._patient_until_ms = self._stores.queue_clock.now_ms() + self._settings.lane_lease_ms
            await asyncio.sleep(self._settings.sweep_s)

    async def sweep(self) -> int:
        """Mend what has lapsed by now; how many leases that were. Raises STORE_ERRORS."""
        now_ms = self._stores.queue_clock.now_ms()
        if now_ms < self._patient_until_ms:
            return 0
        lapsed = await self._stores.queue.zrangebyscore(keys.LEASES, "-inf", now_ms, start=0, num=_BATCH)
        if not lapsed or not await self._stores.queue.set(
            keys.SWEEPING, self._worker, nx=True, px=max(1, int(self._settings.sweep_s * 800))
        ):
            return 0
        await asyncio.gather(*(self._mend_one(member) for member in lapsed))
        return len(lapsed)

    async def _mend_one(self, member: bytes) -> None:
        try:
            await self._mend(member)
        except STORE_ERRORS:
            raise
        except Exception:  # a bug that one turn meets must not keep the others from being mended
            logger.exception("could not mend", extra={"lease": member.decode()})
            await self._look_again(member.decode(), _BROKEN_AGAIN_MS)

    async def _mend(self, member: bytes) -> None:
        try:
            held = parse_lease(member.decode())
        except (ValueError, IndexError):
            await self._stores.queue.zrem(keys.LEASES, member)
            return
        entries = await read_turn(self._stores, held if isinstance(held, TurnRef) else held.turn)
        try:
            fold = _fold(entries)
        except UnknownFold:
            await self._look_again(member.decode(), _LOOK_AGAIN_MS)  # a worker of that version will know
            return
        if isinstance(held, TurnRef):
            await self._mend_turn(held, entries, fold)
        elif held.lane == "speech":
            await self._mend_speech(held, entries)
        else:
            await self._mend_lane(held, fold)

    # A turn whose driver is gone.

    async def _mend_turn(self, turn: TurnRef, entries: list[Entry], fold: Fold | None) -> None:
        if fold is None:  # it never was
            await self._stores.on_queue.run(lambda pipe: queue.drop_turn(pipe, turn))
            return
        started = entries[0].event
        assert isinstance(started, TurnStarted)
        if any(isinstance(e.event, TurnEnded) and e.event.turn == turn.turn for e in entries):
            # Where log and queue are apart its driver may have died between them, and told nobody.
            tell, now_ms = started.tell and not self._stores.shared, self._stores.queue_clock.now_ms()
            await self._stores.on_queue.run(lambda pipe: driver.let_go(pipe, turn, tell, now_ms))
            return
        logger.info("a turn lost its driver", extra={"turn": turn.turn})
        due, elapsed_ms = fold.next_due, self._stores.log_clock.now_ms() - entries[0].ms
        if due and elapsed_ms >= due.at_ms:
            await driver.fire_timer(self._stores, turn, started, due)
        elif fold.ending is None and fold.policy.on_disconnect != "continue":
            await driver.interrupt(self._stores, turn, "sweep")
        fold = _fold(await read_turn(self._stores, turn)) or fold
        if unwanted := fold.unwanted():
            await driver.stop_lanes(self._stores, turn, unwanted)
        if fold.ending:
            await driver.end_turn(self._stores, turn, started, fold)
        else:
            await self._go_on(turn, fold)

    async def _go_on(self, turn: TurnRef, fold: Fold) -> None:
        """The turn is to end without a client: see that its lanes have jobs, and look again soon."""
        if lanes := fold.unstarted():
            await driver.start_lanes(self._stores, turn, lanes, self._settings.lane_lease_ms)
        await self._look_again(str(turn), _LOOK_AGAIN_MS)

    # A lane whose worker is gone, or that nobody has picked up.

    async def _mend_lane(self, job: JobRef, fold: Fold | None) -> None:
        if fold is None or not fold.wants(job.lane) or fold.lanes[job.lane].attempt > job.attempt:
            pipe = self._stores.queue.pipeline(transaction=True)
            queue.forget(pipe, job)
            await pipe.execute()
            return
        lane = fold.lanes[job.lane]
        if lane.attempt < job.attempt and not await queue.taken(self._stores, job):
            await queue.wake_again(self._stores, job, self._settings.lane_lease_ms)
        elif job.attempt - len(lane.handed_over) >= self._settings.max_attempts:
            await self._give_up(job)
        else:
            logger.warning(
                "a lane lost its worker",
                extra={"turn": job.turn.turn, "lane": job.lane, "attempt": job.attempt},
            )
            await queue.replace(self._stores, job, self._settings.lane_lease_ms)

    async def _give_up(self, job: JobRef) -> None:
        """End a lane that has cost too many workers: a new attempt fences all others, and fails."""
        turn, attempt = job.turn.turn, job.attempt + 1
        error = turn_error("worker_lost", "the workers that spoke were lost", "server_error")
        await append_now(
            self._stores,
            job.turn.session,
            LaneStarted(turn, job.lane, attempt, self._worker),
            LaneFinished(turn, job.lane, attempt, 0, "error", None, error, 0),
        )
        pipe = self._stores.queue.pipeline(transaction=True)
        queue.forget(pipe, job)
        pipe.publish(keys.wake(job.turn.session), b"")
        await pipe.execute()

    # A turn whose speaker is gone, or that nobody has begun to speak.

    async def _mend_speech(self, job: JobRef, entries: list[Entry]) -> None:
        lease_ms = self._settings.lane_lease_ms
        pipe = self._stores.queue.pipeline(transaction=True)
        if _ended_before(entries, job.turn, self._stores.log_clock.now_ms() - speech.TTL_MS):
            queue.forget(pipe, job)  # nobody waits for it any more
        elif not await queue.taken(self._stores, job):
            await queue.wake_again(self._stores, job, lease_ms)
        elif job.attempt >= self._settings.max_attempts:
            speech.append(pipe, job.turn, Over(job.attempt + 1, "failed"))
            queue.forget(pipe, job)
        else:
            logger.warning("a turn lost its speaker", extra={"turn": job.turn.turn, "attempt": job.attempt})
            await queue.replace(self._stores, job, lease_ms)
        await pipe.execute()

    async def _look_again(self, member: str, in_ms: int) -> None:
        deadline_ms = self._stores.queue_clock.now_ms() + in_ms
        await self._stores.queue.zadd(keys.LEASES, {member: deadline_ms}, xx=True)


def _ended_before(entries: list[Entry], turn: TurnRef, time_ms: int) -> bool:
    """Whether the turn ended before that time of the log's clock, or is gone."""
    ended = [e.ms for e in entries if isinstance(e.event, TurnEnded) and e.event.turn == turn.turn]
    return not entries or any(ended_ms < time_ms for ended_ms in ended)


def _fold(entries: list[Entry]) -> Fold | None:
    """The turn as it stands; None if the log has no such turn. Raises UnknownFold."""
    if not entries:
        return None
    started = entries[0].event
    assert isinstance(started, TurnStarted)
    fold = Fold(started)
    for entry in entries[1:]:
        fold.feed(entry.event, entry.ms - entries[0].ms)
    return fold
