"""The publisher's commits, counted and held back for the tests."""

import asyncio
from typing import Any

import pytest
from redis.asyncio.client import Pipeline


class Commits:
    """Counts the pipelines that append, and holds them back when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self._gate = asyncio.Semaphore(1_000_000)
        execute = Pipeline.execute

        async def held(pipe: Any, *args: Any, **kwargs: Any) -> Any:
            if any(args[0] == "XADD" for args, _ in pipe.command_stack):
                self.begun += 1
                await self._gate.acquire()
            return await execute(pipe, *args, **kwargs)

        monkeypatch.setattr(Pipeline, "execute", held)

    def hold(self) -> None:
        """Let no pipeline through from now on."""
        self._gate = asyncio.Semaphore(0)

    def let_one_go(self) -> None:
        self._gate.release()

    def let_go(self) -> None:
        """Let all through, those that wait and those to come."""
        for _ in range(1000):
            self._gate.release()
