"""The queue: jobs for arq, the leases that watch over them, and the marks that stop them."""

from collections.abc import Iterable
from typing import Any

import orjson
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.jobs import serialize_job

from common.names import LANES_OF_WORKERS, JobRef, Lane, TurnRef
from common.queue import fair_share
from common.store import keys
from common.store.redis import Commands, Pipeline, Stores, encode_job
from common.store.scripts import script
from common.turn.policy import LONGEST_TURN_MS

RUN_LANE = "run_lane"
"""The one function that workers run."""

# arq leaves a job alone until its score: a clock ahead of the worker's would make it wait.
_BACKDATE_MS = 60_000
_JOB_TTL_MS = 86_400_000  # far longer than a turn: the server's clock may be set forward
# A mark is for a running lane: a worker that picks the job up later sees in the log that it isn't wanted.
_MARK_TTL_MS = 30_000
_TURN_TTL_MS = LONGEST_TURN_MS + 120_000

PAST_DEADLINE_MS = 5_000
"""How long after its deadline a turn's own driver may take to end it."""

_IF_LAPSED = script("if_lapsed")


def enqueue(pipe: Pipeline, job: JobRef, now_ms: int, lease_ms: int) -> None:
    """Queue one attempt: arq's own entry, our lease, and its place among the tenant's waiting jobs.

    Safe to repeat: the job's entry is written once (NX), and a duplicate among the waiting jobs is dropped
    when it is picked up.
    """
    args = (job.turn.session.tenant, job.turn.session.session, job.turn.turn, job.lane, job.attempt)
    body = serialize_job(RUN_LANE, args, {}, None, now_ms, serializer=encode_job)
    pipe.zadd(keys.LEASES, {str(job): now_ms + lease_ms}, nx=True)
    pipe.set(job_key_prefix + str(job), body, nx=True, px=_JOB_TTL_MS)
    pipe.zadd(keys.queue(job.lane), {str(job): now_ms - _BACKDATE_MS})
    fair_share.add_waiting(pipe, job, now_ms)


async def requeue(stores: Stores, job: JobRef, lease_ms: int) -> None:
    """Wake a worker for a job that nobody picked up; it keeps its place in line. Raises StoreUnavailable.

    If a worker has picked it up just now, its lease holds again and nothing is done.
    """
    waits, now_ms = await fair_share.waits(stores.queue, job), stores.queue_clock.now_ms()

    def wake(pipe: Pipeline) -> None:
        if waits:
            fair_share.wake(pipe, job, now_ms)
        else:
            fair_share.add_waiting(pipe, job, now_ms, first=True)
        pipe.zadd(keys.LEASES, {str(job): now_ms + lease_ms}, xx=True)

    await if_lapsed(stores, job, wake)


async def if_lapsed(stores: Stores, held: JobRef | TurnRef, build: Commands) -> bool:
    """Run the commands that `build` queues if the lease has lapsed, checked in the same step; return True if
    so.

    Raises StoreUnavailable.
    """
    pipe = stores.queue.pipeline()
    build(pipe)
    commands = [[text_of(part) for part in command] for command, _ in pipe.command_stack]
    args = str(held), str(stores.queue_clock.now_ms()), orjson.dumps(commands).decode()
    (done,) = await stores.on_queue.run(lambda pipe: pipe.eval(_IF_LAPSED, 1, keys.LEASES, *args))
    return bool(done)


def text_of(part: Any) -> str:
    """Return a part of a command as text, to pass to a script."""
    return part.decode() if isinstance(part, bytes) else str(part)


def forget_job(pipe: Pipeline, job: JobRef) -> None:
    """Delete everything an attempt left on the queue server: it is over, or another replaces it."""
    finish_job(pipe, job)
    fair_share.withdraw(pipe, job)


def _keys_of(job: JobRef) -> list[str]:
    """Return the job's own keys: arq's, and the mark that stops it."""
    prefixes = (job_key_prefix, in_progress_key_prefix, retry_key_prefix)
    return [*(prefix + str(job) for prefix in prefixes), keys.cancelled(job)]


def hold_job(pipe: Pipeline, job: JobRef, now_ms: int, lease_ms: int) -> None:
    """Restore the entries that say that this job runs, if they were lost."""
    pipe.zadd(keys.LEASES, {str(job): now_ms + lease_ms}, nx=True)
    pipe.zadd(keys.queue(job.lane), {str(job): now_ms - _BACKDATE_MS}, nx=True)
    pipe.set(in_progress_key_prefix + str(job), b"1", nx=True, px=_TURN_TTL_MS)
    pipe.zadd(keys.running(job.lane, job.turn.session.tenant), {str(job): now_ms + lease_ms})


