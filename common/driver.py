"""Drives a turn: carries out on the stores what its fold asks for. Each act may be done twice, by anyone."""

import random
from contextlib import suppress
from typing import Any

import orjson

from common.events import TimerFired, TurnEnded, TurnInterrupted
from common.log.stream import append, append_now, decode_entries, read_turn
from common.names import JobRef, SessionRef, TurnRef
from common.queue import job_queue
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable, insist
from common.turn.commands import Command, EndTurn, FireTimer, StartLane, StopLane
from common.turn.cost import no_usage
from common.turn.fillers import conversation, phrases_for
from common.turn.fold import Fold
from common.turn.outputs import DEADLINE, FILLER, Due, TextReleased
from common.turn.transcript import Transcript
from common.turn.turn_log import FoldingTurn, TurnLog
from common.turn.version import UnknownFold

_PAGE = 500
_LOOK_BACK = 20  # pages of a session's log in which the last filler is looked for


async def perform(stores: Stores, turn: TurnRef, fold: Fold, command: Command, lease_ms: int) -> None:
    """Carry out one command of a turn's fold. Raises StoreUnavailable.

    `lease_ms`: how long a lane that is started may wait for a worker.
    """
    match command:
        case StopLane():
            await stores.on_queue.run(lambda pipe: _order_stop(pipe, turn, command))
        case StartLane(lane):
            now_ms = stores.queue_clock.now_ms()
            job = JobRef(turn, lane, 1)
            await stores.on_queue.run(lambda pipe: job_queue.enqueue(pipe, job, now_ms, lease_ms))
        case FireTimer(due):
            phrase = await _pick_filler(stores, turn, fold) if due.due == FILLER.due else ""
            await _append_and_wake(stores, turn, TimerFired(turn.turn, due.number, due.due, phrase))
        case EndTurn():
            await _end_turn(stores, turn, fold)


def next_timer(stores: Stores, start_ms: int, fold: Fold) -> tuple[FireTimer, int] | None:
    """Return the time that comes next, and in how many milliseconds; None where the fold waits for none."""
    waits = {due: wait_ms(stores, start_ms, due) for due in fold.dues()}
    due = min(waits, key=lambda due: (waits[due], due.number), default=None)
    return None if due is None else (FireTimer(due), waits[due])


def wait_ms(stores: Stores, start_ms: int, due: Due) -> int:
    """Return how long it is until then, by the log's clock; the deadline's, however that is set."""
    clock = stores.log_clock
    if due.due == DEADLINE.due:
        return due.at_ms - clock.since(start_ms)
    return due.at_ms - (clock.now_ms() - start_ms)


async def _pick_filler(stores: Stores, turn: TurnRef, fold: Fold) -> str:
    """Return a phrase in the turn's language, by chance, but not the one that the session heard last."""
    phrases = phrases_for(fold.policy.filler, conversation(fold.started))
    if len(phrases) < 2:
        return phrases[0] if phrases else ""
    last = await _last_filler(stores, turn.session)
    return random.choice([phrase for phrase in phrases if phrase != last] or phrases)


async def _last_filler(stores: Stores, session: SessionRef) -> str | None:
    """The filler that the session has heard last. Of those in the log some came too late to be said."""
    before, looked = "+", set[str]()
    for _ in range(_LOOK_BACK):
        raw = await stores.log.xrevrange(keys.log(session), max=before, count=_PAGE)
        for entry in decode_entries([item for item in raw if b"timer.fired" in item[1]]):
            name = entry.event.turn
            if isinstance(entry.event, TimerFired) and entry.event.phrase and name not in looked:
                looked.add(name)
                if said := _fillers_said(await read_turn(stores, TurnRef(session, name))):
                    return said[-1]
        if len(raw) < _PAGE:
            break
        before = f"({raw[-1][0].decode()}"
    return None


def _fillers_said(log: TurnLog | None) -> list[str]:
    """Return the fillers of a turn that were let out."""
    if log is None:
        return []
    try:
        turn, said = FoldingTurn.begin(log), list[str]()
    except UnknownFold:
        return []
    for entry in log.later:
        outputs, event = turn.feed(entry) or (), entry.event
        if isinstance(event, TimerFired) and any(
            isinstance(output, TextReleased) and output.lane == "filler" for output in outputs
        ):
            said.append(event.phrase)
    return said


