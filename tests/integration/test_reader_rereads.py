"""The reader sent back to an earlier place, and a log that goes away under it."""

import asyncio
from typing import Any

import pytest

from common.names import SessionRef
from common.store import keys
from common.store.redis import TimedPipeline
from tests.support.log_listeners import NEVER_S, Heard, listen, reading, write
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until


@in_loop
async def test_whoever_joins_further_back_misses_nothing_while_a_reply_is_on_its_way(
    real: Backend, session: SessionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever folds can't take entries of a gap later: what comes must follow from where it joined."""
    execute = TimedPipeline.execute
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: TimedPipeline, *args: Any, **how: Any) -> Any:
        replies = await execute(self, *args, **how)
        if any(isinstance(reply, list) and reply for reply in replies):
            asked.set()
            await go_on.wait()
        return replies

    async with reading(real) as (reader, stores):
        begin = await write(stores, session, range(1), wake=False)
        await write(stores, session, range(1, 5), wake=False)
        former = await listen(reader, stores, session)
        await until(lambda: len(former.numbers) == 5)
        monkeypatch.setattr(TimedPipeline, "execute", slow)
        await stores.queue.publish(keys.wake(session), b"")
        await write(stores, session, range(5, 7))
        await asked.wait()
        joined = Heard()
        reader.follow(session, joined)
        reader.read_from(session, begin)
        go_on.set()
        await until(lambda: 6 in joined.numbers)
        assert joined.numbers == [1, 2, 3, 4, 5, 6]
        assert sorted(set(former.numbers)) == list(range(7))


@pytest.mark.parametrize("told", [True, False])
@in_loop
async def test_a_log_that_goes_away_is_told_to_those_who_want_to_know(
    backend: Backend, session: SessionRef, told: bool
) -> None:
    async with reading(backend, NEVER_S if told else 0.05) as (reader, stores):
        gone = asyncio.Event()
        indifferent = await listen(reader, stores, session)
        reader.follow(session, Heard(), gone.set)
        await write(stores, session, range(3))
        await until(lambda: indifferent.numbers == [0, 1, 2])
        await stores.log.delete(keys.log(session))
        if told:
            await stores.queue.publish(keys.wake(session), keys.DELETED)
        async with asyncio.timeout(20):
            await gone.wait()


@in_loop
async def test_a_log_that_is_trimmed_or_not_there_yet_is_not_gone(
    backend: Backend, session: SessionRef
) -> None:
    async with reading(backend, reread_s=0.02) as (reader, stores):
        told: list[str] = []
        heard = await listen(reader, stores, session)
        reader.follow(session, Heard(), lambda: told.append("gone"))
        channel = keys.wake(session)
        await until(lambda: reader._sessions[channel].read_s > 0)
        await write(stores, session, range(3))
        await until(lambda: heard.numbers == [0, 1, 2])
        await stores.log.xtrim(keys.log(session), maxlen=1, approximate=False)
        for _ in range(2):
            read_s = reader._sessions[channel].read_s
            await until(lambda read_s=read_s: reader._sessions[channel].read_s > read_s)
        await write(stores, session, range(3, 4))
        await until(lambda: heard.numbers == [0, 1, 2, 3])
        assert not told
