"""A timeout that is set anew for every piece of a stream."""

import asyncio
from types import TracebackType


class Watchdog:
    """An async context that raises TimeoutError when what was expected doesn't come in time.

    Moving the time later, as each token of a stream does, only notes it; asyncio.timeout would make a timer.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "Watchdog":
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def expect_within(self, seconds: float) -> None:
        """From now on something is expected within so many seconds."""
        self._due = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._due:
            self._watch(self._due)

    def rest(self) -> None:
        """Nothing is expected for the time being."""
        self._due = None

    def _watch(self, until: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() >= self._due:
            self._limit.reschedule(self._loop.time())
        else:
            self._watch(self._due)
