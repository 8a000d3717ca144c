"""Refused bodies are work too, which no tenant's limits count: who sends too many is refused unread."""

import math
import time
from collections import OrderedDict

from common.errors import RateLimited

_MOST_KNOWN = 10_000
_BYTES_OF_ONE = 65_536  # a larger body counts for as many


class Refusals:
    """A bucket for each tenant at each address, which fills by refused bodies and empties with time."""

    def __init__(self, most_per_minute: int) -> None:
        self._most = most_per_minute
        self._full: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def check(self, tenant: str, address: str) -> None:
        """Raises RateLimited while this one's bucket is full."""
        over = self._level((tenant, address)) - self._most
        if self._most and over >= 0:
            raise RateLimited(
                f"over {self._most} refused requests a minute",
                code="too_many_refused",
                kind="requests",
                retry_after_s=max(1, math.ceil((over + 1) * 60 / self._most)),
                headers={},
            )

    def count(self, tenant: str, address: str, size: int) -> None:
        """A body of this size was refused."""
        if not self._most:
            return
        who = (tenant, address)
        level = min(self._level(who) + 1 + size // _BYTES_OF_ONE, 2 * self._most)
        self._full[who] = (level, time.monotonic())
        self._full.move_to_end(who)
        if len(self._full) > _MOST_KNOWN:
            self._full.popitem(last=False)

    def _level(self, who: tuple[str, str]) -> float:
        level, at_s = self._full.get(who, (0.0, 0.0))
        return max(0.0, level - (time.monotonic() - at_s) * self._most / 60)
