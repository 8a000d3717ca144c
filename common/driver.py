"""The driver's acts: what a fold asks for, done on the stores. Each may be done twice, by anyone."""

import random

from common import keys, queue
from common.events import TimerFired, TurnEnded, TurnInterrupted, TurnStarted
from common.fillers import phrases_for
from common.fold import FILLER, Fold
from common.keys import JobRef, TurnRef
from common.lane_state import LaneState
from common.log import append, decode_entries
from common.policy import Policy
from common.releases import Due
from common.stores import Build, Pipe, Stores

_LOOK_BACK = 500  # entries of a session in which the last filler is looked for


def job_of(turn: TurnRef, lane: LaneState) -> JobRef:
    """The job of a lane's latest attempt."""
    return JobRef(turn, lane.lane, max(1, lane.attempt))


async def stop_lanes(stores: Stores, turn: TurnRef, lanes: list[LaneState]) -> None:
    """Tell lanes that are no longer wanted to stop. Raises STORE_ERRORS."""

    def build(pipe: Pipe) -> None:
        for lane in lanes:
            queue.stop(pipe, job_of(turn, lane), lane.worker)

    await stores.on_queue.run(build)


async def fire_timer(stores: Stores, turn: TurnRef, started: TurnStarted, due: Due) -> None:
    """Write that a due time has come; the fold says what follows from it. Raises STORE_ERRORS."""
    phrase = await _pick_filler(stores, turn, started) if due.due == FILLER.due else ""
    await _append_and_wake(stores, turn, TimerFired(turn.turn, due.number, due.due, phrase))


async def _pick_filler(stores: Stores, turn: TurnRef, started: TurnStarted) -> str:
    """A phrase in the turn's language, by chance, but not the one that the session has heard last."""
    phrases = phrases_for(Policy.model_validate(started.policy).filler, started.request["messages"])
    if len(phrases) < 2:
        return phrases[0] if phrases else ""
    raw = await stores.log.xrevrange(keys.log(turn.session), count=_LOOK_BACK)
    fired = (
        e.event.phrase for e in decode_entries(raw) if isinstance(e.event, TimerFired) and e.event.phrase
    )
    last = next(fired, None)
    return random.choice([phrase for phrase in phrases if phrase != last] or phrases)


async def start_lanes(stores: Stores, turn: TurnRef, lanes: list[LaneState], lease_ms: int) -> None:
    """Queue the first attempt of lanes that are to begin. Raises STORE_ERRORS."""
    now_ms = stores.queue_clock.now_ms()

    def build(pipe: Pipe) -> None:
        for lane in lanes:
            queue.put(pipe, JobRef(turn, lane.lane, 1), now_ms, lease_ms)

    await stores.on_queue.run(build)


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
