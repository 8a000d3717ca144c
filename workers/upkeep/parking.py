"""Parking: a turn that has cost too many is ended where it stands, unfolded, and told to the operator.

What the lanes said goes from its log with it, so that nobody who reads the session later folds it to death.
"""

import logging

from common import driver
from common.errors import turn_error
from common.events import LaneStarted, TurnEnded, TurnStarted
from common.log.stream import append
from common.names import JobRef, TurnRef
from common.queue import job_queue, parked
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.turn.cost import no_usage
from common.turn.transcript import Transcript
from common.turn.turn_log import TurnLog

logger = logging.getLogger(__name__)

_CHUNK = 1_000


async def park(stores: Stores, turn: TurnRef, log: TurnLog | None, jobs: list[JobRef], reason: str) -> None:
    """End the turn for all; `jobs`: what is known of its jobs beside its log. Raises StoreUnavailable.

    May be done twice.
    """
    if log is None:
        await stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
        return
    words = [e.id for e in log.own if not isinstance(e.event, TurnStarted | TurnEnded)]

    def write(pipe: Pipeline) -> None:
        if not log.ended:
            append(pipe, turn.session, _ending(turn))
        for begin in range(0, len(words), _CHUNK):
            pipe.xdel(keys.log(turn.session), *words[begin : begin + _CHUNK])

    await stores.on_log.run(write)
    now_ms = stores.queue_clock.now_ms()

    def release(pipe: Pipeline) -> None:
        for begun in log.events(LaneStarted):
            job = JobRef(turn, begun.lane, begun.attempt)
            job_queue.forget_job(pipe, job)
            job_queue.order_stop(pipe, job, begun.worker)
        for job in (*jobs, *_first_jobs(turn, log.started)):
            job_queue.forget_job(pipe, job)
        driver.let_go(pipe, turn, log.started.tell, now_ms)
        parked.record(pipe, turn, reason, now_ms)
        pipe.publish(keys.wake(turn.session), b"")

    await stores.on_queue.run(release)
    about = {"turn": turn.turn, "tenant": turn.session.tenant, "reason": reason}
    logger.error("a turn is parked: it has cost too many processes", extra=about)


def _ending(turn: TurnRef) -> TurnEnded:
    error = turn_error("turn_parked", "the turn could not go on and was given up", "server_error")
    nothing = Transcript(0)
    return TurnEnded(turn.turn, "error", 0, no_usage(), nothing.hash(), degraded=False, error=error)


def _first_jobs(turn: TurnRef, started: TurnStarted) -> list[JobRef]:
    lanes = [JobRef(turn, "draft" if name == "draft" else "full", 1) for name in started.lanes]
    return [*lanes, JobRef(turn, "speech", 1)] if started.speech else lanes
