"""The keeper: what it moves is read as before, what it may not touch stays, what is too old goes."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest

from common.events import TurnInterrupted
from common.names import SessionRef
from common.sessions.archive import Archive, ArchiveUnavailable
from common.sessions.sessions import Sessions
from common.store import keys
from tests.support.ended_turns import (
    LONG_AGO_MS,
    add_turn,
    end_turn,
    in_archive,
    in_log,
    keep,
    keeping,
    open_keeper,
    put,
    read,
    read_lines,
)
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until

OTHER = SessionRef("default", "other")


# Archiving.


@in_loop
async def test_a_session_that_rests_is_moved_and_read_as_before(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        for _ in range(300):
            await add_turn(eyes, session, LONG_AGO_MS)
        before = await read_lines(eyes, archive, session)
        await keep(keeper, eyes)
        assert not await eyes.log.exists(keys.log(session))
        assert await archive.read(session) == before and len(before) == 600
        assert await read_lines(eyes, archive, session) == before
        await keep(keeper, eyes)
        assert await archive.read(session) == before


@in_loop
async def test_a_session_that_was_active_lately_stays(
    real: Backend, session: SessionRef, tmp_path: Path
) -> None:
    settings = real.settings(archive_url=str(tmp_path))
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session)
        await keep(keeper, eyes)
        assert len(await in_log(eyes, session)) == 2
        assert await in_archive(Archive(str(tmp_path)), session) == []


@in_loop
async def test_a_session_with_a_turn_that_goes_on_stays_and_others_are_moved(
    real: Backend, session: SessionRef, tmp_path: Path
) -> None:
    settings, archive = real.settings(archive_url=str(tmp_path)), Archive(str(tmp_path))
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        live = await add_turn(eyes, session, LONG_AGO_MS + 1, ended=False)
        await add_turn(eyes, OTHER, LONG_AGO_MS + 2)
        await keep(keeper, eyes)
        assert len(await in_log(eyes, session)) == 3 and await in_archive(archive, session) == []
        assert await in_log(eyes, OTHER) == [] and len(await in_archive(archive, OTHER)) == 2
        assert int(await eyes.queue.get(keys.archived_until("default"))) <= LONG_AGO_MS + 1
        await end_turn(eyes, live, LONG_AGO_MS + 3)
        await keep(keeper, eyes)
        assert await in_log(eyes, session) == [] and len(await in_archive(archive, session)) == 4
        assert int(await eyes.queue.get(keys.archived_until("default"))) > LONG_AGO_MS + 1


@in_loop
async def test_a_longer_rest_does_not_take_the_mark_back(real: Backend, archive_url: str) -> None:
    """What lies before the mark was looked at, and need not be again."""
    short = real.settings(archive_url=archive_url, archive_after_s=0)
    long = real.settings(archive_url=archive_url, archive_after_s=86_400)
    async with keeping(short) as (eyes, keeper), open_keeper(long) as patient:
        await add_turn(eyes, OTHER)
        await keep(keeper, eyes)
        mark = int(await eyes.queue.get(keys.archived_until("default")))
        await keep(patient, eyes)
        assert int(await eyes.queue.get(keys.archived_until("default"))) == mark
        await keep(keeper, eyes)
        assert int(await eyes.queue.get(keys.archived_until("default"))) > mark


@in_loop
async def test_what_comes_after_is_archived_behind_what_was(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url, archive_after_s=0), Archive(archive_url)
    written: list[str] = []
    async with keeping(settings) as (eyes, keeper):
        for _ in range(4):
            await add_turn(eyes, session)
            await add_turn(eyes, session)
            written += await in_log(eyes, session)
            assert await read(eyes, archive, session) == written
            await keep(keeper, eyes)
            assert await in_log(eyes, session) == []
            assert await in_archive(archive, session) == written == await read(eyes, archive, session)


@in_loop
async def test_kinds_of_later_versions_are_kept(real: Backend, session: SessionRef, tmp_path: Path) -> None:
    settings, archive = real.settings(archive_url=str(tmp_path)), Archive(str(tmp_path))
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        await eyes.log.xadd(
            keys.log(session), {b"turn.rated": b'{"turn":"t","stars":5}'}, id=f"{LONG_AGO_MS + 1}-0"
        )
        await keep(keeper, eyes)
        assert (await archive.read(session))[-1].endswith(
            b'"kind":"turn.rated","event":{"turn":"t","stars":5}}\n'
        )
        assert len(await read(eyes, archive, session)) == 2


@in_loop
async def test_something_appended_while_the_session_is_moved_keeps_its_log(
    real: Backend, session: SessionRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, archive = real.settings(archive_url=str(tmp_path)), Archive(str(tmp_path))
    async with keeping(settings) as (eyes, keeper):
        turn = await add_turn(eyes, session, LONG_AGO_MS)
        write = Archive.write

        async def write_late(self: Archive, of: SessionRef, lines: list[bytes]) -> None:
            await write(self, of, lines)
            await put(eyes, session, TurnInterrupted(turn.turn, "client", 3), LONG_AGO_MS + 1)

        with monkeypatch.context() as patched:
            patched.setattr(Archive, "write", write_late)
            await keep(keeper, eyes)
        logged = await in_log(eyes, session)
        assert len(logged) == 3
        assert await read(eyes, archive, session) == logged  # each once, though two are in both places
        await keep(keeper, eyes)
        assert await in_archive(archive, session) == logged and await in_log(eyes, session) == []


@in_loop
async def test_what_a_crash_left_in_both_places_goes_out_of_the_log(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url, archive_after_s=0), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session)
        await archive.write(session, await read_lines(eyes, None, session))  # and then it died
        await add_turn(eyes, session, ended=False)
        written = await in_log(eyes, session)
        await keep(keeper, eyes)
        assert await in_archive(archive, session) == written[:2]
        assert await in_log(eyes, session) == written[2:]


@in_loop
async def test_where_the_archive_is_away_nothing_is_lost(
    real: Backend, session: SessionRef, tmp_path: Path
) -> None:
    settings, archive = real.settings(archive_url=str(tmp_path / "calls")), Archive(str(tmp_path / "calls"))
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        (tmp_path / "calls").touch()  # in the way of the directory
        await keep(keeper, eyes)
        assert len(await in_log(eyes, session)) == 2
        for number in range(40):
            await add_turn(eyes, SessionRef("default", f"more{number}"), LONG_AGO_MS + 1)
        await eyes.queue.delete(keys.KEEPING)
        with pytest.raises(ArchiveUnavailable):  # so many in a row: it looks no further
            await keeper.run_once()
        (tmp_path / "calls").unlink()
        await keep(keeper, eyes)
        assert await in_log(eyes, session) == [] and len(await in_archive(archive, session)) == 2
        assert int(await eyes.queue.get(keys.archived_until("default"))) > LONG_AGO_MS + 1


@in_loop
async def test_one_broken_session_does_not_keep_the_others_from_being_moved(
    real: Backend, session: SessionRef, tmp_path: Path
) -> None:
    settings, archive = real.settings(archive_url=str(tmp_path)), Archive(str(tmp_path))
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        await add_turn(eyes, OTHER, LONG_AGO_MS + 1)
        (tmp_path / "default").mkdir()
        _spoil(archive, session)
        await keep(keeper, eyes)
        assert len(await in_log(eyes, session)) == 2 and await in_log(eyes, OTHER) == []


def _spoil(archive: Archive, session: SessionRef) -> None:
    directory = Path(archive.path(session))
    directory.mkdir(parents=True)
    (directory / "1-0.jsonl.gz").write_bytes(b"no gzip")


@in_loop
async def test_more_sessions_of_one_moment_than_a_page_holds_are_all_moved(
    valkey: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.upkeep.retention._PAGE", 3)
    settings = valkey.settings(archive_url=f"memory://{secrets.token_hex(4)}")
    async with keeping(settings) as (eyes, keeper):
        sessions = [SessionRef("default", f"s{number}") for number in range(20)]
        for number, each in enumerate(sessions):
            await add_turn(eyes, each, LONG_AGO_MS + number // 8)
        await keep(keeper, eyes)
        assert [await in_log(eyes, each) for each in sessions] == [[]] * 20


# Deletion.


@pytest.mark.parametrize("begun_anew", [False, True])
@in_loop
async def test_what_is_deleted_while_it_is_moved_does_not_come_back(
    real: Backend, session: SessionRef, archive_url: str, monkeypatch: pytest.MonkeyPatch, begun_anew: bool
) -> None:
    settings, archive = real.settings(archive_url=archive_url, archive_after_s=60), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, eyes.queue_clock.now_ms() - 100_000)
        write, written = Archive.write, list[str]()

        async def delete_first(self: Archive, of: SessionRef, lines: list[bytes]) -> None:
            assert await Sessions(eyes, archive).delete(session)
            if begun_anew:
                now_ms = eyes.queue_clock.now_ms()
                await until(lambda: eyes.queue_clock.now_ms() > now_ms)
                await add_turn(eyes, session)
            await write(self, of, lines)
            written.append(of.session)

        monkeypatch.setattr(Archive, "write", delete_first)
        await keep(keeper, eyes)
        assert written and await in_archive(archive, session) == []
        assert len(await in_log(eyes, session)) == (2 if begun_anew else 0)
        assert await read(eyes, archive, session) == await in_log(eyes, session)


@in_loop
async def test_a_new_session_of_a_deleted_ones_name_is_archived_without_the_old(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url, archive_after_s=0), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session, LONG_AGO_MS)
        await keep(keeper, eyes)
        await eyes.queue.zadd(keys.deleted("default"), {session.quoted: LONG_AGO_MS + 1})  # and then it died
        await add_turn(eyes, session)
        new = await in_log(eyes, session)
        await keep(keeper, eyes)
        assert await in_archive(archive, session) == new == await read(eyes, archive, session)


# One at a time.


@in_loop
async def test_one_worker_keeps_at_a_time(real: Backend, session: SessionRef, tmp_path: Path) -> None:
    settings = real.settings(archive_url=str(tmp_path), keep_s=60)
    async with keeping(settings) as (eyes, keeper), open_keeper(settings, "w:2") as other:
        await add_turn(eyes, session, LONG_AGO_MS)
        assert await eyes.queue.set(keys.KEEPING, "w:3", px=600_000)
        assert not await keeper.run_once()
        assert len(await in_log(eyes, session)) == 2
        await keep(keeper, eyes)
        assert 0 < await eyes.queue.pttl(keys.KEEPING) <= 30_000  # it was done a moment ago
        assert not await other.run_once()


@in_loop
async def test_a_long_round_holds_on_and_a_dead_one_lets_go(
    real: Backend, session: SessionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.upkeep.retention._LEASE_MS", 150)
    settings, held = real.settings(archive_url=f"memory://{secrets.token_hex(4)}"), asyncio.Event()
    async with keeping(settings) as (eyes, keeper), open_keeper(settings, "w:2") as other:
        await add_turn(eyes, session, LONG_AGO_MS)
        renewed: list[Any] = []
        pexpire = keeper._stores.queue.pexpire

        async def note(*args: Any) -> Any:
            renewed.append(args)
            return await pexpire(*args)

        async def wait_for_ever(*_: object) -> None:
            held.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(keeper._stores.queue, "pexpire", note)
        monkeypatch.setattr(Archive, "write", wait_for_ever)
        task = asyncio.create_task(keeper.run_once())
        await held.wait()
        await until(lambda: len(renewed) >= 6)  # longer than its lease would last
        assert not await other.run_once()
        task.cancel()
        monkeypatch.undo()
        await until(other.run_once)
        assert await in_log(eyes, session) == []


@in_loop
async def test_two_at_once_do_no_harm(real: Backend, archive_url: str) -> None:
    settings, archive = real.settings(archive_url=archive_url, archive_after_s=0), Archive(archive_url)
    sessions = [SessionRef("default", f"s{number}") for number in range(12)]
    written: dict[SessionRef, list[str]] = {each: [] for each in sessions}
    async with keeping(settings) as (eyes, first), open_keeper(settings, "w:2") as second:
        for _ in range(6):
            for each in sessions:
                before = set(await in_log(eyes, each))
                await add_turn(eyes, each)
                written[each] += sorted(set(await in_log(eyes, each)) - before)
            await asyncio.gather(first._keep("default"), second._keep("default"))
        await keep(first, eyes)
        for each in sessions:
            assert await in_archive(archive, each) == written[each] and await in_log(eyes, each) == []


@in_loop
async def test_who_reads_while_sessions_are_moved_finds_all_of_them(
    real: Backend, session: SessionRef, archive_url: str
) -> None:
    settings = real.settings(archive_url=archive_url, archive_after_s=0, retention_events=5)
    archive = Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        await add_turn(eyes, session)
        done = asyncio.Event()

        async def move_on() -> None:
            for _ in range(25):
                for _ in range(4):
                    await add_turn(eyes, session)
                await keep(keeper, eyes)
            done.set()

        moving, seen = asyncio.create_task(move_on()), list[str]()
        while not done.is_set():
            found = await read(eyes, archive, session)
            assert found[: len(seen)] == seen
            seen = found
        await moving
        assert len(await read(eyes, archive, session)) == 202
