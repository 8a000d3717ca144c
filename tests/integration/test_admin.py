"""The administration over HTTP: what the operator and a tenant's admin may do, and what they are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.settings import Settings
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until

OPERATOR = "operators-token-0123456789"
SECRET = "sk-planted-0123456789"
MODEL = {"base_url": "https://models.example/v1", "model": "big"}
LIMITS = {"turns_per_minute": 60, "live_turns": 5}
TENANTS = "/admin/tenants"
ACME = "/admin/tenants/acme"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def settings_of(backend: Backend, **changes: Any) -> Settings:
    return backend.settings(
        **{"operator_token": OPERATOR, "secret_key": "seals", "tenants_refresh_s": 0.02, **changes}
    )


@asynccontextmanager
async def operating(backend: Backend, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows the operator's token."""
    async with serving(settings_of(backend, **changes)) as client:
        client.headers.update(bearer(OPERATOR))
        yield client


async def made(client: httpx.AsyncClient, tenant: str = "acme", **config: Any) -> str:
    """Make a tenant; the text of a key of its admin, which is known already."""
    assert (await client.post(TENANTS, json={"id": tenant, **config})).status_code == 201
    key = await key_of(client, tenant, "read", "admin")
    await known(client, tenant, key)
    return key


async def key_of(client: httpx.AsyncClient, tenant: str, *scopes: str) -> str:
    answer = await client.post(f"{TENANTS}/{tenant}/keys", json={"scopes": scopes})
    assert answer.status_code == 201, answer.text
    text: str = answer.json()["key"]
    return text


async def known(client: httpx.AsyncClient, tenant: str, key: str, *, yes: bool = True) -> None:
    """Wait until the process knows a tenant's key, whatever it may do, or no longer does."""

    async def right() -> bool:
        answer = await client.get(f"{TENANTS}/{tenant}", headers=bearer(key))
        return (answer.status_code != 401) == yes

    await until(right)


