"""Bounds the pace of a model's server: far above speech, but never so fast that it keeps a worker from
others.

Every byte counts, also of comments and blank lines. A stream that runs ahead of what a worker reads at
leisure has its slices read at a gate, through which all such streams of a process take a tenth of the
loop's time together; one that runs far ahead of any model is cut off.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from workers.providers.base import UpstreamError

SLICE_BYTES = 4_096  # read in one go; of bare line ends it takes about a millisecond
MOST_LINES = 12_000  # how far a stream may run ahead of its budget: 6,000 events at once
MOST_BYTES = 5 * 1_048_576
LINES_A_S = 4_000  # what its server may send for good; an event is two lines
BYTES_A_S = 1_048_576

_LEISURE_LINES_A_S, _LEISURE_BYTES_A_S = 400, 65_536
_LEISURE_LINES, _LEISURE_BYTES = 1_000, 262_144
_SHARE = 0.1
_LEAST_S = 0.000_05


@dataclass(slots=True)
class _Bucket:
    """Counts how far something is ahead of its pace."""

    lines_a_s: float
    bytes_a_s: float
    lines: float = 0.0
    size: float = 0.0

    def add(self, lines: int, size: int) -> None:
        self.lines += lines
        self.size += size

    def drain(self, seconds: float) -> None:
        self.lines = max(0.0, self.lines - seconds * self.lines_a_s)
        self.size = max(0.0, self.size - seconds * self.bytes_a_s)

    def over_s(self, lines: int, size: int) -> float:
        """Return the seconds until it is no further ahead than this."""
        return max((self.lines - lines) / self.lines_a_s, (self.size - size) / self.bytes_a_s, 0.0)


@dataclass(slots=True)
class _Gate:
    """Tells when the next slice of a stream that runs ahead may be read."""

    free_s: float = 0.0


_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, _Gate] = WeakKeyDictionary()


@dataclass(slots=True)
class Flow:
    """One stream's pace. What is read is counted before it is parsed."""

    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _budget: _Bucket = field(default_factory=lambda: _Bucket(LINES_A_S, BYTES_A_S))
    _leisure: _Bucket = field(default_factory=lambda: _Bucket(_LEISURE_LINES_A_S, _LEISURE_BYTES_A_S))
    _since_s: float = 0.0
    _unyielded: int = 0
    _cost_s: float = _LEAST_S

    def __post_init__(self) -> None:
        self._since_s = self._loop.time()

    def waited(self, seconds: float) -> None:
        """Note how long the server was waited for; it was ahead of nobody meanwhile."""
        self._budget.drain(seconds)

    def cost(self, seconds: float) -> None:
        """Note how long the last slice kept the loop."""
        self._cost_s = max(seconds, _LEAST_S)

    async def let(self, lines: int, size: int) -> None:
        """Wait until this much more may be parsed. Raises UpstreamError if the stream runs too far ahead."""
        now_s = self._loop.time()
        self._leisure.drain(now_s - self._since_s)
        self._since_s = now_s
        self._budget.add(lines, size)
        self._leisure.add(lines, size)
        if self._budget.over_s(MOST_LINES, MOST_BYTES):
            raise UpstreamError("upstream_garbled", "the model's server sends more than anybody can hear")
        self._unyielded += size + 64 * lines
        if pause_s := self._leisure.over_s(_LEISURE_LINES, _LEISURE_BYTES):
            self._unyielded = 0
            await asyncio.sleep(self._turn_s(now_s, pause_s))
        elif self._unyielded > SLICE_BYTES:
            self._unyielded = 0
            await asyncio.sleep(0)

    def _turn_s(self, now_s: float, pause_s: float) -> float:
        """Return how long to wait at the gate; never longer than at leisure."""
        gate = _gates.setdefault(self._loop, _Gate())
        wait_s = max(gate.free_s - now_s, 0.0)
        if wait_s > pause_s:
            return pause_s
        gate.free_s = now_s + wait_s + self._cost_s / _SHARE
        return wait_s


async def paced(pieces: AsyncIterator[bytes], flow: Flow) -> AsyncGenerator[bytes, None]:
    """Yield the same bytes in slices, no faster than the flow allows. Raises UpstreamError."""
    loop = asyncio.get_running_loop()
    while True:
        asked_s = loop.time()
        piece = await anext(pieces, None)
        flow.waited(loop.time() - asked_s)
        if piece is None:
            return
        for at in range(0, len(piece), SLICE_BYTES):
            part = piece[at : at + SLICE_BYTES]
            await flow.let(part.count(b"\n") + part.count(b"\r"), len(part))
            begun_s = time.thread_time()  # not the time in which others have the processor
            yield part
            flow.cost(time.thread_time() - begun_s)
