"""How fast a server may send: what is far above speech waits, what is far above any model is cut off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import virtual_time
from workers.providers.base import UpstreamError
from workers.providers.flow import MOST_BYTES, MOST_LINES, SLICE_BYTES, Flow, paced

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
FLOODS = {
    "tokens": EVENT * 100,
    "comments": b": hi\n\n" * 100,
    "blank lines": b"\n" * 1_000,
    "carriage returns": b"\r" * 1_000,
    "empty events": b"data:\n\n" * 100,
    "one line": b"x" * 10_000,
    "blanks": b" " * 10_000,
    "single bytes": b"\n",
}


async def endless(piece: bytes) -> AsyncIterator[bytes]:
    while True:
        yield piece


async def at_pace(piece: bytes, seconds: float, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(seconds)
        yield piece


async def read(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in paced(pieces, Flow())]


@pytest.mark.parametrize("piece", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_cut_off_whatever_it_is_of(piece: bytes) -> None:
    taken = bytearray()

    async def drink() -> None:
        async for part in paced(endless(piece), Flow()):
            taken.extend(part)

    with pytest.raises(UpstreamError) as caught:
        virtual_time.run(drink())
    assert (caught.value.code, caught.value.faulty) == ("upstream_garbled", True)
    assert len(taken) <= MOST_BYTES + SLICE_BYTES
    assert taken.count(b"\n") + taken.count(b"\r") <= MOST_LINES + SLICE_BYTES


@pytest.mark.parametrize(
    ("piece", "seconds", "count"),
    [
        (EVENT, 0.01, 20_000),  # a hundred tokens a second, for minutes
        (EVENT, 0.000_6, 20_000),  # and as fast as any model
        (b": hi\n\n", 1.0, 1_000),
        (EVENT * 5_900, 0.0, 1),  # a whole answer that a proxy held back
        (EVENT * 1_000, 1.0, 60),
    ],
)
def test_what_any_model_sends_is_read_whole(piece: bytes, seconds: float, count: int) -> None:
    parts = virtual_time.run(read(at_pace(piece, seconds, count)))
    assert sum(map(len, parts)) == len(piece) * count
    assert max(map(len, parts)) <= SLICE_BYTES


def test_an_answer_at_a_models_pace_waits_for_nothing() -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        await read(at_pace(EVENT, 0.01, 1_000))
        return loop.time()

    assert virtual_time.run(run()) == pytest.approx(10.0)


def test_floods_leave_the_loop_to_others() -> None:
    """Between two slices of them all the others have their turn, and nine tenths of the time."""

    class Clocked(virtual_time.VirtualLoop):
        pass

    reads = others = 0

    async def drink() -> None:
        nonlocal reads
        async for _ in paced(endless(EVENT * 50), Flow()):
            reads += 1

    async def other() -> None:
        nonlocal others
        while True:
            await asyncio.sleep(0.001)
            others += 1

    async def run() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(other())
        floods = [asyncio.create_task(drink()) for _ in range(20)]
        await asyncio.sleep(1.0)
        before, since = reads, loop.time()
        await asyncio.sleep(5.0)
        # Each at leisure, and one slice of all in ten times what it costs.
        assert (reads - before) * SLICE_BYTES <= 20 * 65_536 * (loop.time() - since) + 200_000 + gate_bytes(
            5.0
        )
        for each in (task, *floods):
            each.cancel()
        await asyncio.gather(task, *floods, return_exceptions=True)

    def gate_bytes(seconds: float) -> float:
        return seconds / 0.000_5 * SLICE_BYTES  # a slice's least cost is 50 µs

    with asyncio.Runner(loop_factory=Clocked) as runner:
        runner.run(run())
    assert others > 5_000


def test_the_loop_turns_between_slices() -> None:
    """Also where the network has all of it ready, and long before it is too much."""

    class Counting(virtual_time.VirtualLoop):
        turns = 0

        def _run_once(self) -> None:
            self.turns += 1
            super()._run_once()

    async def run() -> None:
        loop: Any = asyncio.get_running_loop()
        turn, in_a_row = loop.turns, 0
        async for part in paced(at_pace(EVENT * 2_000, 0.0, 1), Flow()):
            in_a_row = in_a_row + len(part) if loop.turns == turn else 0
            turn = loop.turns
            assert in_a_row <= 2 * SLICE_BYTES

    with asyncio.Runner(loop_factory=Counting) as runner:
        runner.run(run())
