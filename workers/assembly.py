"""Puts the parts of a lane's worker together, for the process and for tests, which bring fakes."""

from collections.abc import Awaitable, Callable

from common.queue.fair_share import share_of
from common.settings import Settings
from common.store.redis import Stores
from common.tenants.directory import Directory
from common.turn.policy import LONGEST_TURN_MS
from workers.knowledge.retrieval import Retrieval
from workers.lanes.lane import LaneRunner
from workers.lanes.publisher import Publisher
from workers.leases import LaneLeases
from workers.providers.base import Provider
from workers.runner import JobRunner

_JOB_TIMEOUT_S = LONGEST_TURN_MS / 1000 + 60

Run = Callable[..., Awaitable[None]]
"""The function that runs a lane's jobs."""


def open_lanes(
    settings: Settings,
    stores: Stores,
    directory: Directory,
    leases: LaneLeases,
    provider: Provider,
    retrieval: Retrieval | None,
) -> tuple[Run, Publisher]:
    """Return what runs the jobs of a model's lane, and the publisher through which it writes."""
    publisher = Publisher(stores)
    leases.on_forgotten = publisher.doubt
    lanes = LaneRunner(settings, stores, directory, provider, publisher, leases, retrieval)
    return lanes.run_lane, publisher


def open_runner(
    settings: Settings, stores: Stores, directory: Directory, leases: LaneLeases, run: Run
) -> JobRunner:
    """Return the job runner of a worker, which tells the leases what it picks up."""
    return JobRunner(
        leases.lane,
        stores.queue,
        run,
        slots=settings.worker_slots,
        timeout_s=_JOB_TIMEOUT_S,
        lease_ms=settings.lane_lease_ms,
        share=lambda: share_of(settings, directory),
        on_taken=leases.picked_up,
        on_over=leases.finished,
    )