def error(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    told = answer.json()["error"]
    return answer.status_code, told["code"], told["param"]


@in_loop
async def test_a_tenant_is_made_shown_changed_and_deleted(valkey: Backend) -> None:
    async with operating(valkey) as client:
        body = {"id": "acme", "name": "Acme", "profiles": {"support": {"full": MODEL}}, "limits": LIMITS}
        assert (await client.post(TENANTS, json=body)).status_code == 201
        assert error(await client.post(TENANTS, json=body)) == (409, "tenant_exists", None)
        shown = (await client.get(ACME)).json()
        assert shown["name"] == "Acme" and shown["profiles"]["support"]["full"]["model"] == "big"
        assert shown["limits"]["live_turns"] == 5 and shown["limits"]["tokens_per_day"] == 0
        (row,) = (await client.get(TENANTS)).json()["data"]
        assert (row["id"], row["profiles"], row["disabled"]) == ("acme", ["support"], False)
        # What is shown may be sent back, changed.
        assert (await client.put(ACME, json={**shown, "disabled": True})).json()["disabled"] is True
        assert (await client.put(ACME, json={"name": "Other"})).json()["profiles"] == {}
        other = await client.put(ACME, json={**shown, "id": "other"})
        assert error(other) == (400, "invalid_value", "id")
        assert (await client.delete(ACME)).json()["deleted"] is True
        for answer in (await client.get(ACME), await client.put(ACME, json={}), await client.delete(ACME)):
            assert error(answer) == (404, "tenant_not_found", "tenant")
        assert (await client.get(TENANTS)).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({}, "id", "names the tenant"),
        ({"id": 7}, "id", "names the tenant"),
        ({"id": "Acme"}, "id", "lower-case"),
        ({"id": "acme", "secrets": {"MODELS": SECRET}}, "secrets", "a path of its own"),
        ({"id": "acme", "nam": "Acme"}, "nam", "there is no such field"),
        ({"id": "acme", "default_profile": "sales"}, "default_profile", "no profile"),
        (
            {"id": "acme", "profiles": {"a": {"full": {**MODEL, "base_url": "http://10.0.0.1/v1"}}}},
            "profiles.a.full.base_url",
            "not a public one",
        ),
        (
            {"id": "acme", "profiles": {"a": {"full": {**MODEL, "base_url": "litellm://"}}}},
            "profiles.a.full.base_url",
            "one of",
        ),
        (
            {"id": "acme", "profiles": {"a": {"full": {**MODEL, "secret": SECRET}}}},
            "profiles.a.full.secret",
            "there is no secret",
        ),
        ({"id": "acme", "limits": {"live_turns": -1}}, "limits.live_turns", "greater"),
    ],
)
@in_loop
async def test_a_wrong_tenant_is_refused_with_its_field(
    valkey: Backend, body: dict[str, Any], param: str, says: str
) -> None:
    async with operating(valkey) as client:
        answer = await client.post(TENANTS, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert says in answer.text and SECRET not in answer.text
        assert (await client.get(TENANTS)).json()["data"] == []


@in_loop
async def test_all_mistakes_are_told(valkey: Backend) -> None:
    async with operating(valkey) as client:
        profile = {"full": {"model": "m"}, "record": "some", "webhook": {"url": "https://x.example"}}
        answer = await client.post(TENANTS, json={"id": "acme", "disabled": "no", "profiles": {"a": profile}})
        for field in ("disabled", "profiles.a.full.base_url", "profiles.a.record", "profiles.a.webhook"):
            assert f"{field}: " in answer.json()["error"]["message"]


@in_loop
async def test_profiles_are_put_and_deleted_one_by_one(valkey: Backend) -> None:
    async with operating(valkey, allowed_hosts=["10.0.0.1"]) as client:
        admin = bearer(await made(client, default_profile="", profiles={"sales": {"full": MODEL}}))
        support = f"{ACME}/profiles/support"
        private = {**MODEL, "base_url": "http://10.0.0.1/v1"}
        put = await client.put(support, json={"full": private, "prompt": "Be kind."}, headers=admin)
        assert (put.status_code, put.json()["id"], put.json()["prompt"]) == (200, "support", "Be kind.")
        again = await client.put(support, json=put.json(), headers=admin)
        assert again.json() == put.json()
        listed = (await client.get(f"{ACME}/profiles", headers=admin)).json()["data"]
        assert [row["id"] for row in listed] == ["sales", "support"]
        blocked = {"full": MODEL, "fallbacks": [{**MODEL, "base_url": "http://10.0.0.2/v1"}]}
        answer = await client.put(support, json=blocked, headers=admin)
        assert answer.json()["error"]["param"] == "profiles.support.fallbacks.0.base_url"
        answer = await client.put(f"{ACME}/profiles/a%20b", json={"full": MODEL}, headers=admin)
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "profiles.a b"
        shown = (await client.get(ACME)).json()
        await client.put(ACME, json={**shown, "default_profile": "sales"})
        in_use = await client.delete(f"{ACME}/profiles/sales", headers=admin)
        assert error(in_use) == (409, "profile_in_use", "profile")
        assert (await client.delete(support, headers=admin)).json()["deleted"] is True
        gone = await client.delete(support, headers=admin)
        assert error(gone) == (404, "profile_not_found", "profile")


@in_loop
async def test_secrets_are_told_by_name_alone(valkey: Backend) -> None:
    async with operating(valkey) as client:
        admin = bearer(await made(client))
        secret = f"{ACME}/secrets/MODELS"
        put = await client.put(secret, json={"value": SECRET}, headers=admin)
        assert put.status_code == 200 and put.json()["used_by"] == []
        age = datetime.now(UTC) - datetime.fromisoformat(put.json()["set_at"])
        assert timedelta(seconds=-2) < age < timedelta(minutes=5)
        await client.put(f"{ACME}/profiles/a", json={"full": {**MODEL, "secret": "MODELS"}}, headers=admin)
        (row,) = (await client.get(f"{ACME}/secrets", headers=admin)).json()["data"]
        assert row["used_by"] == ["profiles.a.full"]
        assert "sealed:" not in (await client.get(ACME)).text + (await client.get(TENANTS)).text
        assert error(await client.delete(secret, headers=admin)) == (409, "secret_in_use", "name")
        # The rest of the tenant is put anew, and its secrets stay.
        assert (await client.put(ACME, json={"name": "Acme"})).status_code == 200
        assert (await client.delete(secret, headers=admin)).json()["deleted"] is True
        assert error(await client.delete(secret, headers=admin)) == (404, "secret_not_found", "name")


@in_loop
async def test_a_secret_goes_on_to_where_it_went_whoever_changes_a_profile(valkey: Backend) -> None:
    async with operating(valkey) as client:
        admin, secret = bearer(await made(client)), f"{ACME}/secrets/MODELS"
        await client.put(secret, json={"value": SECRET}, headers=admin)
        mine = {"full": {**MODEL, "secret": "MODELS"}}
        assert (await client.put(f"{ACME}/profiles/a", json=mine, headers=admin)).is_success
        theirs = {"full": {**MODEL, "base_url": "https://thief.example/v1", "secret": "MODELS"}}
        for path in ("a", "b"):
            refused = await client.put(f"{ACME}/profiles/{path}", json=theirs, headers=admin)
            assert error(refused) == (400, "invalid_configuration", f"profiles.{path}.full.secret")
        assert "a" in [row["id"] for row in (await client.get(f"{ACME}/profiles")).json()["data"]]
        await client.delete(f"{ACME}/profiles/a", headers=admin)  # which makes it no freer
        await client.put(f"{ACME}/profiles/z", json={"full": MODEL}, headers=admin)
        refused = await client.put(f"{ACME}/profiles/a", json=theirs, headers=admin)
        assert error(refused)[0] == 400
        # Who knows the value says where it may go.
        wish = {"value": SECRET, "origins": ["https://thief.example", "anthropic://"]}
        put = await client.put(secret, json=wish, headers=admin)
        assert put.json()["origins"] == wish["origins"]
        assert (await client.put(f"{ACME}/profiles/a", json=theirs, headers=admin)).is_success
        wrong = {"value": SECRET, "origins": ["https://other.example"]}
        assert (
            error(await client.put(secret, json=wrong, headers=admin))[0] == 400
        )  # a profile uses it elsewhere
        for odd in (["thief.example/v1"], ["ftp://x"], [], "https://x", ["litellm://"], ["https://u@x"]):
            refused = await client.put(secret, json={"value": SECRET, "origins": odd}, headers=admin)
            assert refused.status_code == 400, odd
        # The operator moves servers without knowing a value.
        moved = {"full": {**MODEL, "base_url": "https://new.example/v1", "secret": "MODELS"}}
        assert (await client.put(f"{ACME}/profiles/a", json=moved)).is_success
        (row,) = (await client.get(f"{ACME}/secrets")).json()["data"]
        assert "https://new.example" in row["origins"]
        whole = (await client.get(ACME)).json()
        assert (await client.put(ACME, json=whole)).is_success


@pytest.mark.parametrize("value", ["", "two\nlines", "ключ", 7, None])
@in_loop
async def test_a_secret_that_fits_no_header_is_refused(valkey: Backend, value: Any) -> None:
    async with operating(valkey) as client:
        await made(client)
        answer = await client.put(f"{ACME}/secrets/MODELS", json={"value": value})
        assert answer.status_code == 400 and "value: " in answer.text
        assert "lines" not in answer.text and "ключ" not in answer.text
        assert (await client.get(f"{ACME}/secrets")).json()["data"] == []


@in_loop
async def test_without_a_secret_key_no_secret_is_kept(valkey: Backend) -> None:
    async with operating(valkey, secret_key="") as client:
        await made(client)
        answer = await client.put(f"{ACME}/secrets/MODELS", json={"value": SECRET})
        assert error(answer) == (400, "no_secret_key", None)
        assert error(await client.post("/admin/secrets/rotate")) == (400, "no_secret_key", None)


@in_loop
async def test_secrets_are_sealed_anew_with_the_newest_key(valkey: Backend) -> None:
    async with operating(valkey, secret_key="old") as client:
        await made(client)
        await client.put(f"{ACME}/secrets/MODELS", json={"value": SECRET})
        before = (await client.get(f"{ACME}/secrets")).json()
    async with operating(valkey, secret_key="new", old_secret_keys=["old"]) as client:
        assert (await client.post("/admin/secrets/rotate")).json()["resealed"] == 1
        assert (await client.post("/admin/secrets/rotate")).json()["resealed"] == 0
        assert (await client.get(f"{ACME}/secrets")).json() == before
    async with operating(valkey, secret_key="new") as client:
        assert (await client.post("/admin/secrets/rotate")).json()["resealed"] == 0


@in_loop
async def test_a_key_is_shown_once_and_may_end(valkey: Backend) -> None:
    async with operating(valkey) as client:
        await made(client)
        wish = {"name": "web", "scopes": ["read", "chat", "read"], "expires_in_s": 3600}
        key = (await client.post(f"{ACME}/keys", json=wish)).json()
        assert (key["name"], key["scopes"], key["revoked_at"]) == ("web", ["chat", "read"], None)
        span = datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])
        assert span == timedelta(hours=1)
        await known(client, "acme", key["key"])
        listed = (await client.get(f"{ACME}/keys")).text
        assert key["id"] in listed and key["key"] not in listed and "digest" not in listed
        revoked = await client.delete(f"{ACME}/keys/{key['id']}")
        assert revoked.json()["revoked_at"]
        await known(client, "acme", key["key"], yes=False)
        assert revoked.json() in (await client.get(f"{ACME}/keys")).json()["data"]
        unknown = await client.delete(f"{ACME}/keys/nosuchkey123")
        assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": ["chat"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"scopes": ["chat"], "expires_at": "tomorrow"}, "expires_at"),
        ({"scopes": ["chat"], "expires_in_s": 0}, "expires_in_s"),
        ({"scopes": ["chat"], "expires_at": "2099-01-01T00:00:00Z", "expires_in_s": 5}, "expires_in_s"),
        ({"scopes": ["chat"], "tenant": "other"}, "tenant"),
    ],
)
@in_loop
async def test_a_wrong_key_is_refused_with_its_field(
    valkey: Backend, wish: dict[str, Any], field: str
) -> None:
    async with operating(valkey) as client:
        await made(client)
        answer = await client.post(f"{ACME}/keys", json=wish)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


