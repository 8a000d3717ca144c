"""The directory: what changes in the store or the file is known within a moment, in every process."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from api.services import open_services
from common.errors import BadRequest
from common.security.secret_box import SecretBox
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, StoreUnavailable, open_stores
from common.store.signed import RecordSigner, field_of
from common.tenants.config import KeyConfig, TenantConfig
from common.tenants.directory import Directory
from common.tenants.stored import TenantStore
from common.tenants.tenant import Tenant, build_tenant
from common.turn.policy import AS_STORED
from tests.support.redis_replies import reply
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop, until

SEAL = SecretBox("k")
FULL = {"base_url": "https://models.example/v1", "model": "big", "secret": "MODELS"}


@asynccontextmanager
async def opened(
    settings: Settings, *, running: bool = False
) -> AsyncIterator[tuple[Directory, TenantStore]]:
    """A process's directory, and an admin's hands."""
    async with open_stores(settings) as stores:
        directory = Directory(settings, stores)
        tasks = [asyncio.create_task(directory.run())] if running else []
        try:
            yield directory, TenantStore(stores, SEAL)
        finally:
            await end(*tasks)


def acme(secret: str = "sk-1", **parts: Any) -> TenantConfig:
    whole = {"profiles": {"support": {"full": FULL}}, "secrets": {"MODELS": SEAL.write(secret)}, **parts}
    return TenantConfig.model_validate(whole)


def key(tenant: str = "acme") -> KeyConfig:
    return KeyConfig(tenant=tenant, digest=hashlib.sha256(b"x").hexdigest(), scopes=("chat",))


def upstream_key(directory: Directory, tenant: str = "acme") -> str | None:
    """The key that the tenant's model is asked with."""
    found = directory.tenant(tenant)
    profile = found.get("support") if found else None
    return profile.full.api_key.get_secret_value() if profile else None


# The store.


@in_loop
async def test_without_any_tenant_the_default_one_is_open_until_one_was_set_up(backend: Backend) -> None:
    async with opened(backend.settings(secret_key="k")) as (directory, store):
        assert not directory.known and not directory.open
        await directory.refresh()
        assert directory.known and directory.open and [each.id for each in directory.all()] == ["default"]
        await store.put_tenant("acme", acme())
        await directory.refresh()
        assert not directory.open and [each.id for each in directory.all()] == ["acme"]
        await store.delete_tenant("acme")
        await directory.refresh()
        assert not directory.open and directory.tenant("acme") is None


@in_loop
async def test_a_store_that_lost_everything_opens_no_doors(valkey: Backend) -> None:
    async with (
        opened(valkey.settings(secret_key="k")) as (directory, store),
        open_stores(valkey.settings()) as s,
    ):
        await store.put_tenant("acme", acme())
        await directory.refresh()
        await s.queue.delete(keys.TENANTS, keys.TENANTS_VERSION)
        await directory.refresh()
        assert not directory.open and directory.tenant("acme") is None


@in_loop
async def test_two_processes_see_each_change(real: Backend) -> None:
    settings = real.settings(secret_key="k", tenants_refresh_s=0.02)
    async with opened(settings, running=True) as (ours, store), opened(settings, running=True) as (theirs, _):
        both = (ours, theirs)
        await store.put_tenant("acme", acme())
        await store.put_key("k1", key())
        await until(lambda: all(upstream_key(each) == "sk-1" and each.key("k1") for each in both))
        await store.change_tenant("acme", lambda c: c.model_copy(update={"secrets": acme("sk-2").secrets}))
        await until(lambda: all(upstream_key(each) == "sk-2" for each in both))
        await store.revoke_key("acme", "k1")
        await until(lambda: all((k := each.key("k1")) and k.revoked_at for each in both))
        await store.delete_tenant("acme")
        await until(lambda: all(each.tenant("acme") is None and each.key("k1") is None for each in both))


@in_loop
async def test_whoever_waits_for_a_change_is_woken_by_it(valkey: Backend) -> None:
    async with opened(valkey.settings(secret_key="k")) as (directory, store):
        for change in (None, store.put_tenant("acme", acme()), store.put_key("k1", key())):
            if change:
                await change
            waiting = asyncio.create_task(directory.changed())
            await asyncio.sleep(0)
            await directory.refresh()
            await waiting
        waiting = asyncio.create_task(directory.changed())
        await directory.refresh()
        assert not waiting.done()
        await end(waiting)


@in_loop
async def test_a_change_of_one_tenant_leaves_the_others_as_they_are(valkey: Backend) -> None:
    async with opened(valkey.settings(secret_key="k")) as (directory, store):
        for name in ("acme", "zeta"):
            await store.put_tenant(name, acme())
            await store.put_key(f"k-{name}", key(name))
        await directory.refresh()
        before, zetas = directory.tenant("zeta"), directory.key("k-zeta")
        await store.put_tenant("acme", acme(limits={"live_turns": 3}))
        await directory.refresh()
        assert directory.tenant("zeta") is before and directory.key("k-zeta") is zetas
        assert (changed := directory.tenant("acme")) and changed.limits.live_turns == 3


