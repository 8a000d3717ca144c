"""The driver's acts: what a fold asks for, done on the stores. Each may be done twice, by anyone."""

from common import keys, queue
from common.events import TimerFired, TurnEnded, TurnInterrupted
from common.fold import Due, Fold
from common.keys import JobRef, TurnRef
from common.lane_state import LaneState
from common.log import append, append_now
from common.stores import Stores


def job_of(turn: TurnRef, lane: LaneState) -> JobRef:
    """The job of a lane's latest attempt."""
    return JobRef(turn, lane.lane, max(1, lane.attempt))


async def stop_lanes(stores: Stores, turn: TurnRef, lanes: list[LaneState]) -> None:
    """Tell lanes that are no longer wanted to stop. Raises STORE_ERRORS."""
    pipe = stores.queue.pipeline(transaction=False)
    for lane in lanes:
        queue.stop(pipe, job_of(turn, lane), lane.worker)
    await pipe.execute()


async def fire_timer(stores: Stores, turn: TurnRef, due: Due) -> None:
    """Write that a due time has come; the fold says what follows from it. Raises STORE_ERRORS."""
    await _append_and_wake(stores, turn, TimerFired(turn.turn, due.number, due.due, ""))


async def interrupt(stores: Stores, turn: TurnRef, by: str, heard: int = -1) -> None:
    """Write that the turn was stopped, and by whom. Raises STORE_ERRORS."""
    await _append_and_wake(stores, turn, TurnInterrupted(turn.turn, by, heard))


async def end_turn(stores: Stores, turn: TurnRef, fold: Fold) -> None:
    """Write the ending that the fold has reached, and let the turn's lease go. Raises STORE_ERRORS."""
    ending = fold.ending
    assert ending is not None, "the fold has not ended this turn"
    ended = TurnEnded(
        turn=turn.turn,
        reason=ending.reason,
        released=fold.released,
        usage=fold.usage(),
        hash=fold.hash(),
        degraded=ending.degraded,
        error=ending.error,
    )
    await append_now(stores, turn.session, ended)
    await stores.queue.zrem(keys.LEASES, str(turn))


async def _append_and_wake(stores: Stores, turn: TurnRef, event: TimerFired | TurnInterrupted) -> None:
    log_pipe = stores.log.pipeline(transaction=False)
    append(log_pipe, turn.session, event)
    if stores.shared:
        log_pipe.publish(keys.wake(turn.session), b"")
        await log_pipe.execute()
    else:
        await log_pipe.execute()
        await stores.queue.publish(keys.wake(turn.session), b"")
