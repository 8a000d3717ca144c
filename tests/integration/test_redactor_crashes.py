"""Redactors that are killed anywhere while a session goes on: nothing is lost, in the end all is masked."""

import asyncio
import random

import pytest

from common.events import Delta, LaneFinished
from common.names import SessionRef, TurnRef
from common.store import keys
from common.store.redis import Stores
from tests.support.ended_turns import in_log, put
from tests.support.killable import mortal
from tests.support.redaction import add_private, is_listed, look, raw_log, redacting
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until

SESSION = SessionRef("default", "call")
MOST_TURNS = 40


async def live_and_die(backend: Backend, eyes: Stores, chance: random.Random) -> None:
    async with mortal("dying_redactor.py", backend, SESSION.session) as process:
        assert process.stdin
        process.stdin.write(b"go\n")
        await until(lambda: eyes.queue.getdel(f"test:ready:{process.pid}"))
        await asyncio.sleep(chance.uniform(0, 0.1))
        assert process.returncode is None
        process.kill()


@in_loop
async def test_killed_again_and_again_it_loses_nothing_and_masks_all(two_servers: Backend) -> None:
    await die_often(two_servers, 2)


@pytest.mark.soak
@in_loop
async def test_killed_forty_times_it_loses_nothing_and_masks_all(real: Backend) -> None:
    await die_often(real, 40)


async def die_often(real: Backend, deaths: int) -> None:
    """Let a session go on while as many redactors, two at a time, are killed at random moments."""
    chance, turns, written = random.Random(7), list[TurnRef](), list[str]()
    async with redacting(real.settings()) as (eyes, last):

        async def die() -> None:
            for _ in range(deaths // 2):
                await live_and_die(real, eyes, chance)

        dying = [asyncio.create_task(die()) for _ in range(2)]
        while len(turns) < MOST_TURNS or not all(task.done() for task in dying):
            await asyncio.sleep(0.02)
            if len(turns) >= MOST_TURNS:
                await put(eyes, SESSION, Delta(turns[-1].turn, "full", 9, 0, "", 0))
                continue
            known = len(await in_log(eyes, SESSION))
            turns.append(await add_private(eyes, SESSION, chance.choice(["redacted", "full"]), over=False))
            over = LaneFinished(turns[-1].turn, "full", 1, 0, "cancelled", None, None, 0)
            await put(eyes, SESSION, over)
            found = await in_log(eyes, SESSION)
            assert found[: len(written)] == written and len(found) > known
            written = found
        await asyncio.gather(*dying)
        await eyes.queue.delete(keys.redacting(SESSION))  # its time comes
        for turn in turns:
            while await is_listed(eyes, turn):
                await look(last, eyes)
        found = await in_log(eyes, SESSION)
        assert found[: len(written)] == written
        lines = [str(fields) for _, fields in await raw_log(eyes, SESSION)]
        clear = {turn.turn for turn in turns if any(turn.turn in line and '"23-4"' in line for line in lines)}
        masked = {
            turn.turn for turn in turns if any(turn.turn in line and '"xx-x"' in line for line in lines)
        }
        assert clear | masked == {turn.turn for turn in turns} and not clear & masked
        for turn in turns:
            kept_whole = any(
                turn.turn in line and '"record":"full"' in line for line in lines if "policy" in line
            )
            assert (turn.turn in clear) == kept_whole
