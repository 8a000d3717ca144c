"""A session is deleted: nothing of it comes back, whatever dies on the way."""

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest

from common.events import Delta, encode
from common.sessions.archive import Archive
from common.sessions.deletion import _drop_log, delete_session
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.recorded_calls import ODD, PATH, names, turn
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import Events, serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_turns import lines_of
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_workers


async def remains(stores: Stores) -> list[str]:
    """Keys that name the session, wherever they are. Marks that stop a job expire by themselves."""
    found = [key.decode() for redis in (stores.log, stores.queue) for key in await redis.keys()]
    return [key for key in found if ODD.quoted in key and not key.startswith("fr:cancelled:")]


@in_loop
async def test_a_live_session_is_deleted_and_nothing_comes_back(real: Backend, tmp_path: Path) -> None:
    settings = real.settings(archive_url=str(tmp_path), heartbeat_s=0.2)
    waiting = asyncio.Event()
    model = Scripted(draft=[answer("Let me see.")], full=[(waiting,)])
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "session_id": ODD.session}
    async with open_stores(settings) as stores, open_workers(settings, model), serving(settings) as client:
        headers = {"Accept": "text/event-stream"}
        async with (
            client.stream("POST", "/v1/chat/completions", json=body) as talking,
            client.stream("GET", f"{PATH}/events", headers=headers) as following,
        ):
            heard = Events(talking)
            await heard.next()
            assert (await client.get(PATH)).json()["state"] == "live"
            deleted = await client.delete(PATH)
            assert (deleted.status_code, deleted.content) == (204, b"")
            assert (await heard.rest())[-1].data == b"[DONE]"
            assert (await Events(following).rest())[0].name == "turn.started"
        await until(lambda: all(call.ended for call in model.calls))
        assert (await client.delete(PATH)).status_code == 404
        assert (await client.get(PATH)).status_code == 404
        assert await names(client) == []
        await until(lambda: _nobody_at_work(stores))
        assert await remains(stores) == []


async def _nobody_at_work(stores: Stores) -> bool:
    """Whether no turn is live, and no lane."""
    live = await stores.queue.zcard(keys.live_turns("default"))
    return not live and not await stores.queue.zcard(keys.LEASES)


class Dying(Exception):
    """This process was killed."""


@pytest.mark.parametrize(
    ("step", "hidden"),
    [
        ("common.sessions.deletion._stop_turns", False),
        ("common.sessions.deletion._now_ms", False),
        ("common.sessions.deletion._drop_log", True),
        ("common.sessions.archive.Archive.delete", True),
        ("common.sessions.deletion.keys.wake", True),
    ],
)
@in_loop
async def test_a_deletion_that_died_is_finished_by_the_next(
    real: Backend, tmp_path: Path, step: str, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(str(tmp_path))
    async with open_stores(real.settings()) as stores:
        sessions = Sessions(stores, archive)
        await write_session(stores, ODD, turn())
        await archive.write(ODD, await lines_of(stores, ODD))

        def die(*_: Any) -> NoReturn:
            raise Dying

        with monkeypatch.context() as patch, pytest.raises(Dying):
            patch.setattr(step, die)
            await delete_session(stores, archive, ODD)
        assert (await sessions.find(ODD) is None) == hidden
        assert bool([page async for page in sessions.entries(ODD)]) != hidden
        assert await delete_session(stores, archive, ODD) != hidden
        assert not await stores.log.exists(keys.log(ODD))
        assert not await archive.read(ODD)


@in_loop
async def test_a_new_session_of_the_name_begins_clean(real: Backend, tmp_path: Path) -> None:
    """Also where the old one's deletion died, and is finished only then."""
    archive = Archive(str(tmp_path))
    async with open_stores(real.settings()) as stores:
        await stores.sync_clocks()
        sessions = Sessions(stores, archive)
        await write_session(stores, ODD, turn("1"))
        await stores.queue.zrem(keys.sessions("default"), ODD.quoted)
        void_ms = stores.log_clock.now_ms()
        await stores.queue.zadd(keys.deleted("default"), {ODD.quoted: void_ms})
        zombie = Delta("aaaaaaaaaaaa", "full", 1, 0, "old words", 0)
        await stores.log.xadd(keys.log(ODD), encode(zombie), id=f"{void_ms + 1}-0")  # type: ignore[arg-type]
        new = await write_session(stores, ODD, turn("2"), start_ms=void_ms + 2)
        await _drop_log(stores, ODD, void_ms)
        assert [entry.id async for page in sessions.entries(ODD) for entry in page] == new
        assert await stores.log.xlen(keys.log(ODD)) == len(new)
        assert len(await sessions.turns(ODD)) == 1
