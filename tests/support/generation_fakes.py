"""What stands around the asking of a model, for tests of the asking alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from common.names import JobRef
from common.tenants.profiles import Upstream
from workers.lanes.publisher import LaneWriter
from workers.providers.base import UpstreamError


@dataclass
class Free:
    """Upstreams that may be asked; keeps what is said of them."""

    failures: list[str] = field(default_factory=list)
    busy_s: float = 0.0

    @asynccontextmanager
    async def admit(self, upstream: Upstream, job: JobRef, wait_s: float) -> AsyncIterator[None]:
        busy_s, self.busy_s = self.busy_s, 0.0
        await asyncio.sleep(busy_s)
        yield

    def record_success(self, upstream: Upstream) -> None:
        pass

    def record_failure(self, upstream: Upstream, error: UpstreamError) -> None:
        self.failures.append(error.code)
        self.busy_s = max(error.retry_after_s or 0.0, 0.5)


class Nowhere:
    """A publisher that publishes nothing."""

    def ms_since(self, start_ms: int) -> int:
        return 0

    def wake(self, writer: LaneWriter) -> None:
        pass