def watch_job(pipe: Pipeline, job: JobRef, now_ms: int, lease_ms: int) -> None:
    """Have the sweep check on this job unless its worker renews the lease in time."""
    pipe.zadd(keys.LEASES, {str(job): now_ms + lease_ms}, nx=True)


def finish_job(pipe: Pipeline, job: JobRef) -> None:
    """Delete what an attempt that was picked up left behind, except its slot: it is over."""
    pipe.zrem(keys.LEASES, str(job))
    pipe.zrem(keys.queue(job.lane), str(job))
    pipe.delete(*_keys_of(job))


async def enqueue_next_attempt(stores: Stores, job: JobRef, lease_ms: int) -> None:
    """Queue the next attempt in place of this one. Raises StoreUnavailable."""
    pipe = stores.queue.pipeline(transaction=True)
    _replace(pipe, job, stores.queue_clock.now_ms(), lease_ms)
    await pipe.execute()


async def enqueue_next_if_lapsed(stores: Stores, job: JobRef, lease_ms: int) -> bool:
    """Queue the next attempt unless this one's lease was renewed or taken; return True if so.

    Raises StoreUnavailable.
    """
    now_ms = stores.queue_clock.now_ms()
    return await if_lapsed(stores, job, lambda pipe: _replace(pipe, job, now_ms, lease_ms))


def _replace(pipe: Pipeline, job: JobRef, now_ms: int, lease_ms: int) -> None:
    enqueue(pipe, JobRef(job.turn, job.lane, job.attempt + 1), now_ms, lease_ms)
    forget_job(pipe, job)


def hold_turns(pipe: Pipeline, turns: Iterable[TurnRef], deadline_ms: int) -> None:
    """Set these turns' leases to the deadline: until then they count as driven."""
    pipe.zadd(keys.LEASES, {str(turn): deadline_ms for turn in turns})


def register_turn(pipe: Pipeline, turn: TurnRef, now_ms: int, deadline_ms: int = 0) -> None:
    """Add a turn that starts now to the live and the unsettled turns, and its session to the index.

    `deadline_ms`: if it has not ended this long after its start, the sweep ends it.
    """
    if deadline_ms:
        pipe.zadd(keys.DEADLINES, {str(turn): now_ms + deadline_ms + PAST_DEADLINE_MS})
    tenant = turn.session.tenant
    pipe.sadd(keys.KEPT, tenant)
    pipe.zadd(keys.UNSETTLED, {str(turn): now_ms + _TURN_TTL_MS}, nx=True)
    pipe.zadd(keys.live_turns(tenant), {f"{turn.session.quoted}:{turn.turn}": now_ms})
    pipe.zadd(keys.sessions(tenant), {turn.session.quoted: now_ms}, gt=True)


def unregister_turn(pipe: Pipeline, turn: TurnRef) -> None:
    """Remove a turn that has ended, or never was, so that it can be settled now."""
    pipe.zadd(keys.UNSETTLED, {str(turn): 0}, xx=True)
    pipe.zrem(keys.LEASES, str(turn))
    pipe.zrem(keys.DEADLINES, str(turn))
    pipe.hdel(keys.FOLDING, str(turn), f"{turn}|sweep", f"{turn}|lost")
    pipe.zrem(keys.live_turns(turn.session.tenant), f"{turn.session.quoted}:{turn.turn}")
    pipe.delete(keys.auth(turn))


def enqueue_webhook(pipe: Pipeline, turn: TurnRef, now_ms: int) -> None:
    """Queue the webhook of an ended turn."""
    pipe.zadd(keys.TELLING, {f"{turn}|1": now_ms}, nx=True)


def order_stop(pipe: Pipeline, job: JobRef, worker: str) -> None:
    """Tell a job to stop: by a mark, and by an order to its worker if that is known."""
    pipe.set(keys.cancelled(job), b"1", px=_MARK_TTL_MS)
    if worker:
        pipe.publish(keys.orders(worker), str(job))


async def is_picked_up(stores: Stores, job: JobRef) -> bool:
    """Return True if a worker has picked the job up, or it left the queue. Raises StoreUnavailable."""
    pipe = stores.queue.pipeline(transaction=False)
    pipe.exists(in_progress_key_prefix + str(job))
    pipe.zscore(keys.queue(job.lane), str(job))
    running, queued = await pipe.execute()
    return bool(running) or queued is None


async def count_workers(stores: Stores, within_ms: int = fair_share.BEATS_FOR_MS) -> dict[Lane, int]:
    """Return how many workers of each lane have beaten lately. Raises StoreUnavailable."""
    since = stores.queue_clock.now_ms() - within_ms
    pipe = stores.queue.pipeline(transaction=False)
    for lane in LANES_OF_WORKERS:
        pipe.zcount(keys.workers(lane), since, "+inf")
    return dict(zip(LANES_OF_WORKERS, await pipe.execute(), strict=True))
