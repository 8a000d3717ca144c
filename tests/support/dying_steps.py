"""A process that dies at a step of its work: from then on the stores and the archive hear no more of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from common.sessions.archive import Archive
from common.store.redis import TimedPipeline, TimedRedis


class Steps:
    """Counts the calls to stores and archive; at one, before or after it is made, all stands still."""

    def __init__(self, die_at: int, *, after: bool) -> None:
        self.done = 0
        self.died = asyncio.Event()
        self._die_at = die_at
        self._after = after

    def over(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def step(*args: Any, **kwargs: Any) -> Any:
            self.done += 1
            if self.done < self._die_at:
                return await call(*args, **kwargs)
            if self.done == self._die_at and self._after:
                await call(*args, **kwargs)
            self.died.set()
            return await asyncio.Event().wait()

        return step

    def patch(self, patched: pytest.MonkeyPatch) -> None:
        patched.setattr(TimedRedis, "execute_command", self.over(TimedRedis.execute_command))
        patched.setattr(TimedPipeline, "execute", self.over(TimedPipeline.execute))
        for name in ("read", "write", "delete"):
            patched.setattr(Archive, name, self.over(getattr(Archive, name)))
