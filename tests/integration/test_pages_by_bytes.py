"""Recordings are read in pages of so many bytes, whatever stands in a session."""

from typing import Any

import pytest
from recorded_calls import turn
from serving import write_session
from store_servers import Backend
from waiting import in_loop

from common.events import Delta
from common.log import read_turn
from common.refs import SessionRef, TurnRef
from common.sessions import Sessions
from common.stores import open_stores


@in_loop
@pytest.mark.parametrize("chars", [10, 3_000, 200_000])
async def test_a_page_is_about_so_many_bytes_and_nothing_is_missed(valkey: Backend, chars: int) -> None:
    session = SessionRef("acme", "call")
    first, *_ = turn()
    name, count = first[1].turn, 400 if chars < 100_000 else 30  # type: ignore[attr-defined]
    events: list[Any] = [
        first,
        *((n + 1, Delta(name, "full", 1, n * chars, "x" * chars, 0)) for n in range(count)),
    ]
    async with open_stores(valkey.settings()) as stores:
        ids = await write_session(stores, session, events)
        pages = [page async for page in Sessions(stores, None).entries(session)]
        assert [entry.id for page in pages for entry in page] == ids
        sizes = [sum(len(getattr(entry.event, "text", "")) for entry in page) for page in pages]
        assert max(sizes[1:]) <= max(2 * 262_144, chars)
        assert max(map(len, pages)) <= 32
        if chars == 10:
            assert len(pages) < 20, "small entries are read many at once"


@in_loop
@pytest.mark.parametrize("chars", [10, 3_000, 200_000])
async def test_a_turn_is_read_back_by_such_pages_too(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    session = SessionRef("acme", "call")
    first, *_ = turn()
    name, count = first[1].turn, 600 if chars < 100_000 else 40  # type: ignore[attr-defined]
    events: list[Any] = [
        first,
        *((n + 1, Delta(name, "full", 1, n * chars, "x" * chars, 0)) for n in range(count)),
    ]
    async with open_stores(valkey.settings()) as stores:
        ids = await write_session(stores, session, events)
        pages: list[int] = []
        really = stores.log.xrevrange

        async def read(*args: Any, **how: Any) -> Any:
            raw = await really(*args, **how)
            pages.append(len(raw))
            return raw

        monkeypatch.setattr(stores.log, "xrevrange", read)
        assert [entry.id for entry in await read_turn(stores, TurnRef(session, name))] == ids
        assert pages[0] == 32 and max(pages[1:]) * chars <= max(2 * 262_144, chars)
        if chars == 10:
            assert max(pages) == 256 and len(pages) < 8
        assert await read_turn(stores, TurnRef(session, "another0")) == []
