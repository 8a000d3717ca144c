"""The driver's acts: what a fold asks for, done on the stores. Each may be done twice, by anyone."""

from common import keys, queue
from common.events import TimerFired, TurnEnded, TurnInterrupted
from common.fold import Due, Fold
from common.keys import JobRef, TurnRef
from common.lane_state import LaneState
from common.log import append
from common.stores import Build, Pipe, Stores


def job_of(turn: TurnRef, lane: LaneState) -> JobRef:
    """The job of a lane's latest attempt."""
    return JobRef(turn, lane.lane, max(1, lane.attempt))


async def stop_lanes(stores: Stores, turn: TurnRef, lanes: list[LaneState]) -> None:
    """Tell lanes that are no longer wanted to stop. Raises STORE_ERRORS."""

    def build(pipe: Pipe) -> None:
        for lane in lanes:
            queue.stop(pipe, job_of(turn, lane), lane.worker)

    await stores.on_queue.run(build)


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
    await _write(
        stores, lambda pipe: append(pipe, turn.session, ended), lambda pipe: pipe.zrem(keys.LEASES, str(turn))
    )


async def _append_and_wake(stores: Stores, turn: TurnRef, event: TimerFired | TurnInterrupted) -> None:
    channel = keys.wake(turn.session)
    await _write(
        stores, lambda pipe: append(pipe, turn.session, event), lambda pipe: pipe.publish(channel, b"")
    )


async def _write(stores: Stores, to_log: Build, to_queue: Build) -> None:
    """First the log, then the queue: in one round trip where they share a server."""
    if stores.shared:
        await stores.on_log.run(lambda pipe: (to_log(pipe), to_queue(pipe)))
    else:
        await stores.on_log.run(to_log)
        await stores.on_queue.run(to_queue)
