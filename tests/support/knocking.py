"""Who asks at the doors, and what is said to them."""

from typing import Any

import httpx

from tests.support.stored_tenants import bearer
from tests.support.waiting import until

QUICK = {"tenants_refresh_s": 0.02}
SIGNED = {**QUICK, "secret_key": "a key of the deployment"}
MODELS = "/v1/models"


async def code(client: httpx.AsyncClient, key: str = "", path: str = MODELS, **more: Any) -> str:
    """The code of what a request with this key is refused with; empty if it isn't."""
    found = await client.get(path, headers=bearer(key), **more)
    return "" if found.is_success else f"{found.status_code} {found.json()['error']['code']}"


async def seen(client: httpx.AsyncClient, key: str) -> None:
    """Wait until the gateway knows of this key."""

    async def is_known() -> bool:
        return await code(client, key) == "" and await code(client) != ""

    await until(is_known)


async def refuses(client: httpx.AsyncClient, key: str) -> bool:
    return await code(client, key) == "401 invalid_api_key"


async def make(client: httpx.AsyncClient, key: str, **asked: Any) -> dict[str, Any]:
    made = await client.post("/v1/tokens", headers=bearer(key), json=asked)
    assert made.status_code == 200, made.text
    return dict(made.json())
