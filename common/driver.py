"""The driver's acts: what a fold asks for, done on the stores. Each may be done twice, by anyone."""

import random
from contextlib import suppress
from typing import Any

import orjson

from common.events import Entry, TimerFired, TurnEnded, TurnInterrupted, TurnStarted
from common.log.stream import append, append_now, decode_entries, read_turn
from common.names import JobRef, SessionRef, TurnRef
from common.queue import job_queue
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable, insist
from common.turn.cost import no_usage
from common.turn.fillers import conversation, phrases_for
from common.turn.fold import Fold
from common.turn.lane_state import LaneState
from common.turn.outputs import FILLER, Due, TextReleased
from common.turn.transcript import Transcript
from common.turn.version import UnknownFold, policy_of

_PAGE = 500
_LOOK_BACK = 20  # pages of a session's log in which the last filler is looked for


def job_of(turn: TurnRef, lane: LaneState) -> JobRef:
    """The job of a lane's latest attempt."""
    return JobRef(turn, lane.lane, max(1, lane.attempt))


async def stop_lanes(stores: Stores, turn: TurnRef, lanes: list[LaneState]) -> None:
    """Tell lanes that are no longer wanted to stop. Raises StoreUnavailable."""

    def build(pipe: Pipeline) -> None:
        for lane in lanes:
            job_queue.order_stop(pipe, job_of(turn, lane), lane.worker)

    await stores.on_queue.run(build)


async def fire_timer(stores: Stores, turn: TurnRef, started: TurnStarted, due: Due) -> None:
    """Write that a due time has come; the fold says what follows from it. Raises StoreUnavailable."""
    phrase = await _pick_filler(stores, turn, started) if due.due == FILLER.due else ""
    await _append_and_wake(stores, turn, TimerFired(turn.turn, due.number, due.due, phrase))


async def _pick_filler(stores: Stores, turn: TurnRef, started: TurnStarted) -> str:
    """A phrase in the turn's language, by chance, but not the one that the session has heard last."""
    phrases = phrases_for(policy_of(started).filler, conversation(started))
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


def _fillers_said(entries: list[Entry]) -> list[str]:
    """The fillers of a turn that were let out."""
    started = entries[0].event if entries else None
    if not isinstance(started, TurnStarted):
        return []
    try:
        fold, said = Fold(started), list[str]()
    except UnknownFold:
        return []
    for entry in entries[1:]:
        out = fold.feed(entry.event, entry.ms - entries[0].ms)
        if isinstance(entry.event, TimerFired) and any(
            isinstance(r, TextReleased) and r.lane == "filler" for r in out
        ):
            said.append(entry.event.phrase)
    return said


async def start_lanes(stores: Stores, turn: TurnRef, lanes: list[LaneState], lease_ms: int) -> None:
    """Queue the first attempt of lanes that are to begin. Raises StoreUnavailable."""
    now_ms = stores.queue_clock.now_ms()

    def build(pipe: Pipeline) -> None:
        for lane in lanes:
            job_queue.enqueue(pipe, JobRef(turn, lane.lane, 1), now_ms, lease_ms)

    await stores.on_queue.run(build)


def watch_lanes(
    stores: Stores, pipe: Pipeline, turn: TurnRef, started: TurnStarted, fold: Fold, lease_ms: int
) -> None:
    """See that each lane that is wanted has a job, or a lease that lapses where nobody holds it."""
    now_ms = stores.queue_clock.now_ms()
    for lane in fold.unstarted():
        job_queue.enqueue(pipe, JobRef(turn, lane.lane, 1), now_ms, lease_ms)
    for lane in fold.lanes.values():
        if lane.attempt and fold.wants(lane.lane):
            job_queue.watch_job(pipe, job_of(turn, lane), now_ms, lease_ms)
    if started.speech:
        job_queue.watch_job(pipe, JobRef(turn, "speech", 1), now_ms, lease_ms)


async def interrupt(stores: Stores, turn: TurnRef, by: str, heard: int = -1) -> bool:
    """Write that the turn was stopped, and by whom; False where its log is gone. Raises StoreUnavailable."""
    return await _append_and_wake(stores, turn, TurnInterrupted(turn.turn, by, heard))


async def end_turn(stores: Stores, turn: TurnRef, started: TurnStarted, fold: Fold) -> None:
    """Write the ending that the fold has reached, and let the turn go. Raises StoreUnavailable."""
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
        let_go(pipe, turn, started.tell, stores.queue_clock.now_ms())

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
    reason, lanes = "error", list[LaneState]()
    if fold:
        lanes = list(fold.lanes.values())
        if fold.ending:  # clients were told so
            reason, error = fold.ending.reason, fold.ending.error
        with suppress(Exception):  # that may be what is broken
            orjson.dumps(told := fold.usage())
            released, text_hash, usage = fold.released, fold.hash(), told
    ended = TurnEnded(turn.turn, reason, released, usage, text_hash, degraded=False, error=error)

    def release(pipe: Pipeline) -> None:
        for lane in lanes:
            job_queue.order_stop(pipe, job_of(turn, lane), lane.worker)
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
