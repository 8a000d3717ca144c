"""Wrong keys: the first few are answered at once, the others wait longer and longer, in bounded memory."""

import asyncio
from collections.abc import Awaitable

import pytest

from api.limits.patience import RefusalDelay
from common.errors import RateLimited
from tests.support.virtual_time import run


async def waited_s(what: Awaitable[None]) -> float:
    clock = asyncio.get_running_loop().time
    begin_s = clock()
    await what
    return clock() - begin_s


def test_each_refusal_waits_longer_up_to_a_most() -> None:
    async def main() -> None:
        patience = RefusalDelay(5.0)
        waits = [await waited_s(patience.refuse("203.0.113.9")) for _ in range(14)]
        assert waits == pytest.approx([0] * 5 + [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])
        assert await waited_s(patience.refuse("203.0.113.10")) == 0, "another address starts anew"
        assert await waited_s(patience.refuse("::ffff:203.0.113.9")) == 5, "the same one, as IPv6 has it"

    run(main())


def test_an_ipv6_network_is_one_and_nobody_may_switch_it_off_by_a_huge_count() -> None:
    async def main() -> None:
        patience = RefusalDelay(5.0)
        for number in range(8):
            await patience.refuse(f"2001:db8::{number:x}")
        assert await waited_s(patience.refuse("2001:db8:0:0:ffff::1")) > 0.5
        assert await waited_s(patience.refuse("2001:db8:0:1::1")) == 0
        assert patience.delay_s(10**9) == 5.0

    run(main())


def test_at_admin_everybody_of_an_address_waits_that_has_guessed() -> None:
    async def main() -> None:
        patience = RefusalDelay(5.0)
        for _ in range(10):
            await patience.refuse("203.0.113.9")
        assert await waited_s(patience.before_operator("203.0.113.9")) == 0
        await patience.refuse("203.0.113.9")
        assert await waited_s(patience.before_operator("203.0.113.9")) > 1
        assert await waited_s(patience.before_operator("203.0.113.8")) == 0

    run(main())


def test_only_so_many_wait_at_once() -> None:
    async def main() -> None:
        patience = RefusalDelay(5.0)
        for _ in range(6):
            await patience.refuse("203.0.113.9")
        waiting = [asyncio.create_task(patience.refuse("203.0.113.9")) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as refused:
            await patience.refuse("203.0.113.9")
        assert (refused.value.code, refused.value.retry_after_s) == ("too_many_refusals", 5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await waited_s(patience.refuse("203.0.113.9")) == 5, "who left makes room"

    run(main())


def test_memory_is_bounded_whoever_comes() -> None:
    async def main() -> None:
        patience = RefusalDelay(5.0)
        for number in range(30_000):
            await patience.refuse(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert len(patience._refused) == 10_000
        await patience.refuse("no address")

    run(main())


def test_no_delay_is_none() -> None:
    async def main() -> None:
        patience = RefusalDelay(0.0)
        assert [await waited_s(patience.refuse("203.0.113.9")) for _ in range(50)] == [0] * 50

    run(main())
