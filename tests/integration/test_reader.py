"""The woken reader: every listener gets every entry once, in order."""

import asyncio

import pytest

from common.events import Entry
from common.names import SessionRef
from tests.support.log_listeners import FIRST, Heard, listen, nobody, reading, subscribers, write
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until


@in_loop
async def test_each_listener_gets_each_entry_once_in_order(backend: Backend, session: SessionRef) -> None:
    async with reading(backend) as (reader, stores):
        listeners = [await listen(reader, stores, session) for _ in range(3)]
        for number in range(40):
            await write(stores, session, range(number, number + 1))
        await until(lambda: all(len(heard.numbers) >= 40 for heard in listeners))
        assert all(heard.numbers == list(range(40)) for heard in listeners)
        assert len({entry.id for entry in listeners[0].entries}) == 40


@in_loop
async def test_two_sessions_are_read_side_by_side(backend: Backend, session: SessionRef) -> None:
    async with reading(backend) as (reader, stores):
        other = SessionRef("default", "another")
        heard, heard_other = [await listen(reader, stores, ref) for ref in (session, other)]
        for number in range(20):
            await write(stores, session, range(number, number + 1))
            await write(stores, other, range(100 + number, 101 + number))
        await until(lambda: len(heard.numbers) == len(heard_other.numbers) == 20)
        assert heard.numbers == list(range(20))
        assert heard_other.numbers == list(range(100, 120))


@in_loop
async def test_more_than_a_page_at_once_is_read_to_the_end(backend: Backend, session: SessionRef) -> None:
    async with reading(backend) as (reader, stores):
        await write(stores, session, range(1234), wake=False)
        heard = await listen(reader, stores, session)
        await until(lambda: len(heard.numbers) >= 1234)
        assert heard.numbers == list(range(1234))


@pytest.mark.parametrize("count", [499, 500, 501, 1000])
@in_loop
async def test_after_full_pages_the_next_wake_up_is_heard(
    valkey: Backend, session: SessionRef, count: int
) -> None:
    async with reading(valkey) as (reader, stores):
        heard = await listen(reader, stores, session)
        await write(stores, session, range(count))
        await until(lambda: len(heard.numbers) >= count)
        await write(stores, session, range(count, count + 1))
        await until(lambda: len(heard.numbers) > count)
        assert heard.numbers == list(range(count + 1))


@in_loop
async def test_reading_begins_after_the_given_entry(backend: Backend, session: SessionRef) -> None:
    async with reading(backend) as (reader, stores):
        last = await write(stores, session, range(5))
        heard = await listen(reader, stores, session, last)
        await write(stores, session, range(5, 8))
        await until(lambda: len(heard.numbers) >= 3)
        assert heard.numbers == [5, 6, 7]


@in_loop
async def test_nothing_is_read_before_it_is_said_from_where(backend: Backend, session: SessionRef) -> None:
    async with reading(backend) as (reader, stores):
        heard = Heard()
        reader.follow(session, heard)
        await until(lambda: subscribers(stores, session))
        last = await write(stores, session, range(3))
        other = await listen(reader, stores, SessionRef("default", "another"))
        await write(stores, SessionRef("default", "another"), range(1))
        await until(lambda: other.numbers)  # the first session's wake-up is long done with
        assert not heard.entries
        await write(stores, session, range(3, 5))
        reader.read_from(session, last)
        await until(lambda: len(heard.numbers) >= 2)
        assert heard.numbers == [3, 4]


@in_loop
async def test_a_late_listener_of_a_followed_session_misses_nothing_that_follows(
    backend: Backend, session: SessionRef
) -> None:
    async with reading(backend) as (reader, stores):
        first = await listen(reader, stores, session)
        await write(stores, session, range(10))
        await until(lambda: len(first.numbers) == 10)
        late = Heard()
        reader.follow(session, late)
        last = await write(stores, session, range(10, 12), wake=False)
        reader.read_from(session, last)  # is read from where it stands: 10 and 11 come too
        await write(stores, session, range(12, 15))
        await until(lambda: 14 in first.numbers)
        assert first.numbers == list(range(15))
        assert late.numbers == list(range(10, 15))


@in_loop
async def test_an_earlier_beginning_than_the_one_already_given_counts(
    backend: Backend, session: SessionRef
) -> None:
    """Two turns of a session start at once, and the replies to their writes come in the other order."""
    async with reading(backend) as (reader, stores):
        earlier = await write(stores, session, range(1), wake=False)
        later = await write(stores, session, range(1, 3), wake=False)
        one, two = Heard(), Heard()
        reader.follow(session, one)
        reader.follow(session, two)
        reader.read_from(session, later)
        reader.read_from(session, earlier)
        await write(stores, session, range(3, 4), wake=False)
        await until(lambda: 3 in one.numbers and 3 in two.numbers)
        assert list(dict.fromkeys(one.numbers)) == [1, 2, 3]


@in_loop
async def test_who_leaves_hears_no_more_and_the_last_one_ends_the_subscription(
    backend: Backend, session: SessionRef
) -> None:
    async with reading(backend) as (reader, stores):
        one, two = [await listen(reader, stores, session) for _ in range(2)]
        reader.leave(session, one)
        await write(stores, session, range(2))
        await until(lambda: len(two.numbers) == 2)
        assert one.numbers == []
        assert await subscribers(stores, session) == 1
        reader.leave(session, two)
        await until(lambda: nobody(stores, session))
        await write(stores, session, range(2, 4))
        back = await listen(reader, stores, session)
        await until(lambda: len(back.numbers) == 4)
        assert two.numbers == [0, 1]


@in_loop
async def test_nothing_is_kept_of_sessions_that_were_left(backend: Backend) -> None:
    async with reading(backend) as (reader, stores):
        for number in range(30):
            session = SessionRef("default", f"s{number}")
            heard = await listen(reader, stores, session)
            await write(stores, session, range(1))
            await until(lambda heard=heard: heard.numbers)
            reader.leave(session, heard)
        await until(lambda: nobody(stores, session))
        assert not reader._sessions
        assert not reader._woken


@in_loop
async def test_leaving_and_following_at_once_keeps_the_subscription(
    backend: Backend, session: SessionRef
) -> None:
    async with reading(backend) as (reader, stores):
        heard = await listen(reader, stores, session)
        for _ in range(20):
            reader.leave(session, heard)
            heard = Heard()
            reader.follow(session, heard)
            reader.read_from(session, FIRST)
            await asyncio.sleep(0)
        await write(stores, session, range(1))
        await until(lambda: heard.numbers)
        await until(lambda: subscribers(stores, session))
        await write(stores, session, range(1, 2))
        await until(lambda: len(heard.numbers) == 2)


@in_loop
async def test_a_listener_may_leave_while_it_is_called(backend: Backend, session: SessionRef) -> None:
    async with reading(backend) as (reader, stores):
        left: list[int] = []

        def leaving(entries: list[Entry]) -> None:
            left.append(len(entries))
            reader.leave(session, leaving)

        reader.follow(session, leaving)
        heard = await listen(reader, stores, session)
        await write(stores, session, range(2))
        await write(stores, session, range(2, 4))
        await until(lambda: len(heard.numbers) == 4)
        assert heard.numbers == [0, 1, 2, 3]
        assert len(left) == 1
