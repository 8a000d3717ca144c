"""A process that starts a turn and is killed on the way; run by the tests of the start.

Arguments: the settings, as JSON; the policy, as JSON; how many round trips of the start it lives through.
"""

import asyncio
import os
import signal
import sys
from typing import Any

import orjson
from parts import ask, open_starter
from redis.asyncio.client import Pipeline

from common.settings import Settings
from common.stores import open_stores


def _die_after(round_trips: int) -> None:
    execute, done = Pipeline.execute, 0

    async def counted(pipe: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal done
        if done == round_trips:
            os.kill(os.getpid(), signal.SIGKILL)
        replies = await execute(pipe, *args, **kwargs)
        done += 1
        if done == round_trips:
            os.kill(os.getpid(), signal.SIGKILL)
        return replies

    Pipeline.execute = counted  # type: ignore[method-assign]


async def _main(settings: Settings, policy: dict[str, Any], round_trips: int) -> None:
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        starter = open_starter(settings, stores)
        turn, started = starter.plan(ask("s1", **policy))
        print(turn.turn, flush=True)
        _die_after(round_trips)
        await starter.write(turn, started)


if __name__ == "__main__":
    asyncio.run(_main(Settings(**orjson.loads(sys.argv[1])), orjson.loads(sys.argv[2]), int(sys.argv[3])))
