"""Delays refusals, longer with each wrong key or token from an address, so that guessing is slow."""

import asyncio
import math
import time
from collections import Counter, OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

from common.errors import RateLimited

_FREE = 5  # a key may be mistyped
_FIRST_S = 0.1
_FORGET_S = 300.0
_MOST_ADDRESSES = 10_000
_MOST_WAITING = 500
_MOST_OF_ONE = 10


class RefusalDelay:
    """Counts refusals by address, in bounded memory, and delays the answers to addresses with many."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._refused: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    async def refuse(self, address: str) -> None:
        """Note a refusal, and delay it. Raises RateLimited if too many wait already."""
        group = _group(address)
        count = self._count(group) + 1
        self._refused[group] = count, time.monotonic()
        self._refused.move_to_end(group)
        while len(self._refused) > _MOST_ADDRESSES:
            self._refused.popitem(last=False)
        await self._wait(group, count)

    async def before_operator(self, address: str) -> None:
        """Delay addresses with many refusals before their token is compared: there is one token to guess."""
        group = _group(address)
        if (count := self._count(group)) > 2 * _FREE:
            await self._wait(group, count)

    def delay_s(self, count: int) -> float:
        """Return the delay of an address's refusal number `count`, in seconds."""
        return min(self._most_s, _FIRST_S * 2 ** min(count - _FREE - 1, 32)) if count > _FREE else 0.0

    def _count(self, group: str) -> int:
        count, at_s = self._refused.get(group, (0, 0.0))
        return count if time.monotonic() - at_s < _FORGET_S else 0

    async def _wait(self, group: str, count: int) -> None:
        if not (wait_s := self.delay_s(count)):
            return
        if self._waiting[group] >= _MOST_OF_ONE or self._waiting.total() >= _MOST_WAITING:
            raise RateLimited(
                "too many wrong keys from this address",
                code="too_many_refusals",
                kind="requests",
                retry_after_s=math.ceil(self._most_s),
                headers={},
            )
        self._waiting[group] += 1
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._waiting[group] -= 1
            if not self._waiting[group]:
                del self._waiting[group]


def _group(address: str) -> str:
    """Return what is counted as one client: the address, or of IPv6 its /64 network."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, IPv6Address) and not known.ipv4_mapped:
        return str(ip_network((known, 64), strict=False))
    return str(known.ipv4_mapped or known) if isinstance(known, IPv6Address) else str(known)
