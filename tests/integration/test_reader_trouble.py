"""The woken reader when wake-ups, connections, servers and entries are not what they should be."""

import pytest

from common.events import Entry
from common.names import SessionRef
from common.store import keys
from common.store.redis import StoreUnavailable, open_stores
from tests.support.log_listeners import listen, reading, subscribers, write
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.tcp_proxy import log_behind_proxy
from tests.support.waiting import in_loop, until


@in_loop
async def test_a_lost_wake_up_is_made_good_by_reading_again(backend: Backend, session: SessionRef) -> None:
    async with reading(backend, reread_s=0.1) as (reader, stores):
        heard = await listen(reader, stores, session)
        for number in range(3):
            await write(stores, session, range(number, number + 1), wake=False)
            await until(lambda number=number: len(heard.numbers) > number)
        assert heard.numbers == [0, 1, 2]


@in_loop
async def test_a_killed_subscription_is_made_anew(real: Backend, session: SessionRef) -> None:
    async with reading(real) as (reader, stores):
        heard = await listen(reader, stores, session)
        for number in range(3):
            await until(lambda: subscribers(stores, session))
            assert await stores.queue.execute_command("CLIENT KILL TYPE pubsub") == 1
            # Said while nobody listened: the new subscription looks by itself.
            await write(stores, session, range(number, number + 1))
            await until(lambda number=number: len(heard.numbers) > number)
        assert heard.numbers == [0, 1, 2]


@in_loop
async def test_a_killed_server_is_waited_for(
    mortal: Backend, mortal_server: ValkeyServer, session: SessionRef
) -> None:
    async with reading(mortal) as (reader, stores), open_stores(mortal.settings()) as writer:
        heard = await listen(reader, stores, session)
        await write(writer, session, range(5))
        await until(lambda: len(heard.numbers) == 5)
        mortal_server.kill()
        with pytest.raises(StoreUnavailable):
            await write(writer, session, range(5, 6))
        mortal_server.start()
        await write(writer, session, range(5, 10), wake=False)
        await until(lambda: len(heard.numbers) >= 10)
        await until(lambda: subscribers(writer, session))
        await write(writer, session, range(10, 11))
        await until(lambda: len(heard.numbers) >= 11)
        assert heard.numbers == list(range(11))


@pytest.mark.parametrize(
    "body",
    [
        b'{"turn":',
        b"\xff",
        b"[]",
        b"7",
        b"null",
        b'"delta"',
        b'{"turn": "x"}',
        b'{"turn":["x"],"lane":"full","attempt":1,"at":0,"text":"a","ms":0}',
        b'{"turn":"x","lane":"full","attempt":"1","at":0,"text":"a","ms":0}',
        b'{"turn":"x","lane":"full","attempt":1,"at":null,"text":"a","ms":0}',
        b'{"turn":"x","lane":"full","attempt":1,"at":0,"text":{},"ms":0}',
    ],
)
@in_loop
async def test_an_unreadable_entry_of_one_session_does_not_stop_the_others(
    valkey: Backend, session: SessionRef, body: bytes
) -> None:
    async with reading(valkey) as (reader, stores):
        await listen(reader, stores, session)
        other = SessionRef("default", "another")
        heard = await listen(reader, stores, other)
        await stores.log.xadd(keys.log(session), {"delta": body})
        await stores.queue.publish(keys.wake(session), b"")
        for number in range(3):
            await write(stores, session, range(number, number + 1))
            await write(stores, other, range(number, number + 1))
        await until(lambda: len(heard.numbers) >= 3)
        assert heard.numbers == [0, 1, 2]


@in_loop
async def test_what_could_not_be_read_is_read_once_the_log_is_back(
    two_servers: Backend, session: SessionRef
) -> None:
    """The wake-up came while the log was away; there is no other."""
    async with (
        log_behind_proxy(two_servers) as (proxy, settings),
        reading(settings) as (reader, stores),
        open_stores(two_servers.settings()) as writer,
    ):
        heard = await listen(reader, stores, session)
        await write(writer, session, range(1))
        await until(lambda: heard.numbers)
        proxy.cut()
        await write(writer, session, range(1, 4))
        await until(lambda: proxy.refused)
        proxy.mend()
        await until(lambda: len(heard.numbers) >= 4)
        assert heard.numbers == [0, 1, 2, 3]


@in_loop
async def test_a_listener_that_breaks_silences_nobody_else(valkey: Backend, session: SessionRef) -> None:
    def broken(entries: list[Entry]) -> None:
        raise RuntimeError("a bug")

    async with reading(valkey) as (reader, stores):
        reader.follow(session, broken)
        heard = await listen(reader, stores, session)
        for number in range(3):
            await write(stores, session, range(number, number + 1))
            await until(lambda number=number: len(heard.numbers) > number)
        assert heard.numbers == [0, 1, 2]


@in_loop
async def test_what_is_no_log_does_not_stop_the_readers_of_others(
    valkey: Backend, session: SessionRef
) -> None:
    others = [SessionRef("default", f"another {number}") for number in range(8)]  # on both sides of it
    async with reading(valkey, reread_s=0.2) as (reader, stores):
        await listen(reader, stores, session)
        heard = [await listen(reader, stores, other) for other in others]
        await stores.log.set(keys.log(session), b"no log")
        for number in range(3):
            for each in (session, *others):
                reader._wake(keys.wake(each))  # all in one look, with the one that is none
            for other in others:
                await write(stores, other, range(number, number + 1))
            await until(lambda number=number: all(len(each.numbers) > number for each in heard))
        assert [each.numbers for each in heard] == [[0, 1, 2]] * len(others)
        broken = reader._sessions[keys.wake(session)]
        await until(lambda: broken.read_s > 0)
        await reader._read({keys.wake(session): broken})  # raising would keep all waiting


@in_loop
async def test_a_listener_that_raises_leaves_the_others_their_ears(
    valkey: Backend, session: SessionRef
) -> None:
    def raise_it(*_: object) -> None:
        raise RuntimeError("a bug")

    async with reading(valkey) as (reader, stores):
        other = SessionRef("default", "another")
        reader.follow(session, raise_it, raise_it)
        reader.read_from(session, "0-1")
        heard = await listen(reader, stores, other)
        await until(lambda: subscribers(stores, session))
        for number in range(3):
            await write(stores, session, range(number, number + 1))
            await stores.queue.publish(keys.wake(session), keys.DELETED)
            await write(stores, other, range(number, number + 1))
            await until(lambda number=number: len(heard.numbers) > number)
        assert heard.numbers == [0, 1, 2]
