"""Who can write to the store lets nobody in: records of tenants and keys count where they are signed."""

import logging
from datetime import UTC, datetime

import orjson
import pytest

from cli.resign import resign
from common.errors import Conflict
from common.security.secret_box import SecretBox, place_of
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.api_keys import new_key
from common.tenants.config import KeyConfig, TenantConfig
from common.tenants.directory import Directory
from common.tenants.stored import TenantStore
from tests.support.redis_replies import reply
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop

FULL = {"base_url": "https://models.example/v1", "model": "big"}
SECRET_KEY = "a key of these tests"
SEAL = SecretBox(SECRET_KEY)


def signing(backend: Backend, **others: object) -> Settings:
    return backend.settings(secret_key=SECRET_KEY, **others)


def key(tenant: str = "acme", *scopes: str) -> KeyConfig:
    return KeyConfig.model_validate(
        {
            "tenant": tenant,
            "digest": new_key().digest,
            "scopes": scopes or ("admin",),
            "created_at": datetime.now(UTC),
        }
    )


def tenant(name: str, **parts: object) -> TenantConfig:
    secret = SEAL.write(f"sk-of-{name}", place_of(name, "MODELS"))
    return TenantConfig.model_validate(
        {"profiles": {"p": {"full": FULL}}, "secrets": {"MODELS": secret}, **parts}
    )


async def put_by_hand(stores: Stores, table: str, name: str, text: bytes | str) -> None:
    """What whoever writes to the store puts there, and has every process look at."""
    await reply(stores.queue.hset(table, name, text))  # type: ignore[arg-type]
    await stores.queue.incr(keys.TENANTS_VERSION)


@in_loop
async def test_a_key_made_in_the_store_opens_nothing(real: Backend, caplog: pytest.LogCaptureFixture) -> None:
    async with open_stores(signing(real)) as stores:
        store, directory = TenantStore(stores, SEAL), Directory(signing(real), stores)
        await store.put_tenant("acme", tenant("acme"))
        await store.put_key("good", good := key("acme", "chat"))
        forged = key("acme", "admin").model_dump_json()
        await put_by_hand(stores, keys.API_KEYS, "forged", forged)
        await put_by_hand(stores, keys.API_KEYS, "copied", good.model_dump_json())
        signature = await reply(stores.queue.hget(keys.SIGNATURES, "keys:good"))
        for field in ("keys:copied", "keys:forged", "tenants:zeta"):
            await reply(stores.queue.hset(keys.SIGNATURES, field, signature))
        await put_by_hand(stores, keys.TENANTS, "zeta", tenant("zeta").model_dump_json())
        with caplog.at_level(logging.ERROR):
            await directory.refresh()
        assert directory.key("good") == good
        assert directory.key("forged") is None and directory.key("copied") is None
        assert directory.tenant("zeta") is None
        (said,) = (vars(record) for record in caplog.records)
        assert said["records"] == ["copied", "forged", "zeta"]
        # A scope more in one that is good.
        more = good.model_copy(update={"scopes": ("chat", "admin")}).model_dump_json(exclude_defaults=True)
        await put_by_hand(stores, keys.API_KEYS, "good", more)
        await directory.refresh()
        assert directory.key("good") is None


@in_loop
async def test_a_tenant_that_was_tampered_with_stays_as_it_was_and_is_not_signed_by_a_change(
    real: Backend,
) -> None:
    async with open_stores(signing(real)) as stores:
        store, directory = TenantStore(stores, SEAL), Directory(signing(real), stores)
        await store.put_tenant("acme", tenant("acme"))
        await store.put_tenant("zeta", tenant("zeta"))
        await directory.refresh()
        stolen = orjson.loads(await reply(stores.queue.hget(keys.TENANTS, "acme")))["secrets"]
        zeta = orjson.loads(await reply(stores.queue.hget(keys.TENANTS, "zeta")))
        await put_by_hand(stores, keys.TENANTS, "zeta", orjson.dumps({**zeta, "secrets": stolen}))
        await directory.refresh()
        kept = directory.tenant("zeta")
        assert kept and kept.secrets["MODELS"].get_secret_value() == "sk-of-zeta"
        for change in (
            store.change_tenant("zeta", lambda now: now),
            store.put_tenant("zeta", tenant("zeta")),
            store.tenant("zeta"),
        ):
            with pytest.raises(Conflict) as refused:
                await change
            assert refused.value.code == "record_not_signed"
        assert await store.rotate_secrets() == 0 and "zeta" not in await store.tenants()
        await store.delete_tenant("zeta")
        assert await reply(stores.queue.hexists(keys.SIGNATURES, "tenants:zeta")) is False


@in_loop
async def test_a_sealed_secret_copied_to_another_tenant_or_name_opens_nowhere(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as unsigned:  # as who has no secret key writes
        for name, place in (("acme", "acme"), ("zeta", "acme")):
            config = TenantConfig.model_validate(
                {"secrets": {"MODELS": SEAL.write("sk-1", place_of(place, "MODELS"))}}
            )
            await reply(unsigned.queue.hset(keys.TENANTS, name, config.model_dump_json()))
        store = TenantStore(unsigned, SEAL)
        opened = {
            name: store.open_secret(config.secrets["MODELS"], name, "MODELS")
            for name, config in (await store.tenants()).items()
        }
        assert opened == {"acme": "sk-1", "zeta": None}


@in_loop
async def test_records_of_a_former_version_count_once_they_were_looked_at_and_signed(
    valkey: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_stores(valkey.settings()) as former:
        before = TenantStore(former, SEAL)
        await before.put_tenant("acme", tenant("acme"))
        await before.put_key("k1", key("acme", "chat"))
        assert await reply(former.queue.hlen(keys.SIGNATURES)) == 0
    async with open_stores(signing(valkey)) as stores:
        directory, store = Directory(signing(valkey), stores), TenantStore(stores, SEAL)
        await directory.refresh()
        assert directory.known and not directory.open and directory.key("k1") is None
        seen = await store.read_all()
        assert seen.strange() == ["acme", "k1"]
        # What changes between the look and the signature is not signed.
        await reply(stores.queue.hset(keys.API_KEYS, "k1", key("acme", "admin").model_dump_json()))
        assert await store.sign(seen) == 1
        await directory.refresh()
        assert directory.tenant("acme") and directory.key("k1") is None
        assert await store.sign(await store.read_all()) == 1
        await directory.refresh()
        assert directory.key("k1") and not (await store.read_all()).strange()


@in_loop
async def test_a_former_secret_keys_signature_is_believed_until_the_key_is_gone(valkey: Backend) -> None:
    async with open_stores(signing(valkey)) as stores:
        await TenantStore(stores, SEAL).put_tenant("acme", tenant("acme"))
    both = valkey.settings(secret_key="a newer key of these tests", old_secret_keys=[SECRET_KEY])
    newest = valkey.settings(secret_key="a newer key of these tests")
    async with open_stores(both) as stores, open_stores(newest) as later:
        assert list((await TenantStore(stores, None).read()).tenants) == ["acme"]
        assert not (await TenantStore(later, None).read()).tenants
        store = TenantStore(stores, SecretBox("a newer key of these tests", [SECRET_KEY]))
        await store.put_key("k1", key())
        assert await store.rotate_secrets() == 1
        assert list((await TenantStore(later, None).read()).tenants) == ["acme"]


def test_without_a_secret_key_nothing_can_be_signed(capsys: pytest.CaptureFixture[str]) -> None:
    assert resign(Settings(), True) == 1
    assert "FAST_REPLY_SECRET_KEY is not set" in capsys.readouterr().err
