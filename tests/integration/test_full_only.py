"""The switch that silences a tenant's drafts: for tenants that there are."""

import asyncio

import pytest

from cli.switch import switch_full_only
from common.store.redis import open_stores
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_tenant
from tests.support.waiting import in_loop


@in_loop
async def test_the_switch_of_nobody_is_not_turned(real: Backend) -> None:
    settings = real.settings()

    async def turn(state: str, tenant: str) -> str:
        return await asyncio.to_thread(switch_full_only, settings, state, tenant)

    async with open_stores(settings) as stores:
        await add_tenant(stores, "acme")
        for state in ("on", "off", "show"):
            with pytest.raises(SystemExit, match="there is no tenant acme2"):
                await turn(state, "acme2")
        for tenant in ("acme", "default"):
            assert await turn("show", tenant) == "drafts speak as their profiles say"
            assert await turn("on", tenant) == "full only: no draft speaks"
            assert await turn("off", tenant) == "drafts speak as their profiles say"
        assert not [key async for key in stores.queue.scan_iter("*acme2*")]
