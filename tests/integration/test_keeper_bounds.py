"""Bounds of length and age: what is too long or too old goes, what goes on stays."""

from pathlib import Path

import pytest

from common.events import TurnInterrupted
from common.names import SessionRef, TurnRef
from common.sessions.archive import Archive
from common.store import keys
from common.store.redis import Stores
from tests.support.ended_turns import (
    LONG_AGO_MS,
    add_turn,
    end_turn,
    in_archive,
    in_log,
    keep,
    keeping,
    put,
    read,
)
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop

DAY_MS = 86_400_000
OTHER = SessionRef("default", "other")


# Length.


@pytest.mark.parametrize("archived", [False, True])
@in_loop
async def test_a_long_log_loses_its_oldest_whole_turns(
    real: Backend, session: SessionRef, tmp_path: Path, archived: bool
) -> None:
    settings = real.settings(archive_url=str(tmp_path) if archived else "", retention_events=10)
    archive = Archive(str(tmp_path))
    async with keeping(settings) as (eyes, keeper):
        turns = [await add_turn(eyes, session) for _ in range(3)]
        await put(eyes, session, TurnInterrupted(turns[-1].turn, "client", 3))
        for _ in range(4):
            await add_turn(eyes, session)
        written = await in_log(eyes, session)
        await keep(keeper, eyes)
        assert await in_log(eyes, session) == written[7:]  # 8 of 15: to cut within a turn would leave 10
        assert await in_archive(archive, session) == (written[:7] if archived else [])
        assert await read(eyes, archive if archived else None, session) == (
            written if archived else written[7:]
        )
        await keep(keeper, eyes)
        assert await in_log(eyes, session) == written[7:]


@in_loop
async def test_a_log_is_never_cut_past_the_oldest_turn_that_goes_on(
    real: Backend, session: SessionRef
) -> None:
    async with keeping(real.settings(retention_events=3)) as (eyes, keeper):
        await add_turn(eyes, session)
        live = await add_turn(eyes, session, ended=False)
        for _ in range(5):
            await add_turn(eyes, session)
        written = await in_log(eyes, session)
        await keep(keeper, eyes)
        assert await in_log(eyes, session) == written[2:]
        await end_turn(eyes, live)
        written = await in_log(eyes, session)
        await keep(keeper, eyes)
        assert await in_log(eyes, session) == written[-3:]  # the latest turn, and the late end of another


@in_loop
async def test_the_latest_turn_stays_however_long(real: Backend, session: SessionRef) -> None:
    async with keeping(real.settings(retention_events=3)) as (eyes, keeper):
        turn = await add_turn(eyes, session)
        for _ in range(5):
            await put(eyes, session, TurnInterrupted(turn.turn, "client", 3))
        await keep(keeper, eyes)
        assert len(await in_log(eyes, session)) == 7


@in_loop
async def test_without_a_bound_nothing_is_cut(real: Backend, session: SessionRef) -> None:
    async with keeping(real.settings()) as (eyes, keeper):
        for _ in range(30):
            await add_turn(eyes, session)
        await keep(keeper, eyes)
        assert len(await in_log(eyes, session)) == 60


# Age.


async def _listed(stores: Stores) -> list[bytes]:
    members: list[bytes] = await stores.queue.zrange(keys.sessions("default"), 0, -1)
    return members


@in_loop
async def test_without_an_archive_the_index_forgets_with_the_log(real: Backend, session: SessionRef) -> None:
    settings = real.settings(retention_s=3_600)
    async with keeping(settings) as (eyes, keeper):
        old_ms = eyes.queue_clock.now_ms() - 4_000_000
        gone, kept = SessionRef("default", "gone"), SessionRef("default", "kept")
        await add_turn(eyes, gone, old_ms)
        await eyes.log.delete(keys.log(gone))  # it has expired
        await add_turn(eyes, session, old_ms)  # it lasts longer than it should
        await add_turn(eyes, kept, old_ms)
        await put(eyes, kept, TurnInterrupted("turn0000", "client", 3))  # younger than the index knows
        await add_turn(eyes, OTHER)
        await keep(keeper, eyes)
        assert await _listed(eyes) == [b"other", b"kept"] or await _listed(eyes) == [b"kept", b"other"]
        assert await in_log(eyes, session) == []
        assert len(await in_log(eyes, kept)) == 3 and len(await in_log(eyes, OTHER)) == 2


