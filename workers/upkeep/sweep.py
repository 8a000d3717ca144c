"""The sweep: run by every worker, it mends what a dead process left behind.

A lapsed lease only says where to look; what is to be done follows from the turn's log, so that sweeping
twice, or beside the rightful owner, changes nothing.

Nobody is condemned for a time in which the server was away or its clock was stepped, or we stood still
ourselves: who was alive then could not say so, or we could not hear it.
"""

import asyncio
import logging
from dataclasses import dataclass

from common import driver
from common.errors import turn_error
from common.events import Delta, Extra, LaneFinished, LaneStarted, ToolPart
from common.log.stream import append_now, read_turn
from common.names import JobRef, TurnRef, parse_lease, parse_turn
from common.process.bugs import about
from common.queue import job_queue, parked
from common.settings import Settings
from common.speech import stream
from common.speech.stream import Over
from common.store import keys
from common.store.clocks import Contact, ServerClock
from common.store.redis import Pipeline, Stores, StoreUnavailable
from common.store.scripts import script
from common.turn.commands import Command, FireTimer
from common.turn.fold import Fold
from common.turn.outputs import DEADLINE, Due
from common.turn.turn_log import TurnLog
from common.turn.version import UnknownFold
from workers.upkeep.guarded import CrashMarks, drive
from workers.upkeep.parking import park

logger = logging.getLogger(__name__)

_BATCH = 100
_LOOK_AGAIN_MS = 1_000
_BROKEN_AGAIN_MS = 60_000
_LONGEST_LEASE_MS = 120_000
_GAP_S = 1.0  # by so much sooner than it lapses the shortest lease is renewed
_PARTS_OF_A_TURN = 3

_LOOK = script("sweep")


@dataclass(slots=True)
class _Lapsed:
    """A turn with leases that have lapsed, or past its deadline; its log, and that folded."""

    turn: TurnRef
    leases: list[TurnRef | JobRef]
    is_late: bool
    log: TurnLog | None
    worker_lost: bool
    fold: Fold | None = None
    is_known: bool = True  # to this version


