"""A keeper that dies anywhere: what was written is afterwards found once, in the log or in the archive."""

import asyncio
import random
import secrets
from collections import Counter
from pathlib import Path

import pytest

from common.names import SessionRef, TurnRef
from common.sessions.archive import Archive
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.dying_steps import Steps
from tests.support.ended_turns import (
    add_turn,
    end_turn,
    in_archive,
    in_log,
    keep,
    open_keeper,
    read,
    read_lines,
)
from tests.support.killable import mortal
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop, until


@pytest.mark.parametrize("after", [False, True])
@in_loop
async def test_killed_at_any_step_it_loses_nothing_and_doubles_nothing(
    real: Backend, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    url = f"memory://{secrets.token_hex(4)}"
    settings, archive = real.settings(archive_url=url, archive_after_s=60, retention_events=6), Archive(url)
    rests, grows, goes_on = (SessionRef("default", name) for name in ("rests", "grows", "goes on"))
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        for die_at in range(1, 200):
            await add_turn(eyes, rests, eyes.queue_clock.now_ms() - 100_000)
            for _ in range(4):
                await add_turn(eyes, grows)
            live = await add_turn(eyes, goes_on, eyes.queue_clock.now_ms() - 100_000, ended=False)
            written = {each: await read_lines(eyes, archive, each) for each in (rests, grows, goes_on)}
            steps = Steps(die_at, after=after)
            async with open_keeper(settings) as keeper:
                await eyes.queue.delete(keys.KEEPING)
                with monkeypatch.context() as patched:
                    steps.patch(patched)
                    others = asyncio.all_tasks()
                    tasks = [asyncio.create_task(work) for work in (keeper.run_once(), steps.died.wait())]
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    await end(*(asyncio.all_tasks() - others))
            for each, lines in written.items():
                assert await read_lines(eyes, archive, each) == lines
            await end_turn(eyes, live, eyes.queue_clock.now_ms() - 100_000)
            if not steps.died.is_set():
                break
        assert 20 < die_at < 199, "it was killed at none of its steps, or never came to an end"
        async with open_keeper(settings) as keeper:
            await keep(keeper, eyes)
        for each in written:
            logged, archived = await in_log(eyes, each), await in_archive(archive, each)
            assert not set(logged) & set(archived)
            assert archived + logged == await read(eyes, archive, each)
        assert await in_log(eyes, rests) == [] and len(await in_log(eyes, grows)) == 6


# With real processes.


class Life:
    """Sessions that go on while keepers come and are killed, and what was written of each."""

    def __init__(self, stores: Stores, archive: Archive) -> None:
        self.written: dict[SessionRef, list[str]] = {
            SessionRef("default", f"call {number}"): [] for number in range(40)
        }
        self.live: list[TurnRef] = []
        self.did: Counter[str] = Counter()
        self._stores = stores
        self._archive = archive
        self._random = random.Random(7)

    async def go_on(self) -> None:
        """One thing that happens: a turn begins, one ends, or now and then a session is deleted."""
        session = self._random.choice(list(self.written))
        act = self._random.choices(["turn", "begin", "end", "delete"], [60, 15, 20, 1])[0]
        if act == "turn":
            await self._note(session, await add_turn(self._stores, session))
        elif act == "begin":
            turn = await add_turn(self._stores, session, ended=False)
            self.live.append(turn)
            await self._note(session, turn)
        elif act == "end" and self.live:
            turn = self.live.pop(self._random.randrange(len(self.live)))
            await end_turn(self._stores, turn)
            await self._note(turn.session, turn)
        elif act == "delete":
            await self._delete(session)
        self.did[act] += 1

    async def _note(self, session: SessionRef, turn: TurnRef) -> None:
        """Nobody else writes to the session: what came since the last note is this act's."""
        known = set(self.written[session])
        log = await Sessions(self._stores, self._archive).turn(turn)
        of_turn = [entry.id for entry in log.own] if log else []
        self.written[session] += [entry_id for entry_id in of_turn if entry_id not in known]

    async def _delete(self, session: SessionRef) -> None:
        await Sessions(self._stores, self._archive).delete(session)
        self.live = [turn for turn in self.live if turn.session != session]
        self.written[session] = []
        now_ms = self._stores.log_clock.now_ms()
        await until(lambda: self._stores.log_clock.now_ms() > now_ms + 1)

    async def end(self) -> None:
        """All turns but the first five end."""
        for turn in self.live[5:]:
            await end_turn(self._stores, turn)
            await self._note(turn.session, turn)


async def die_often(backend: Backend, archive_url: str, deaths: int) -> Life:
    """Let sessions go on while as many keepers, two at a time, are killed at random moments."""
    archive = Archive(archive_url)
    async with open_stores(backend.settings()) as eyes:
        await eyes.sync_clocks()
        life, chance = Life(eyes, archive), random.Random(11)
        slots = asyncio.Semaphore(2)

        async def live_and_die() -> None:
            async with slots, mortal("dying_keeper.py", backend, archive_url) as process:
                assert process.stdin
                process.stdin.write(b"go\n")
                await until(lambda: eyes.queue.getdel(f"test:ready:{process.pid}"))
                await asyncio.sleep(chance.uniform(0, 0.15))
                assert process.returncode is None
                process.kill()

        dying = [asyncio.create_task(live_and_die()) for _ in range(deaths)]
        while not all(task.done() for task in dying):
            await life.go_on()
            await asyncio.sleep(0.002)
        await asyncio.gather(*dying)
        await life.end()
        await _check(backend, archive_url, life, eyes)
        return life


async def _check(backend: Backend, archive_url: str, life: Life, eyes: Stores) -> None:
    """After a round in peace everything is in exactly one place, and each place is the right one."""
    archive, going_on = Archive(archive_url), {turn.session for turn in life.live[:5]}
    settings = backend.settings(archive_url=archive_url, archive_after_s=0, retention_events=12)
    async with open_keeper(settings) as keeper:
        await keep(keeper, eyes)
    for session, written in life.written.items():
        logged, archived = await in_log(eyes, session), await in_archive(archive, session)
        assert sorted(archived + logged, key=_place) == sorted(written, key=_place)
        assert await read(eyes, archive, session) == archived + logged
        assert bool(logged) == (session in going_on)


def _place(entry_id: str) -> tuple[int, int]:
    millis, _, number = entry_id.partition("-")
    return int(millis), int(number)


def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(real: Backend, tmp_path: Path) -> None:
    life = asyncio.run(die_often(real, str(tmp_path), 4))
    assert life.did["turn"] > 40


@pytest.mark.soak
def test_killed_fifty_times_it_loses_nothing_and_doubles_nothing(real: Backend, tmp_path: Path) -> None:
    life = asyncio.run(die_often(real, str(tmp_path), 50))
    print(life.did, sum(map(len, life.written.values())), "events")
