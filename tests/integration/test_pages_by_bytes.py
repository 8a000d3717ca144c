"""Recordings are read in pages of so many bytes, whatever stands in a session."""

from typing import Any

import pytest
from recorded_calls import turn
from serving import write_session
from store_servers import Backend
from waiting import in_loop

from common.events import Delta
from common.keys import SessionRef
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
        assert max(map(len, pages)) <= 250
        if chars == 10:
            assert len(pages) < 10, "small entries are read many at once"