class Sweep:
    """Looks for lapsed leases now and then; one worker at a time."""

    def __init__(self, settings: Settings, stores: Stores, worker: str) -> None:
        self._settings = settings
        self._stores = stores
        self._worker = worker
        self._hold_ms = max(1, int(settings.sweep_s * 800))
        self._guard = CrashMarks(stores, settings.turn_lease_ms)
        self.contact = Contact(gap_s=max(_GAP_S, 4 * settings.sweep_s))
        self.patience = 1.0  # times a lease, and what a command may take: 0 where nobody is to be waited for

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                logger.warning("could not sweep", extra={"error": error.reason})
            await asyncio.sleep(self._settings.sweep_s)

    async def sweep(self) -> int:
        """Mend what has lapsed by now; how many leases that were. Raises StoreUnavailable."""
        lapsed, overdue = await self._look()
        lapsed = [member for member in lapsed if self._is_condemned(member)]
        overdue = [member for member in overdue if self._is_condemned(member)]
        if not (lapsed or overdue) or not await self._stores.queue.set(
            keys.SWEEPING, self._worker, nx=True, px=self._hold_ms
        ):
            return 0
        await self._mend_all(lapsed, overdue)
        return len(lapsed) + len(overdue)

    async def _mend_all(self, lapsed: list[bytes], overdue: list[bytes]) -> None:
        groups = await self._group(lapsed, overdue)
        found = await asyncio.gather(*(self._gather(*each) for each in groups))
        try:
            # One after the other, so that one whose fold kills us takes no other's good name along.
            folded = [await self._fold(each) for each in found]
        finally:
            await self._guard.write()
        await asyncio.gather(*(self._mend_one(each) for each in folded if each))

    async def _group(
        self, lapsed: list[bytes], overdue: list[bytes]
    ) -> "list[tuple[TurnRef, list[TurnRef | JobRef], bool]]":
        """The leases by turn, and whether it is past its deadline. What names no lease goes."""
        held: dict[TurnRef, list[TurnRef | JobRef]] = {}
        for member in lapsed:
            try:
                lease = parse_lease(member.decode())
            except (ValueError, IndexError):
                await self._stores.queue.zrem(keys.LEASES, member)
            else:
                held.setdefault(lease if isinstance(lease, TurnRef) else lease.turn, []).append(lease)
        late = set[TurnRef]()
        for member in overdue:
            try:
                late.add(turn := parse_turn(member.decode()))
                held.setdefault(turn, [])
            except ValueError:
                await self._stores.queue.zrem(keys.DEADLINES, member)
        return [(turn, leases, turn in late) for turn, leases in held.items()]

    async def _gather(self, turn: TurnRef, leases: list[TurnRef | JobRef], is_late: bool) -> "_Lapsed":
        """The turn's log, and whether it has cost a worker. Raises StoreUnavailable."""
        jobs = [lease for lease in leases if isinstance(lease, JobRef)]
        taken = await asyncio.gather(*(job_queue.is_picked_up(self._stores, job) for job in jobs))
        log = await read_turn(self._stores, turn)
        return _Lapsed(turn, leases, is_late, log, worker_lost=any(taken))

    async def _fold(self, lapsed: "_Lapsed") -> "_Lapsed | None":
        """The same with its fold; None where it is not for us, or is parked now. Raises StoreUnavailable."""
        turn, driver_lapsed = lapsed.turn, lapsed.turn in lapsed.leases
        verdict = await self._guard.begin(turn, worker_lost=lapsed.worker_lost, driver_lapsed=driver_lapsed)
        if verdict == "busy":
            return None
        if verdict == "park":
            await self._park(lapsed, "folding")
            return None
        try:
            lapsed.fold = lapsed.log.fold() if lapsed.log else None
        except UnknownFold:
            lapsed.is_known = False
        except Exception as bug:
            logger.error("could not fold a turn", extra={**about(bug), "turn": turn.turn})
            lapsed.is_known = False
        self._guard.came_back(turn)
        return lapsed

    async def _fold_on(self, turn: TurnRef, fold: Fold) -> Fold:
        """The turn folded again, with what was just written. Raises StoreUnavailable."""
        log = await read_turn(self._stores, turn)
        if await self._guard.begin(turn, worker_lost=False, driver_lapsed=False) != "fold":
            return fold
        fold = log.fold() if log else fold
        self._guard.came_back(turn)
        await self._guard.write()
        return fold

    async def _park(self, lapsed: "_Lapsed", reason: str) -> None:
        jobs = [lease for lease in lapsed.leases if isinstance(lease, JobRef)]
        await park(self._stores, lapsed.turn, lapsed.log, jobs, reason)

    async def _look(self) -> tuple[list[bytes], list[bytes]]:
        """The leases that have lapsed by the server's clock, and late turns. Raises StoreUnavailable."""
        clock, args = self._stores.queue_clock, (_BATCH, _LONGEST_LEASE_MS, self._hold_ms)
        names, asked = (keys.LEASES, keys.SWEEPING, keys.DEADLINES), clock.asked_at()
        try:
            (found,) = await self._stores.on_queue.run(
                lambda pipe: pipe.eval(_LOOK, len(names), *names, *map(str, args))
            )
        except StoreUnavailable:
            self.contact.lost()
            raise
        (seconds, micros), lapsed, overdue = found
        if clock.set_from((int(seconds), int(micros)), asked):
            self.contact.lost()  # leases by the old time and by the new one can't be told apart
        self.contact.made()
        return list(lapsed), list(overdue)

    def _is_condemned(self, member: bytes) -> bool:
        """Return True if the holder of a lapsed lease has had the time to renew it, with the server and us
        there.
        """
        kind, settings = member.count(b":"), self._settings
        lease_s = settings.turn_lease_s if kind == _PARTS_OF_A_TURN - 1 else settings.lane_lease_s
        return self.contact.for_s >= self.patience * (lease_s + settings.redis_timeout_s)

    async def _mend_one(self, lapsed: "_Lapsed") -> None:
        for lease in lapsed.leases:
            try:
                await self._mend(lease, lapsed)
            except StoreUnavailable:
                raise
            except Exception as bug:  # one that one turn meets must not keep the others from being mended
                logger.error("could not mend", extra={**about(bug), "turn": lapsed.turn.turn})
                await self._look_again(str(lease), _BROKEN_AGAIN_MS)
        if lapsed.is_late:
            await self._end_overdue(lapsed)

    async def _mend(self, held: TurnRef | JobRef, lapsed: "_Lapsed") -> None:
        if not lapsed.is_known:
            await self._look_again(str(held), _LOOK_AGAIN_MS)  # a worker of that version will know
        elif isinstance(held, TurnRef):
            await self._mend_turn(held, lapsed.log, lapsed.fold)
        elif held.lane == "speech":
            await self._mend_speech(held, lapsed.log)
        else:
            await self._mend_lane(held, lapsed.log, lapsed.fold)

    async def _claim(self, held: TurnRef | JobRef) -> int:
        """Hold the lease while its turn or lane is mended. Return until when, or 0 if it was just renewed."""
        until_ms = self._stores.queue_clock.now_ms() + _LOOK_AGAIN_MS
        claimed = await job_queue.if_lapsed(
            self._stores, held, lambda pipe: pipe.zadd(keys.LEASES, {str(held): until_ms}, xx=True)
        )
        return until_ms if claimed else 0

    # A turn whose driver is gone.

    async def _mend_turn(self, turn: TurnRef, log: TurnLog | None, fold: Fold | None) -> None:
        if log is None or fold is None:  # it never was
            await self._stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
            return
        if log.ended:
            await self._let_go(turn, log)
            return
        claimed_until_ms = await self._claim(turn)
        if not claimed_until_ms:
            return
        logger.info("a turn lost its driver", extra={"turn": turn.turn})
        if await self._guard.has_cost_too_many(turn):
            await park(self._stores, turn, log, [], "driving")
            return
        timer, wait_ms = driver.next_timer(self._stores, log.start_ms, fold) or (None, 0)
        if timer and wait_ms <= 0:
            await self._perform(turn, fold, timer)
        elif fold.ending is None and fold.policy.on_disconnect != "continue":
            await driver.interrupt(self._stores, turn, "sweep")
        fold = await self._fold_on(turn, fold)
        if fold.ending is None:  # it is to end without a client
            await self._stores.on_queue.run(lambda pipe: drive(pipe, turn, claimed_until_ms))
        await self._perform(turn, fold, *fold.commands())
        if fold.ending is None:
            await self._look_again(str(turn), _LOOK_AGAIN_MS)

    async def _perform(self, turn: TurnRef, fold: Fold, *commands: Command) -> None:
        for command in commands:
            await driver.perform(self._stores, turn, fold, command, self._settings.lane_lease_ms)

    async def _let_go(self, turn: TurnRef, log: TurnLog) -> None:
        """Let a turn go that has ended. Its driver may have died between log and queue, and told nobody."""
        tell, now_ms = log.started.tell and not self._stores.shared, self._stores.queue_clock.now_ms()
        await self._stores.on_queue.run(lambda pipe: driver.let_go(pipe, turn, tell, now_ms))

    # A turn that should be over, whatever its driver does.

    async def _end_overdue(self, lapsed: "_Lapsed") -> None:
        """Fire its deadline for it; where even that ends nothing, it is ended by force."""
        turn, log, fold = lapsed.turn, lapsed.log, lapsed.fold
        if log is None:
            await self._stores.queue.zrem(keys.DEADLINES, str(turn))
            return
        if log.ended:
            await self._let_go(turn, log)
            return
        deadline_ms = fold.policy.deadline_ms if fold else log.started.policy.get("deadline_ms", 0)
        deadline = Due(DEADLINE.number, DEADLINE.due, deadline_ms)
        left_ms = driver.wait_ms(self._stores, log.start_ms, deadline) + job_queue.PAST_DEADLINE_MS
        if left_ms > 0:  # the server's clock was set
            now_ms = self._stores.queue_clock.now_ms()
            await self._stores.queue.zadd(keys.DEADLINES, {str(turn): now_ms + left_ms}, xx=True)
            return
        logger.error("a turn is past its deadline: it is ended", extra={"turn": turn.turn})
        if fold and fold.ending is None:
            await self._perform(turn, fold, FireTimer(deadline))
            fold = await self._fold_on(turn, fold)
        if fold and fold.ending:
            await self._perform(turn, fold, *fold.commands())
        else:
            error = turn_error("turn_deadline", "the turn took longer than it may")
            await driver.end_by_force(self._stores, turn, log.started.tell, error, fold)
        await self._stores.on_queue.run(lambda pipe: pipe.publish(keys.wake(turn.session), b""))

    # A lane whose worker is gone, or that nobody has picked up.

    async def _mend_lane(self, job: JobRef, log: TurnLog | None, fold: Fold | None) -> None:
        lane = fold.lanes[job.lane] if fold and fold.wants(job.lane) else None
        if log is None or lane is None or lane.attempt > job.attempt:
            pipe = self._stores.queue.pipeline(transaction=True)
            job_queue.forget_job(pipe, job)
            await pipe.execute()
            return
        if lane.attempt < job.attempt and not await job_queue.is_picked_up(self._stores, job):
            await job_queue.requeue(self._stores, job, self._settings.lane_lease_ms)
        elif alive_ms := self._alive_ms(self._stores.log_clock, _last_word_ms(log, job)):
            await self._look_again(str(job), alive_ms)
        elif job.attempt - len(lane.relocated) >= self._settings.max_attempts:
            await self._give_up(job)
        else:
            await self._pass_on(job, "a lane lost its worker")

    def _alive_ms(self, clock: ServerClock, last_word_ms: int | None) -> int:
        """Return how much longer an attempt that wrote at that time counts as alive, whatever its lease."""
        patience_ms = int(self.patience * self._settings.lane_lease_ms)
        return 0 if last_word_ms is None else max(0, patience_ms - clock.since(last_word_ms))

    async def _pass_on(self, job: JobRef, why: str) -> None:
        """Let the next attempt take this one's place."""
        if await job_queue.enqueue_next_if_lapsed(self._stores, job, self._settings.lane_lease_ms):
            about = {"turn": job.turn.turn, "lane": job.lane, "attempt": job.attempt}
            logger.warning(why, extra=about)

    async def _give_up(self, job: JobRef) -> None:
        """End a lane that has cost too many workers: a new attempt fences all others, and fails."""
        if not await self._claim(job):
            return
        turn, attempt = job.turn.turn, job.attempt + 1
        error = turn_error("worker_lost", "the workers that spoke were lost", "server_error")
        await append_now(
            self._stores,
            job.turn.session,
            LaneStarted(turn, job.lane, attempt, self._worker),
            LaneFinished(turn, job.lane, attempt, 0, "error", None, error, 0),
        )
        pipe, now_ms = self._stores.queue.pipeline(transaction=True), self._stores.queue_clock.now_ms()
        job_queue.forget_job(pipe, job)
        parked.record(pipe, job.turn, f"{job.lane} workers", now_ms)
        pipe.publish(keys.wake(job.turn.session), b"")
        await pipe.execute()
        about_it = {"turn": turn, "tenant": job.turn.session.tenant, "reason": f"{job.lane} workers"}
        logger.error("a lane is given up: it has cost too many workers", extra=about_it)

    # A turn whose speaker is gone, or that nobody has begun to speak.

    async def _mend_speech(self, job: JobRef, log: TurnLog | None) -> None:
        over_ms = self._stores.log_clock.now_ms() - stream.TTL_MS
        if log is None or (log.ended_ms or over_ms) < over_ms:  # nobody waits for it any more
            await self._stores.on_queue.run(lambda pipe: job_queue.forget_job(pipe, job))
        elif not await job_queue.is_picked_up(self._stores, job):
            await job_queue.requeue(self._stores, job, self._settings.lane_lease_ms)
        elif alive_ms := self._alive_ms(self._stores.queue_clock, await stream.last_ms(self._stores, job)):
            await self._look_again(str(job), alive_ms)
        elif job.attempt >= self._settings.max_attempts:

            def give_up(pipe: Pipeline) -> None:
                stream.append(pipe, job.turn, Over(job.attempt + 1, "failed"))
                job_queue.forget_job(pipe, job)

            if await self._claim(job):
                await self._stores.on_queue.run(give_up)
        else:
            await self._pass_on(job, "a turn lost its speaker")

    async def _look_again(self, member: str, in_ms: int) -> None:
        deadline_ms = self._stores.queue_clock.now_ms() + in_ms
        await self._stores.queue.zadd(keys.LEASES, {member: deadline_ms}, xx=True)


def _last_word_ms(log: TurnLog, job: JobRef) -> int | None:
    """Return when the log heard of this attempt last."""
    for entry in reversed(log.own):
        event = entry.event
        if not isinstance(event, LaneStarted | Delta | ToolPart | Extra):
            continue
        if (event.lane, event.attempt) == (job.lane, job.attempt):
            return entry.ms
    return None
