"""Who reads recordings: bounded by tenant, and of a tenant few pages at once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from api.limits.readers import Readers
from common.errors import RateLimited
from tests.support.virtual_time import run


async def batches(go: asyncio.Event) -> AsyncGenerator[bytes, None]:
    yield b"first"
    await go.wait()
    yield b"last"


def test_so_many_of_a_tenant_read_at_once_and_others_are_not_asked() -> None:
    async def main() -> None:
        readers, go = Readers(2), asyncio.Event()
        streams = [readers.read("acme", batches(go)) for _ in range(3)]
        assert [await anext(each) for each in streams[:2]] == [b"first"] * 2
        with pytest.raises(RateLimited) as refused:
            await anext(streams[2])
        assert (refused.value.status, refused.value.code) == (429, "too_many_readers")
        with readers.reading("zeta"):
            pass
        await streams[0].aclose()  # its client left
        with readers.reading("acme"), pytest.raises(RateLimited), readers.reading("acme"):
            pass
        go.set()
        assert [each async for each in streams[1]] == [b"last"]
        assert not readers._open

    run(main())


def test_a_tenants_pages_wait_for_each_other_alone() -> None:
    async def main() -> None:
        readers, held, there = Readers(9), asyncio.Event(), list[str]()

        async def page(tenant: str) -> None:
            async with readers.page(tenant):
                there.append(tenant)
                await held.wait()

        tasks = [asyncio.create_task(page(tenant)) for tenant in ("acme", "acme", "acme", "acme", "zeta")]
        await asyncio.sleep(0.1)
        assert there == ["acme", "acme", "zeta"]
        tasks[2].cancel()
        held.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert there == ["acme", "acme", "zeta", "acme"] and not readers._pages

    run(main())


def test_while_turns_are_live_all_readers_share_a_part_of_the_loop() -> None:
    async def main() -> None:
        live = [True]
        readers, loop = Readers(9, busy=lambda: bool(live)), asyncio.get_running_loop()

        async def read() -> None:
            for _ in range(100):
                await readers.pace(32)

        begun_s = loop.time()
        await asyncio.gather(read(), read())
        assert 1.0 < loop.time() - begun_s < 3.0  # 6,400 events
        live.clear()
        begun_s = loop.time()
        await read()
        assert loop.time() - begun_s < 0.01

    run(main())
