"""`fast-reply full-only`: the switch that silences all drafts of a tenant at once."""

import asyncio

from cli.show import printable
from common.names import DEFAULT_TENANT
from common.settings import Settings
from common.store import keys
from common.store.redis import StoreUnavailable, open_stores
from common.tenants.directory import Directory


def switch_full_only(settings: Settings, state: str, tenant: str = DEFAULT_TENANT) -> str:
    """Set or read the switch; return its state, or the reason why that is unknown."""
    try:
        return asyncio.run(_switch(settings, state, tenant))
    except StoreUnavailable as error:
        raise SystemExit(f"fast-reply: the store can't be reached: {error.reason}") from None


async def _switch(settings: Settings, state: str, tenant: str) -> str:
    key = keys.full_only(tenant)
    async with open_stores(settings) as stores:
        directory = Directory(settings, stores)
        await directory.refresh()
        if directory.tenant(tenant) is None:
            raise SystemExit(f"fast-reply: there is no tenant {printable(tenant)}")
        if state == "on":
            await stores.queue.set(key, b"1")
        elif state == "off":
            await stores.queue.delete(key)
        on = await stores.queue.exists(key)
    return "full only: no draft speaks" if on else "drafts speak as their profiles say"