@in_loop
async def test_a_disabled_tenants_keys_open_nothing_and_its_turns_go_on(valkey: Backend) -> None:
    async with opened(valkey.settings(secret_key="k")) as (directory, store):
        await store.put_tenant("acme", acme(disabled=True))
        await store.put_key("k1", key())
        await directory.refresh()
        assert directory.key("k1") is None and upstream_key(directory) == "sk-1"
        await store.put_tenant("acme", acme())
        await directory.refresh()
        assert directory.key("k1")


@in_loop
async def test_a_secret_that_no_key_opens_is_named_once_and_missed_alone(
    valkey: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(valkey.settings(secret_key="k")) as (directory, store):
        lost = {"MODELS": SecretBox("lost").write("sk-0"), "CRM": SEAL.write("crm-1")}
        await _put_unchecked(valkey, acme(secrets=lost))
        for version in range(3):
            await store.put_tenant(f"t{version}", acme())
            await directory.refresh()
        assert upstream_key(directory) == "" and (tenant := directory.tenant("acme"))
        assert [secret.get_secret_value() for secret in tenant.secrets.values()] == ["crm-1"]
        (said,) = (vars(record) for record in caplog.records if record.levelno == logging.ERROR)
        assert (said["tenant"], said["secret"]) == ("acme", "MODELS")


async def _put_unchecked(backend: Backend, config: TenantConfig) -> None:
    """As it stands when the key that sealed it was lost."""
    async with open_stores(backend.settings()) as stores:
        await write(stores, keys.TENANTS, "acme", config.model_dump_json().encode())


async def write(stores: Stores, table: str, name: str, text: bytes) -> None:
    """A record as another version wrote it: signed, whatever stands in it."""
    await reply(stores.queue.hset(table, name, text))  # type: ignore[arg-type]
    signature = RecordSigner(["k"]).sign(table, name, text)
    await reply(stores.queue.hset(keys.SIGNATURES, field_of(table, name), signature))  # type: ignore[arg-type]


@in_loop
async def test_a_tenant_that_cannot_be_read_stays_as_it_was(
    valkey: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        opened(valkey.settings(secret_key="k")) as (directory, store),
        open_stores(valkey.settings()) as stores,
    ):
        await store.put_tenant("acme", acme())
        await store.put_key("k1", key())
        await directory.refresh()
        for table, name in ((keys.TENANTS, "acme"), (keys.TENANTS, "zeta"), (keys.API_KEYS, "k2")):
            await write(stores, table, name, b'{"mood": 1}')
        for _ in range(2):
            await stores.queue.incr(keys.TENANTS_VERSION)
            await directory.refresh()
        assert upstream_key(directory) == "sk-1" and directory.key("k1")
        assert directory.tenant("zeta") is None and directory.key("k2") is None
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 3


@in_loop
async def test_rules_that_a_former_version_took_are_told_and_in_no_changes_way(
    valkey: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    old = acme().model_dump(mode="json")
    old["profiles"]["support"]["policy"]["draft"]["guard_rules"] = [r"(?<!a)b"]
    async with (
        opened(valkey.settings(secret_key="k")) as (directory, store),
        open_stores(valkey.settings()) as stores,
    ):
        await store.put_tenant("acme", acme())
        written = orjson.loads(await reply(stores.queue.hget(keys.TENANTS, "acme")))
        written["profiles"] = old["profiles"]
        await write(stores, keys.TENANTS, "acme", orjson.dumps(written))
        await stores.queue.incr(keys.TENANTS_VERSION)
        await directory.refresh()
        tenant = directory.tenant("acme")
        assert tenant and tenant.profiles["support"].policy.draft.guard_rules == (r"(?<!a)b",)
        (said,) = (vars(record) for record in caplog.records if record.levelno == logging.ERROR)
        assert (said["tenant"], said["profile"]) == ("acme", "support")
        changed = await store.change_tenant("acme", lambda now: now.model_copy(update={"disabled": True}))
        assert changed.disabled
        draft = {"draft": {"guard_rules": [r"(?<!x)y"]}}
        worse = acme().profiles["support"].model_dump(mode="json") | {"policy": draft}
        with pytest.raises(BadRequest, match="guard rule"):
            await store.put_tenant(
                "acme", TenantConfig.model_validate({"profiles": {"support": worse}}, context=AS_STORED)
            )


@in_loop
async def test_no_tenant_ends_the_process(valkey: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, *rest: Any) -> Tenant:
        return build_tenant(name, *rest) if name == "acme" else 1 / 0  # type: ignore[return-value]

    monkeypatch.setattr("common.tenants.directory.build_tenant", build)
    async with opened(valkey.settings(secret_key="k")) as (directory, store):
        await store.put_tenant("acme", acme())
        await store.put_tenant("zeta", acme())
        await directory.refresh()
        assert directory.tenant("acme") and directory.tenant("zeta") is None


@pytest.mark.parametrize("hours", [1e308, float("inf"), float("nan"), -1])
def test_a_memory_has_an_end(hours: float) -> None:
    with pytest.raises(ValidationError, match="expiry_hours"):
        TenantConfig.model_validate({"profiles": {"p": {"full": FULL, "memory": {"expiry_hours": hours}}}})


@in_loop
async def test_what_it_said_last_holds_while_the_store_is_away(mortal: Backend, mortal_server: Any) -> None:
    async with opened(mortal.settings(secret_key="k", redis_timeout_s=0.3)) as (directory, store):
        await store.put_tenant("acme", acme())
        await directory.refresh()
        mortal_server.kill()
        with pytest.raises(StoreUnavailable):
            await directory.refresh()
        assert directory.known and upstream_key(directory) == "sk-1"


@pytest.mark.parametrize(
    ("open_access", "whom"), [(False, "this machine alone"), (True, "everybody who reaches the port")]
)
@in_loop
async def test_the_api_says_at_start_whom_it_serves_without_a_key(
    valkey: Backend, caplog: pytest.LogCaptureFixture, open_access: bool, whom: str
) -> None:
    def said() -> list[str]:
        return [vars(record)["to"] for record in caplog.records if "no tenant is set up" in record.message]

    settings = valkey.settings(secret_key="k", open_access=open_access)
    async with open_services(settings):
        await until(said)
    assert said() == [whom]
    async with opened(settings) as (_, store), open_services(settings):
        await store.put_tenant("acme", acme())
    caplog.clear()
    async with open_services(settings) as services:
        await until(lambda: services.directory.known)
    assert said() == []


# The default tenant, configured.


@in_loop
async def test_a_default_tenant_without_profiles_has_the_environments(valkey: Backend) -> None:
    settings = valkey.settings(secret_key="k", llm_model="huge", secrets={"CAILA": "c-1"})
    async with opened(settings) as (directory, store):
        config = TenantConfig.model_validate(
            {"limits": {"live_turns": 2}, "secrets": {"CRM": SEAL.write("crm-1")}}
        )
        await store.put_tenant("default", config)
        await store.put_key("k1", key("default"))
        await directory.refresh()
        default = directory.tenant("default")
        assert default and default.pick(None)[1] == "huge" and default.limits.live_turns == 2
        assert {n: s.get_secret_value() for n, s in default.secrets.items()} == {
            "CAILA": "c-1",
            "CRM": "crm-1",
        }
        assert (
            default.may_send("CAILA", "https://any.example", ())
            and directory.key("k1")
            and not directory.open
        )
        assert not default.may_send("MODELS", "https://any.example", ()), (
            "a configured one goes where it says, or nowhere"
        )
        await store.put_tenant("default", acme())
        await directory.refresh()
        default = directory.tenant("default")
        assert default and default.names() == ["support"] and not default.passes_models


# The file.


@in_loop
async def test_the_file_is_the_whole_truth(
    valkey: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text("[tenants.acme]")
    settings = valkey.settings(secret_key="k", tenants=str(path), tenants_refresh_s=0.02)
    async with opened(settings, running=True) as (directory, store):
        await store.put_tenant("zeta", acme())
        await until(lambda: directory.known)
        assert not directory.open and [each.id for each in directory.all()] == ["acme"]
        (fresh := tmp_path / "fresh.toml").write_text(
            "[tenants.acme.profiles.support]\n"
            "full = {base_url = 'https://models.example', model = 'big', secret = 'MODELS'}\n"
            f"[tenants.acme.secrets]\nMODELS = '{SEAL.write('sk-9')}'\n"
        )
        fresh.replace(path)
        await until(lambda: upstream_key(directory) == "sk-9")
        path.write_text("[tenants.acme")
        await until(lambda: any(record.levelno == logging.ERROR for record in caplog.records))
        assert upstream_key(directory) == "sk-9"
        path.write_text("")
        await until(lambda: directory.tenant("acme") is None)
        assert not directory.open


@in_loop
async def test_a_file_that_is_wrong_from_the_start_lets_nobody_in(valkey: Backend, tmp_path: Path) -> None:
    async with opened(valkey.settings(tenants=str(tmp_path / "none.toml"))) as (directory, _):
        await directory.refresh()
        assert not directory.known and not directory.open
