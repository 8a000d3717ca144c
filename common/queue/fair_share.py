"""Shares the slots of a lane's workers among tenants when jobs are picked up.

Each tenant's jobs wait in a list of their own. A free slot goes to the waiting tenant that holds the fewest.
Where several tenants are configured none may hold more than its share, so that another's next job finds a
slot. Scripts do this, as several counts must be read and changed as one; the queue's server is never a
cluster.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from arq.constants import in_progress_key_prefix
from redis.asyncio import Redis

from common.names import JobRef, Lane
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline
from common.store.scripts import script
from common.tenants.directory import Directory

BEATS_FOR_MS = 3_000
"""A worker whose last beat is older than this does not count."""

_TAKE, _GIVE_BACK, _LOOK = script("slots", "take_jobs"), script("give_back"), script("slots", "look")


def beat(worker: str, slots: int) -> str:
    """Return a worker's member in its lane's set of workers."""
    return f"{worker}|{slots}"


def share_of(settings: Settings, directory: Directory) -> float:
    """Return the share of a lane's slots that one tenant may hold: all of them if it is the only one."""
    return settings.tenant_share if len(directory.all()) > 1 else 1.0


def most_slots(slots: int, share: float) -> int:
    """Return how many of these slots one tenant may hold."""
    return max(1, int(slots * share)) if share < 1 else slots


def add_waiting(pipe: Pipeline, job: JobRef, now_ms: int, *, first: bool = False) -> None:
    """Add a job to its tenant's waiting jobs, at the end or the front, and wake a worker."""
    ready = keys.ready(job.lane, job.turn.session.tenant)
    (pipe.lpush if first else pipe.rpush)(ready, str(job))
    wake(pipe, job, now_ms)


def wake(pipe: Pipeline, job: JobRef, now_ms: int) -> None:
    """Say that the job's tenant has some waiting, and wake a worker."""
    pipe.zadd(keys.waiting(job.lane), {job.turn.session.tenant: now_ms}, nx=True)
    pipe.rpush(keys.hints(job.lane), b"")


async def waits(redis: Redis, job: JobRef) -> bool:
    """Return True if the job is waiting to be picked up. Raises StoreUnavailable."""
    found = await redis.lpos(keys.ready(job.lane, job.turn.session.tenant), str(job))  # type: ignore[misc]
    return found is not None


def withdraw(pipe: Pipeline, job: JobRef) -> None:
    """Remove the job from the waiting jobs, and free its slot."""
    pipe.lrem(keys.ready(job.lane, job.turn.session.tenant), 0, str(job))
    pipe.zrem(keys.running(job.lane, job.turn.session.tenant), str(job))


async def acquire_jobs(
    redis: Redis,
    lane: Lane,
    wanted: int,
    *,
    hints: int,
    slots: int,
    share: float,
    lease_ms: int,
    within_ms: int,
    taker: str,
    call: str,
) -> list[tuple[str, int]]:
    """Pick up at most this many jobs, each for one worker only; return ids and scores. Raises
    StoreUnavailable.

    `hints`: how many were popped before. `slots`: the worker's own. A job's slot and lease are held from now
    on, until they lapse or are released; arq may run the job for `within_ms`. If the reply was lost, the same
    `taker` repeats the same `call`, and gets the same jobs.
    """
    names = (
        keys.queue(lane),
        keys.waiting(lane),
        keys.hints(lane),
        keys.workers(lane),
        keys.ready(lane, ""),
        keys.running(lane, ""),
        in_progress_key_prefix,
        keys.LEASES,
        keys.taken(taker),
    )
    args = (BEATS_FOR_MS, wanted, hints, slots, share, lease_ms, within_ms, call)
    taken: list[list[bytes]] = await redis.eval(_TAKE, len(names), *names, *map(str, args))  # type: ignore[misc]
    return [(job.decode(), int(float(score))) for job, score in taken]


def release_slot(pipe: Pipeline, lane: Lane, job_id: str) -> None:
    """Free the slot of a job that has ended, for the next one waiting."""
    tenant = job_id.partition(":")[0]
    names = keys.running(lane, tenant), keys.waiting(lane), keys.hints(lane)
    pipe.eval(_GIVE_BACK, len(names), *names, job_id)


def renew(pipe: Pipeline, lane: Lane, jobs: Iterable[JobRef], deadline_ms: int) -> None:
    """Extend the slots of these jobs, unless they were released."""
    by_tenant: dict[str, dict[str, int]] = defaultdict(dict)
    for job in jobs:
        by_tenant[job.turn.session.tenant][str(job)] = deadline_ms
    for tenant, members in by_tenant.items():
        pipe.zadd(keys.running(lane, tenant), members, xx=True)


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a lane's workers: their slots, all jobs running or waiting, and for each tenant with
    waiting jobs how many of its own wait and run.
    """

    slots: int
    jobs: int
    waiting: Mapping[str, int]
    running: Mapping[str, int]

    def backlog(self, share: float) -> int:
        """Return how many of the waiting jobs find no free slot that their tenant may hold."""
        queued = sum(self.waiting.values())
        free, most = self.slots - (self.jobs - queued), most_slots(self.slots, share)
        may_run = sum(min(n, max(0, most - self.running.get(t, 0))) for t, n in self.waiting.items())
        return queued - max(0, min(free, may_run))

    def with_more(self, jobs: Mapping[str, int]) -> "Load":
        """Return the load with more waiting jobs, by tenant."""
        waiting = {**self.waiting, **{t: self.waiting.get(t, 0) + n for t, n in jobs.items() if n}}
        return replace(self, jobs=self.jobs + sum(jobs.values()), waiting=waiting)

    def presses(self, tenant: str, share: float, at: float) -> bool:
        """Return True if the backlog exceeds `at` of the slots, and this tenant has at least its part in
        it.
        """
        backlog, parts = self.backlog(share), len({*self.waiting, tenant})
        return backlog > at * self.slots and self.waiting.get(tenant, 0) * parts >= backlog


def read_load(pipe: Pipeline, lane: Lane) -> None:
    """Queue the commands that read a lane's load; `load_of` parses their reply."""
    names = (
        keys.queue(lane),
        keys.waiting(lane),
        keys.workers(lane),
        keys.ready(lane, ""),
        keys.running(lane, ""),
    )
    pipe.eval(_LOOK, len(names), *names, str(BEATS_FOR_MS))


def load_of(reply: list[Any]) -> Load:
    """Parse the reply to `read_load`."""
    slots, jobs, tenants = reply
    names = [name.decode() for name, *_ in tenants]
    waiting, running = [n for _, n, _ in tenants], [n for *_, n in tenants]
    return Load(slots, jobs, dict(zip(names, waiting, strict=True)), dict(zip(names, running, strict=True)))
