"""The session log: what is appended is read back, in order, whatever else stands there."""

import itertools

import orjson
import pytest

from common.events import Delta, Event, LaneStarted, TurnInterrupted, TurnStarted, decode
from common.log.stream import append, append_now
from common.names import SessionRef, TurnRef
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.policy import Policy
from tests.support.store_servers import Backend
from tests.support.stored_turns import turn_entries
from tests.support.waiting import in_loop

PAGE = 256


def started(turn: str) -> TurnStarted:
    return TurnStarted(
        turn, "fast-reply", {"messages": []}, Policy().model_dump(mode="json"), {"full": {}}, "on", 1, 1
    )


def word(turn: str, number: int) -> Delta:
    return Delta(turn, "full", 1, number, "x", number)


async def begin(stores: Stores, session: SessionRef, turn: str) -> TurnRef:
    pipe = stores.log.pipeline(transaction=True)
    append(pipe, session, started(turn), create=True)
    await pipe.execute()
    return TurnRef(session, turn)


async def read(stores: Stores, turn: TurnRef) -> list[Event]:
    return [entry.event for entry in await turn_entries(stores, turn)]


@in_loop
async def test_events_come_back_as_they_were_in_order(backend: Backend, session: SessionRef) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        said: list[Event] = [
            LaneStarted("turn0001", "full", 1, "w:1"),
            Delta("turn0001", "full", 1, 0, 'né\u2028\r\n"\\ 你好 \U0001f600\x00', 5),
            TurnInterrupted("turn0001", "client", -1),
        ]
        for event in said:
            await append_now(stores, session, event)
        assert await read(stores, turn) == [started("turn0001"), *said]


@in_loop
async def test_events_appended_as_one_stand_side_by_side(backend: Backend, session: SessionRef) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        said = [word("turn0001", number) for number in range(5)]
        await append_now(stores, session, *said)
        entries = await turn_entries(stores, turn)
        assert [entry.event for entry in entries[1:]] == said
        places = [tuple(map(int, entry.id.split("-"))) for entry in entries]
        assert places == sorted(set(places))
        assert all(entry.ms == place[0] for entry, place in zip(entries, places, strict=True))


@pytest.mark.parametrize("more", [PAGE - 2, PAGE - 1, PAGE, 2 * PAGE - 1, 2 * PAGE + 40])
@in_loop
async def test_a_turn_longer_than_a_page_is_read_whole(
    backend: Backend, session: SessionRef, more: int
) -> None:
    async with open_stores(backend.settings()) as stores:
        await begin(stores, session, "turn0000")
        await append_now(stores, session, word("turn0000", 0))
        turn = await begin(stores, session, "turn0001")
        said = [word("turn0001", number) for number in range(more)]
        await append_now(stores, session, *said)
        assert await read(stores, turn) == [started("turn0001"), *said]


@in_loop
async def test_later_turns_are_read_with_it_and_earlier_ones_are_not(
    backend: Backend, session: SessionRef
) -> None:
    async with open_stores(backend.settings()) as stores:
        turns = []
        for name in ("turn0001", "turn0002", "turn0003"):
            turns.append(await begin(stores, session, name))
            await append_now(stores, session, word(name, 0))
        second = [started("turn0002"), word("turn0002", 0), started("turn0003"), word("turn0003", 0)]
        assert await read(stores, turns[1]) == second
        assert await read(stores, turns[2]) == second[2:]


@pytest.mark.parametrize("others", [0, 3, PAGE - 1, PAGE, PAGE + 1])
@in_loop
async def test_a_turn_that_is_not_there_is_empty(backend: Backend, session: SessionRef, others: int) -> None:
    async with open_stores(backend.settings()) as stores:
        if others:
            await begin(stores, session, "turn0001")
            await append_now(stores, session, *(word("turn0001", n) for n in range(others - 1)))
        assert await turn_entries(stores, TurnRef(session, "turn9999")) == []


@in_loop
async def test_sessions_do_not_mix(backend: Backend, session: SessionRef) -> None:
    async with open_stores(backend.settings()) as stores:
        other = SessionRef("default", session.session + ":log")
        turns = [await begin(stores, ref, "turn0001") for ref in (session, other)]
        await append_now(stores, other, word("turn0001", 0))
        assert await read(stores, turns[0]) == [started("turn0001")]
        assert len(await read(stores, turns[1])) == 2


@in_loop
async def test_kinds_and_fields_of_a_later_version_are_passed_over(
    backend: Backend, session: SessionRef
) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        body = {"turn": "turn0001", "lane": "full", "attempt": 1, "at": 0, "text": "a", "ms": 1}
        key = keys.log(session)
        await stores.log.xadd(key, {"speech": b"\xff not even JSON"})
        await stores.log.xadd(key, {"delta": orjson.dumps({**body, "voice": "low", "pitch": 3})})
        assert await read(stores, turn) == [
            started("turn0001"),
            Delta("turn0001", "full", 1, 0, "a", 1),
        ]


@in_loop
async def test_a_page_of_nothing_known_does_not_end_the_reading(
    backend: Backend, session: SessionRef
) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        pipe = stores.log.pipeline(transaction=True)
        for _ in range(PAGE + 3):
            pipe.xadd(keys.log(session), {"speech": b"{}"})
        await pipe.execute()
        assert await read(stores, turn) == [started("turn0001")]


@in_loop
async def test_a_deleted_session_stays_deleted(backend: Backend, session: SessionRef) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        await stores.log.delete(keys.log(session))
        await append_now(stores, session, word("turn0001", 0))
        await append_now(stores, session, word("turn0001", 1), word("turn0001", 2))
        assert not await stores.log.exists(keys.log(session))
        assert await turn_entries(stores, turn) == []


@pytest.mark.parametrize("body", [b'{"turn": "turn0001"', b"", b"\xff", b"[]", b"7", b'{"turn": "turn0001"}'])
@in_loop
async def test_a_broken_entry_is_passed_over(backend: Backend, session: SessionRef, body: bytes) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        for kind in ("delta", "turn.started", "lane.finished"):
            await stores.log.xadd(keys.log(session), {kind: body})
            with pytest.raises(ValueError):
                decode(b"1-1", {kind.encode(): body})
        await append_now(stores, session, word("turn0001", 0))
        assert await read(stores, turn) == [started("turn0001"), word("turn0001", 0)]


@in_loop
async def test_what_is_written_between_two_pages_is_neither_lost_nor_doubled(
    backend: Backend, session: SessionRef
) -> None:
    async with open_stores(backend.settings()) as stores:
        turn = await begin(stores, session, "turn0001")
        said = [word("turn0001", number) for number in range(PAGE + 20)]
        await append_now(stores, session, *said)
        late = itertools.count(len(said))
        page = stores.log.xrevrange

        async def slow_page(*args: object, **kwargs: object) -> object:
            reply = await page(*args, **kwargs)  # type: ignore[arg-type]
            await append_now(stores, session, word("turn0001", next(late)))
            return reply

        stores.log.xrevrange = slow_page  # type: ignore[method-assign]
        assert await read(stores, turn) == [started("turn0001"), *said]
