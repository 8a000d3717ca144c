"""The servers' clocks, and how long a server has been in contact, by this process's steady clock."""

import time
from collections.abc import Callable

_STEP_MS = 500.0  # smaller differences are no step: the clock was corrected, or the reply was late
_KNOWN_STEPS = 16

Steady = Callable[[], float]
"""Returns seconds on a clock that is never set."""


class ServerClock:
    """A server's own clock, kept as an offset: one clock for all machines, steady when ours is stepped.

    A step of the server's clock is followed and remembered: `since` doesn't count it as time.
    """

    def __init__(self, steady: Steady = time.monotonic) -> None:
        self._steady = steady
        self._offset_ms: float | None = None
        self._noticed = 0
        self._bounds = (0.0, 0.0)  # the offset lies between these
        self._steps: list[tuple[float, float]] = []  # when, on the clock before it, and by how much, ms

    @property
    def known(self) -> bool:
        return self._offset_ms is not None

    @property
    def steps(self) -> int:
        """The number of steps that were noticed."""
        return self._noticed

    def asked_at(self) -> float:
        """Return the moment just before TIME is asked for, for `set_from`."""
        return self._steady() * 1000

    def set_from(self, reply: tuple[int, int], asked: float) -> bool:
        """Set the clock from a reply to TIME that has just come in; return True if the server's clock was
        stepped.

        The server read its clock at some moment since `asked`, so a late reply moves nothing.
        """
        seconds, micros = reply
        now_ms = self._steady() * 1000
        least = seconds * 1000 + micros / 1000 - now_ms
        most = least + max(0.0, now_ms - asked)
        known = self._offset_ms
        if known is None:
            self._offset_ms, self._bounds = least, (least, most)
            return False
        before = self._bounds
        lower, upper = max(before[0], least), min(before[1], most)
        gap_ms = max(0.0, lower - upper)  # by how much the two ranges miss each other
        self._bounds = (lower, upper) if not gap_ms else (least, most)
        self._offset_ms = min(max(known, self._bounds[0]), self._bounds[1])
        if gap_ms < _STEP_MS:
            return False
        self._noticed += 1
        self._steps = [*self._steps, (now_ms + known, self._offset_ms - known)][-_KNOWN_STEPS:]
        return True

    def now_ms(self) -> int:
        """Return the time on the server's clock, ms; by our own clock until the server was first asked."""
        offset = self._offset_ms if self._offset_ms is not None else (time.time() - self._steady()) * 1000
        return int(self._steady() * 1000 + offset)

    def since(self, time_ms: int) -> int:
        """Return how long ago that was, ms, not counting steps of the clock; 0 if it is in the future."""
        then, now_ms = float(time_ms), float(self.now_ms())
        for at_ms, step_ms in self._steps:
            # A time that exists both before and after a step back is taken for the later one.
            if then < at_ms and (step_ms > 0 or then > now_ms):
                then += step_ms
        return max(0, int(now_ms - then))


class Contact:
    """Measures how long a server has been in contact without a break.

    A break is anything that can't be told from the server's having been away: a command that failed, a step
    of its clock, and our own standing still for longer than `gap_s`. To judge others by their silence one
    must have listened all the while.
    """

    def __init__(self, gap_s: float, steady: Steady = time.monotonic) -> None:
        self._gap_s = gap_s
        self._steady = steady
        self._since: float | None = None
        self._last = 0.0
        self.breaks = 0

    def made(self) -> None:
        """Note that the server has answered."""
        now_s = self._steady()
        if self._since is None or now_s - self._last > self._gap_s:
            self.breaks += self._last > 0
            self._since = now_s
        self._last = now_s

    def lost(self) -> None:
        """Note that it has not, or that its clock was stepped: the time starts again at its next answer."""
        self._since = None

    @property
    def for_s(self) -> float:
        """How long the contact has lasted, in seconds; 0 without contact."""
        now_s = self._steady()
        return 0.0 if self._since is None or now_s - self._last > self._gap_s else now_s - self._since
