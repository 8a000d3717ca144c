"""Who is let in: keys, the operator; and no route that doesn't say whom it serves."""

from datetime import UTC, datetime, timedelta

import openai
import pytest

from api.main import create_app
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.stored import TenantStore
from tests.support.knocking import MODELS, QUICK, code, refuses, seen
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, change_key, revoke
from tests.support.waiting import in_loop, until


@in_loop
async def test_a_key_opens_its_tenant_however_a_client_sends_it(real: Backend) -> None:
    settings = real.settings(**QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme")
        await seen(client, key)
        for headers in (
            {"Authorization": f"Bearer {key}"},
            {"authorization": f"bearer {key}"},
            {"api-key": key},
            {"x-api-key": key},
            {"Authorization": "Basic dXNlcjpwYXNz", "api-key": key},  # a proxy's own
        ):
            found = await client.get(MODELS, headers=headers)
            assert [model["id"] for model in found.json()["data"]] == ["acme-profile"]
        url = f"{client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as theirs:
            assert [model.id async for model in theirs.models.list()] == ["acme-profile"]
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as theirs:
            with pytest.raises(openai.AuthenticationError) as refused:
                await theirs.models.list()
        assert refused.value.code == "invalid_api_key"


@in_loop
async def test_a_key_ends_by_revocation_by_time_and_with_its_tenant(valkey: Backend) -> None:
    settings = valkey.settings(**QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        for name in ("acme", "gone", "default"):
            await add_tenant(stores, name)
        revoked, timed, disabled, deleted, defaults = [
            await add_key(stores, name) for name in ("acme", "acme", "acme", "gone", "default")
        ]
        lasting = await add_key(stores, "acme", expires_at=datetime.now(UTC) + timedelta(hours=1))
        for key in (revoked, timed, disabled, deleted, defaults, lasting):
            await seen(client, key)
        await revoke(stores, "acme", revoked)
        await change_key(stores, "acme", timed, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        await TenantStore(stores, None).delete_tenant("gone")
        await add_tenant(stores, "default", disabled=True)  # the environment's must not take its place
        for key in (revoked, timed, deleted, defaults):
            await until(lambda key=key: refuses(client, key))
        assert await code(client, lasting) == ""
        await add_tenant(stores, "acme", disabled=True)
        await until(lambda: refuses(client, disabled))
        await add_tenant(stores, "acme")
        await seen(client, disabled)


@in_loop
async def test_a_key_never_stands_in_a_url(valkey: Backend) -> None:
    settings = valkey.settings(**QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme")
        await seen(client, key)
        refused = await client.get(MODELS, params={"token": key})
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "key_in_query")
        assert "/v1/tokens" in refused.json()["error"]["message"]
        assert await code(client, key, params={"token": key}) == "401 key_in_query"  # it is lost already
        assert await code(client, params={"api_key": key}) == "401 invalid_api_key"


# The operator and a tenant's admins: see also the matrix.


@in_loop
async def test_no_operator_is_known_where_no_token_is_set(valkey: Backend) -> None:
    async with serving(valkey.settings(**QUICK)) as client:
        assert await code(client, path="/admin/tenants") == "401 invalid_api_key"
        # Who is served without a key is no admin of the tenant that serves him.
        assert await code(client, path="/admin/tenants/default/keys") == "401 invalid_api_key"


# Routes.


@in_loop
async def test_an_application_with_a_route_that_says_nothing_does_not_start() -> None:
    from fastapi import APIRouter

    from api.doors import health
    from api.http.identity import Anybody

    async def mute() -> None: ...

    async def hasty(who: Anybody, body: dict[str, str]) -> None: ...

    for endpoint, complaint in ((mute, "whom it serves"), (hasty, "body")):
        router = APIRouter()
        router.get("/forgotten")(endpoint)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(health, "router", router)
            with pytest.raises(TypeError, match=f"/forgotten.*{complaint}"):
                create_app(Settings())