@in_loop
async def test_archived_sessions_are_deleted_when_their_time_is_over(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings = real.settings(archive_url=archive_url, archive_retention_s=3_600, archive_after_s=60)
    archive = Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        now_ms = eyes.queue_clock.now_ms()
        await add_turn(eyes, session, now_ms - 4_000_000)
        await add_turn(eyes, OTHER, now_ms - 3_000_000)
        await keep(keeper, eyes)
        assert await in_archive(archive, session) == [] and await in_log(eyes, session) == []
        assert len(await in_archive(archive, OTHER)) == 2
        assert await _listed(eyes) == [b"other"]


@in_loop
async def test_an_archive_is_kept_for_ever_unless_a_time_is_set(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url, retention_s=60), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        await keep(keeper, eyes)
        await keep(keeper, eyes)
        assert len(await in_archive(archive, session)) == 2 and len(await _listed(eyes)) == 1


@in_loop
async def test_what_can_not_be_deleted_stays_in_the_index(
    real: Backend, session: SessionRef, tmp_path: Path
) -> None:
    settings = real.settings(archive_url=str(tmp_path / "calls"), archive_retention_s=3_600)
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        (tmp_path / "calls").touch()
        await keep(keeper, eyes)
        assert len(await _listed(eyes)) == 1
        (tmp_path / "calls").unlink()
        await keep(keeper, eyes)
        assert await _listed(eyes) == []


# Live turns.


@in_loop
async def test_live_turns_that_nobody_watches_are_dropped_or_given_to_the_sweep(
    real: Backend, session: SessionRef
) -> None:
    settings = real.settings()
    async with keeping(settings) as (eyes, keeper):
        going = await add_turn(eyes, session, LONG_AGO_MS, ended=False)
        lost = await add_turn(eyes, session, LONG_AGO_MS + 1, ended=False, lease=False)
        over = await add_turn(eyes, session, LONG_AGO_MS + 2)
        young = await add_turn(eyes, session, ended=False, lease=False)
        never = TurnRef(session, "turn0000")
        live = keys.live_turns("default")
        for leaked in (over, never):
            await eyes.queue.zadd(live, {f"{session.quoted}:{leaked.turn}": LONG_AGO_MS})
        await keep(keeper, eyes)
        names = {member.decode().partition(":")[2] for member in await eyes.queue.zrange(live, 0, -1)}
        assert names == {going.turn, lost.turn, young.turn}
        lapsed = await eyes.queue.zrangebyscore(keys.LEASES, 0, eyes.queue_clock.now_ms() + 1)
        assert lapsed == [str(lost).encode()]


# Tombstones.


@in_loop
async def test_an_old_tombstone_goes_with_what_was_left_of_its_session(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url, archive_after_s=0), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        for each in (session, OTHER):
            await add_turn(eyes, each, LONG_AGO_MS)
            await archive.write(each, [b'{"id":"%d-0","kind":"x","event":{}}\n' % LONG_AGO_MS])
            await eyes.queue.zrem(keys.sessions("default"), each.quoted)
        await eyes.queue.zadd(keys.deleted("default"), {session.quoted: LONG_AGO_MS + 1})
        await add_turn(eyes, OTHER, ended=False)  # a new one of that name
        now_ms = eyes.queue_clock.now_ms()
        await eyes.queue.zadd(
            keys.deleted("default"), {OTHER.quoted: LONG_AGO_MS + 1, "young": now_ms - DAY_MS // 2}
        )
        await keep(keeper, eyes)
        assert await eyes.queue.zrange(keys.deleted("default"), 0, -1) == [b"young"]
        assert await in_archive(archive, session) == [] and not await eyes.log.exists(keys.log(session))
        assert len(await in_log(eyes, OTHER)) == 1 and await in_archive(archive, OTHER) == []