def watch_lanes(stores: Stores, pipe: Pipeline, turn: TurnRef, fold: Fold, lease_ms: int) -> None:
    """See that each lane that is wanted has a job, or a lease that lapses where nobody holds it."""
    now_ms = stores.queue_clock.now_ms()
    for lane in fold.unstarted():
        job_queue.enqueue(pipe, JobRef(turn, lane.lane, 1), now_ms, lease_ms)
    for lane in fold.lanes.values():
        if lane.attempt and fold.wants(lane.lane):
            job_queue.watch_job(pipe, JobRef(turn, lane.lane, lane.attempt), now_ms, lease_ms)
    if fold.started.speech:
        job_queue.watch_job(pipe, JobRef(turn, "speech", 1), now_ms, lease_ms)


async def interrupt(stores: Stores, turn: TurnRef, by: str, heard: int = -1) -> bool:
    """Write that the turn was stopped, and by whom; False where its log is gone. Raises StoreUnavailable."""
    return await _append_and_wake(stores, turn, TurnInterrupted(turn.turn, by, heard))


async def _end_turn(stores: Stores, turn: TurnRef, fold: Fold) -> None:
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

    def release(pipe: Pipeline) -> None:
        let_go(pipe, turn, fold.started.tell, stores.queue_clock.now_ms())

    def write(pipe: Pipeline) -> None:
        append(pipe, turn.session, ended)
        if stores.shared:
            release(pipe)

    await stores.on_log.run(write)
    if not stores.shared:  # once it stands in the log it is not written again, however long the queue is away
        await insist(lambda: stores.on_queue.run(release))


async def end_by_force(
    stores: Stores, turn: TurnRef, tell: bool, error: dict[str, Any] | None, fold: Fold | None = None
) -> None:
    """End a turn that can't go on, whatever its fold says of it; its jobs go too. Raises StoreUnavailable.

    Readers take such an ending as it stands, see `was_forced`.
    """
    nothing = Transcript(0)
    released, text_hash, usage = nothing.chars, nothing.hash(), no_usage()
    reason, stops = "error", list[StopLane]()
    if fold:
        stops = [StopLane.of(lane) for lane in fold.lanes.values()]
        if fold.ending:  # clients were told so
            reason, error = fold.ending.reason, fold.ending.error
        with suppress(Exception):  # that may be what is broken
            orjson.dumps(told := fold.usage())
            released, text_hash, usage = fold.released, fold.hash(), told
    ended = TurnEnded(turn.turn, reason, released, usage, text_hash, degraded=False, error=error)

    def release(pipe: Pipeline) -> None:
        for stop in stops:
            _order_stop(pipe, turn, stop)
        let_go(pipe, turn, tell, stores.queue_clock.now_ms())

    await append_now(stores, turn.session, ended)
    await insist(lambda: stores.on_queue.run(release))
    with suppress(StoreUnavailable):  # readers look again by themselves
        await stores.on_queue.run(lambda pipe: pipe.publish(keys.wake(turn.session), b""))


def let_go(pipe: Pipeline, turn: TurnRef, tell: bool, now_ms: int) -> None:
    """The turn has ended: it needs no driver any more, and is to be told of."""
    job_queue.unregister_turn(pipe, turn)
    if tell:
        job_queue.enqueue_webhook(pipe, turn, now_ms)


def _order_stop(pipe: Pipeline, turn: TurnRef, stop: StopLane) -> None:
    job_queue.order_stop(pipe, JobRef(turn, stop.lane, stop.attempt), stop.worker)


async def _append_and_wake(stores: Stores, turn: TurnRef, event: TimerFired | TurnInterrupted) -> bool:
    """In one round trip where log and queue share a server. Whether there is a log."""

    def wake(pipe: Pipeline) -> None:
        pipe.publish(keys.wake(turn.session), b"")

    def write(pipe: Pipeline) -> None:
        append(pipe, turn.session, event)
        if stores.shared:
            wake(pipe)

    replies = await stores.on_log.run(write)
    if not stores.shared:
        with suppress(StoreUnavailable):  # readers look again by themselves
            await stores.on_queue.run(wake)
    return replies[0] is not None
