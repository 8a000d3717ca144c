"""Logs are read in pages of so many bytes, whatever stands in a session."""

from typing import Any

import pytest

from common.events import Delta
from common.log.stream import last_turn, read_after
from common.names import SessionRef, TurnRef
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.recorded_calls import turn
from tests.support.served_api import write_session
from tests.support.store_servers import Backend
from tests.support.stored_turns import turn_entries
from tests.support.waiting import in_loop
from tests.support.wiring import ask, open_past

SESSION = SessionRef("acme", "call")
FIRST = turn()[0]
NAME: str = FIRST[1].turn
PAGE_BYTES = 262_144

sizes = pytest.mark.parametrize("chars", [10, 3_000, 200_000])


async def write(stores: Stores, chars: int, count: int) -> list[str]:
    """A session of one turn with so many deltas of so many characters; a tenth where they are huge."""
    count = count if chars < 100_000 else count // 10
    deltas: list[Any] = [(n + 1, Delta(NAME, "full", 1, n * chars, "x" * chars, 0)) for n in range(count)]
    return await write_session(stores, SESSION, [FIRST, *deltas])


def watch(monkeypatch: pytest.MonkeyPatch, stores: Stores, command: str) -> list[int]:
    """How many entries each page had that was read with this command."""
    pages: list[int] = []
    really = getattr(stores.log, command)

    async def read(*args: Any, **how: Any) -> Any:
        raw = await really(*args, **how)
        pages.append(len(raw))
        return raw

    monkeypatch.setattr(stores.log, command, read)
    return pages


def assert_bounded(pages: list[int], chars: int) -> None:
    """The first page is short, as nothing is known of what stands there; none is larger than it may be."""
    assert pages[0] <= 32 and max(pages[1:]) * chars <= max(2 * PAGE_BYTES, chars)
    if chars == 10:
        assert max(pages) == 256 and len(pages) < 8, "small entries are read many at once"


@in_loop
@sizes
async def test_a_page_is_about_so_many_bytes_and_nothing_is_missed(valkey: Backend, chars: int) -> None:
    async with open_stores(valkey.settings()) as stores:
        ids = await write(stores, chars, 400)
        pages = [page async for page in Sessions(stores, None).entries(SESSION)]
        assert [entry.id for page in pages for entry in page] == ids
        read = [sum(len(getattr(entry.event, "text", "")) for entry in page) for page in pages]
        assert max(read[1:]) <= max(2 * PAGE_BYTES, chars)
        assert max(map(len, pages)) <= 32
        if chars == 10:
            assert len(pages) < 20, "small entries are read many at once"


@in_loop
@sizes
async def test_a_turn_is_read_back_by_such_pages_too(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    async with open_stores(valkey.settings()) as stores:
        ids = await write(stores, chars, 600)
        pages = watch(monkeypatch, stores, "xrevrange")
        assert [entry.id for entry in await turn_entries(stores, TurnRef(SESSION, NAME))] == ids
        assert_bounded(pages, chars)
        assert await turn_entries(stores, TurnRef(SESSION, "another0")) == []


@in_loop
@sizes
async def test_the_latest_turn_is_looked_for_by_such_pages(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    async with open_stores(valkey.settings()) as stores:
        await write(stores, chars, 600)
        pages = watch(monkeypatch, stores, "xrevrange")
        assert await last_turn(stores, SESSION) == NAME
        assert_bounded(pages, chars)


@in_loop
@sizes
async def test_what_came_after_an_entry_is_read_by_such_pages(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    async with open_stores(valkey.settings()) as stores:
        ids = await write(stores, chars, 600)
        pages = watch(monkeypatch, stores, "xrange")
        assert [entry.id for entry in await read_after(stores, SESSION, ids[0])] == ids[1:]
        assert_bounded(pages, chars)


@in_loop
@sizes
async def test_what_a_session_remembers_is_read_by_such_pages(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    settings = valkey.settings()
    async with open_stores(settings) as stores:
        ids = await write(stores, chars, 600)
        past = open_past(settings, stores)
        _, tail = await past._look(SESSION, ask("call"), remembers=True)
        pages = watch(monkeypatch, stores, "xrevrange")
        log = await past._read_back(SESSION, tail)
        assert log and [entry.id for entry in log.entries] == ids
        assert_bounded([len(tail), *pages], chars)
        await stores.log.delete(keys.log(SESSION))
        _, tail = await past._look(SESSION, ask("call"), remembers=True)
        assert await past._read_back(SESSION, tail) is None
