"""Shares the slots of a lane's workers between tenants when jobs are picked up.

Each tenant's jobs wait in a list of their own. A slot that gets free goes to the waiting tenant that holds
the fewest; where others are configured too, none may hold more than its share, so that whoever comes next
finds a slot free. Scripts, as several counts must be looked at and changed as one; the queue's server is
never a cluster.
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
"""A worker that has not beaten for longer is not counted on."""

_TAKE, _GIVE_BACK, _LOOK = script("slots", "take_jobs"), script("give_back"), script("slots", "look")


def beat(worker: str, slots: int) -> str:
    """Return the member that stands for a worker among those of its lane."""
    return f"{worker}|{slots}"


def share_of(settings: Settings, directory: Directory) -> float:
    """Return how much of a lane's slots one tenant may hold: all, unless there are others."""
    return settings.tenant_share if len(directory.all()) > 1 else 1.0


def most_slots(slots: int, share: float) -> int:
    """Return how many of so many slots one tenant may hold."""
    return max(1, int(slots * share)) if share < 1 else slots


def add_waiting(pipe: Pipeline, job: JobRef, now_ms: int, *, first: bool = False) -> None:
    """Let the job wait, behind its tenant's others or before them, and wake a worker."""
    ready = keys.ready(job.lane, job.turn.session.tenant)
    (pipe.lpush if first else pipe.rpush)(ready, str(job))
    wake(pipe, job, now_ms)


def wake(pipe: Pipeline, job: JobRef, now_ms: int) -> None:
    """Say that the job's tenant has some waiting, and wake a worker."""
    pipe.zadd(keys.waiting(job.lane), {job.turn.session.tenant: now_ms}, nx=True)
    pipe.rpush(keys.hints(job.lane), b"")


async def waits(redis: Redis, job: JobRef) -> bool:
    """Return whether the job is to be picked up. Raises StoreUnavailable."""
    found = await redis.lpos(keys.ready(job.lane, job.turn.session.tenant), str(job))  # type: ignore[misc]
    return found is not None


def withdraw(pipe: Pipeline, job: JobRef) -> None:
    """Let the job neither wait nor hold a slot."""
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
    """Take at most so many jobs, each for one worker only: their ids and scores. Raises StoreUnavailable.

    `hints`: how many were popped before. `slots`: the worker's own. A job's slot and its lease are held from
    now on, until they lapse or are given back; the job is arq's to run for `within_ms`. Where the reply was
    lost, the same `taker` makes the same `call` again, and hears what it has taken.
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
    """The job has ended: its slot is free, for whoever waits."""
    tenant = job_id.partition(":")[0]
    names = keys.running(lane, tenant), keys.waiting(lane), keys.hints(lane)
    pipe.eval(_GIVE_BACK, len(names), *names, job_id)


def renew(pipe: Pipeline, lane: Lane, jobs: Iterable[JobRef], deadline_ms: int) -> None:
    """Hold the slots of these jobs for longer, where they are not given back."""
    by_tenant: dict[str, dict[str, int]] = defaultdict(dict)
    for job in jobs:
        by_tenant[job.turn.session.tenant][str(job)] = deadline_ms
    for tenant, members in by_tenant.items():
        pipe.zadd(keys.running(lane, tenant), members, xx=True)


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a lane's workers: their slots, jobs that run or wait, and per tenant with waiting jobs how
    many wait and run.
    """

    slots: int
    jobs: int
    waiting: Mapping[str, int]
    running: Mapping[str, int]

    def backlog(self, share: float) -> int:
        """Return how many of the waiting jobs find no slot free that their tenant may have."""
        queued = sum(self.waiting.values())
        free, most = self.slots - (self.jobs - queued), most_slots(self.slots, share)
        may_run = sum(min(n, max(0, most - self.running.get(t, 0))) for t, n in self.waiting.items())
        return queued - max(0, min(free, may_run))

    def with_more(self, jobs: Mapping[str, int]) -> "Load":
        """Return the same with more jobs that wait, by tenant."""
        waiting = {**self.waiting, **{t: self.waiting.get(t, 0) + n for t, n in jobs.items() if n}}
        return replace(self, jobs=self.jobs + sum(jobs.values()), waiting=waiting)

    def presses(self, tenant: str, share: float, at: float) -> bool:
        """Return whether the backlog is over `at` of the slots, and this tenant waits for no less than its
        part.
        """
        backlog, parts = self.backlog(share), len({*self.waiting, tenant})
        return backlog > at * self.slots and self.waiting.get(tenant, 0) * parts >= backlog


def read_load(pipe: Pipeline, lane: Lane) -> None:
    """Ask how busy a lane is; `load_of` reads the reply."""
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