@in_loop
async def test_an_admin_gives_no_more_than_it_has_and_changes_no_limits(valkey: Backend) -> None:
    async with operating(valkey) as client:
        admin = bearer(await made(client))
        refused = await client.post(f"{ACME}/keys", json={"scopes": ["read", "chat"]}, headers=admin)
        assert error(refused) == (403, "missing_scope", "scopes")
        assert (await client.post(f"{ACME}/keys", json={"scopes": ["admin"]}, headers=admin)).is_success
        for method, path in (
            ("PUT", f"{ACME}/limits"),
            ("PUT", ACME),
            ("DELETE", ACME),
            ("GET", TENANTS),
            ("POST", TENANTS),
            ("POST", "/admin/secrets/rotate"),
            ("GET", "/admin/audit"),
        ):
            assert (await client.request(method, path, json={}, headers=admin)).status_code == 401
        assert (await client.put(f"{ACME}/limits", json=LIMITS)).json()["live_turns"] == 5


@in_loop
async def test_a_tenants_admin_meets_no_other_tenant(valkey: Backend) -> None:
    async with operating(valkey) as client:
        admin = bearer(await made(client))
        await made(client, "other")
        for part in ("", "/keys", "/secrets", "/profiles", "/audit"):
            theirs = await client.get(f"{TENANTS}/other{part}", headers=admin)
            nobodys = await client.get(f"{TENANTS}/nobody{part}", headers=admin)
            assert theirs.status_code == 404 and theirs.content == nobodys.content


@in_loop
async def test_without_an_operators_token_the_administration_is_closed(valkey: Backend) -> None:
    async with serving(settings_of(valkey, operator_token="")) as client:
        for shown in ({}, bearer("wrong"), bearer("frk_")):
            assert (await client.get(TENANTS, headers=shown)).status_code == 401


@in_loop
async def test_a_store_that_is_away_is_told(mortal: Backend, mortal_server: Any) -> None:
    async with operating(mortal) as client:
        mortal_server.kill()
        away = await client.get(TENANTS)
        assert (error(away), away.headers["retry-after"]) == ((503, "store_unavailable", None), "1")
        assert error(await client.post(TENANTS, json={"id": "acme"})) == (503, "store_unavailable", None)
