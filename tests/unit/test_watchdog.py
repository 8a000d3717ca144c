"""The watchdog bites when what was expected doesn't come, and not before."""

import asyncio

import pytest

from common.watchdog import Watchdog
from tests.support.virtual_time import run


async def listen(*pauses: float, patience_s: float = 2.0, last_s: float | None = None) -> float:
    """A stream whose pieces come after these pauses; when it ended."""
    async with Watchdog() as watchdog:
        for pause in pauses:
            watchdog.expect_within(patience_s)
            await asyncio.sleep(pause)
        if last_s is not None:
            watchdog.expect_within(last_s)
            await asyncio.sleep(100)
    return asyncio.get_running_loop().time()


def test_a_stream_that_keeps_talking_is_left_alone() -> None:
    assert run(listen(1.9, 1.9, 1.9)) == pytest.approx(5.7)


@pytest.mark.parametrize("pauses", [(2.1,), (1.9, 1.9, 2.1)])
def test_silence_is_bitten(pauses: tuple[float, ...]) -> None:
    with pytest.raises(TimeoutError):
        run(listen(*pauses))


def test_it_bites_in_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await listen(1.5, 50.0)
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(3.5)


def test_patience_can_become_shorter() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await listen(1.0, patience_s=30.0, last_s=0.5)
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1.5)


def test_at_rest_it_never_bites() -> None:
    async def main() -> None:
        async with Watchdog() as watchdog:
            watchdog.expect_within(1.0)
            watchdog.rest()
            await asyncio.sleep(1000)

    run(main())


def test_a_cancellation_stays_one() -> None:
    async def main() -> None:
        task = asyncio.create_task(listen(1.0, 1.0))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
