"""A process that starts a turn and is killed on the way, after so many round trips."""

import asyncio
import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import orjson
from redis.asyncio.client import Pipeline

from api.limits.admission import Admissions
from api.requests.idempotency import name_key
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.config import Limits
from tests.support.limited_tenants import LimitedDirectory
from tests.support.wiring import ask, open_past, open_starter


def _die_after(round_trips: int) -> None:
    done = 0

    def counted(trip: Any) -> Any:
        async def make(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            if done == round_trips:
                os.kill(os.getpid(), signal.SIGKILL)
            replies = await trip(*args, **kwargs)
            done += 1
            if done == round_trips:
                os.kill(os.getpid(), signal.SIGKILL)
            return replies

        return make

    Pipeline.execute = counted(Pipeline.execute)  # type: ignore[method-assign]
    Pipeline.immediate_execute_command = counted(Pipeline.immediate_execute_command)  # type: ignore[method-assign]


async def _main(
    settings: Settings, policy: dict[str, Any], round_trips: int, key: str, limits: str, said: Connection
) -> None:
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        starter, request = open_starter(settings, stores), ask("s1", **policy)
        if key:
            request = replace(request, idempotency=name_key(request.body, key, None, in_session=True))
        planned = starter.plan(request)
        said.send(planned.turn.turn)
        _die_after(round_trips)
        if limits != "{}":
            directory = LimitedDirectory(settings, stores, Limits(**orjson.loads(limits)))
            await Admissions(settings, stores, Sessions(stores, None), directory).admit(
                planned.turn, planned.started
            )
        if not key:
            await starter.commit(planned)
            return
        context = await open_past(settings, stores).recall(planned)
        await starter.commit(context.planned, context.claim)


def start(
    settings: dict[str, Any],
    policy: dict[str, Any],
    round_trips: int,
    key: str,
    limits: str,
    said: Connection,
) -> None:
    """Start a turn, tell its name, and be killed on the way."""
    asyncio.run(_main(Settings(**settings), policy, round_trips, key, limits, said))
