"""Tenants in the store: every change is whole, and none is lost."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import BadRequest, Conflict, NotFound
from common.security.secret_box import SecretBox, place_of
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.config import KeyConfig, TenantConfig
from common.tenants.stored import TenantStore
from tests.support.redis_replies import reply
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop

SEAL = SecretBox("newest", ["older"])
SUPPORT = {"full": {"base_url": "https://models.example/v1", "model": "big", "secret": "MODELS"}}


@asynccontextmanager
async def opened(
    backend: Backend, seal: SecretBox | None = SEAL
) -> AsyncIterator[tuple[Stores, TenantStore]]:
    async with open_stores(backend.settings()) as stores:
        yield stores, TenantStore(stores, seal)


def acme(secret: str = "", seal: SecretBox = SEAL, **parts: object) -> TenantConfig:
    """A tenant with one profile and one secret."""
    secrets = {"MODELS": secret or seal.write("sk-1")}
    return TenantConfig.model_validate({"profiles": {"support": SUPPORT}, "secrets": secrets, **parts})


def key(tenant: str = "acme", name: str = "") -> KeyConfig:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return KeyConfig(tenant=tenant, digest=digest, scopes=("chat",), name=name, created_at=datetime.now(UTC))


@in_loop
async def test_what_was_put_is_read(backend: Backend) -> None:
    async with opened(backend) as (_, store):
        assert (await store.read()).version is None
        assert await store.put_tenant("acme", acme()) is True
        assert await store.put_tenant("acme", config := acme(name="Acme")) is False
        assert await store.tenants() == {"acme": config} and await store.tenant("acme") == config
        await store.put_key("k1", first := key())
        await store.put_key("k2", key(name="second"))
        assert (await store.keys("acme"))["k1"] == first and len(await store.keys("acme")) == 2
        revoked = await store.revoke_key("acme", "k1")
        assert revoked.revoked_at and (await store.keys("acme"))["k1"] == revoked
        assert await store.revoke_key("acme", "k1") == revoked
        assert (await store.read()).version == "6"


@in_loop
async def test_each_change_grows_the_version_and_a_refused_one_does_not(backend: Backend) -> None:
    async with opened(backend) as (_, store):
        await store.put_tenant("acme", acme(), create=True)
        seen = await store.poll(None)
        with pytest.raises(Conflict):
            await store.put_tenant("acme", acme(), create=True)
        with pytest.raises(NotFound):
            await store.put_tenant("zeta", acme(), create=False)
        with pytest.raises(NotFound):
            await store.put_key("k1", key("zeta"))
        with pytest.raises(NotFound):
            await store.revoke_key("acme", "k1")
        with pytest.raises(NotFound):
            await store.delete_tenant("zeta")
        assert await store.poll(seen) is seen
        await store.put_key("k1", key())
        assert (await store.poll(seen)) is not seen


@in_loop
async def test_a_key_stays_its_tenants(backend: Backend) -> None:
    async with opened(backend) as (_, store):
        for name in ("acme", "zeta"):
            await store.put_tenant(name, acme())
        await store.put_key("k1", key("acme"))
        with pytest.raises(Conflict):
            await store.put_key("k1", key("zeta"))
        with pytest.raises(NotFound):
            await store.revoke_key("zeta", "k1")
        assert await store.keys("zeta") == {} and not (await store.keys("acme"))["k1"].revoked_at


@pytest.mark.parametrize(
    ("name", "config", "param", "says"),
    [
        ("Acme", acme(), "name", "lower-case"),
        ("acme", acme("sk-clear"), "secrets.MODELS", "it is not sealed"),
        ("acme", acme("env:MODELS_KEY"), "secrets.MODELS", "it is not sealed"),
        ("acme", acme(seal=SecretBox("lost")), "secrets.MODELS", "none of the secret keys opens it"),
        ("acme", acme(default_profile="sales"), "default_profile", "there is no profile of this name"),
        (
            "acme",
            TenantConfig.model_validate({"profiles": {"support": SUPPORT}}),
            "profiles.support.full.secret",
            "there is no secret of this name",
        ),
    ],
    ids=["name", "clear", "environment", "other key", "no profile", "no secret"],
)
@in_loop
async def test_a_wrong_configuration_is_refused_with_its_field(
    valkey: Backend, name: str, config: TenantConfig, param: str, says: str
) -> None:
    async with opened(valkey) as (_, store):
        with pytest.raises(BadRequest) as refused:
            await store.put_tenant(name, config)
        assert refused.value.param == param and says in refused.value.message
        assert "sk-" not in refused.value.message
        assert (await store.read()).version is None


@in_loop
async def test_parallel_admins_lose_nothing(real: Backend) -> None:
    count = 30
    async with opened(real) as (_, ours), opened(real) as (_, theirs):
        await ours.put_tenant("acme", acme())

        def named(secret: str) -> asyncio.Future[TenantConfig]:
            def add(config: TenantConfig) -> TenantConfig:
                return config.model_copy(update={"secrets": {**config.secrets, secret: SEAL.write(secret)}})

            store = ours if int(secret[1:]) % 2 else theirs
            return asyncio.ensure_future(store.change_tenant("acme", add))

        await asyncio.gather(
            *(named(f"s{number}") for number in range(count)),
            *(ours.put_key(f"k{number}", key(name=f"{number}")) for number in range(count)),
            *(theirs.put_tenant(f"t{number}", acme()) for number in range(5)),
        )
        config = await ours.tenant("acme")
        assert len(config.secrets) == 1 + count and len(await theirs.keys("acme")) == count
        assert all(
            ours.open_secret(config.secrets[f"s{n}"], "acme", f"s{n}") == f"s{n}" for n in range(count)
        )
        assert (await theirs.read()).version == str(1 + 2 * count + 5) and len(await ours.tenants()) == 6


@in_loop
async def test_only_one_of_many_creates_a_tenant(real: Backend) -> None:
    async with opened(real) as (_, ours), opened(real) as (_, theirs):
        asked = [store.put_tenant("acme", acme(), create=True) for store in (ours, theirs) for _ in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert answers.count(True) == 1
        assert sum(isinstance(answer, Conflict) for answer in answers) == 9


@in_loop
async def test_a_lost_secret_is_in_the_way_of_nothing_else(real: Backend) -> None:
    async with opened(real, SecretBox("lost")) as (_, before):
        await before.put_tenant("acme", acme(seal=SecretBox("lost")))
    async with opened(real) as (_, store):
        changed = await store.change_tenant("acme", lambda c: c.model_copy(update={"disabled": True}))
        assert changed.disabled and await store.tenant("acme") == changed


@in_loop
async def test_after_a_rotation_the_old_key_is_needed_no_more(real: Backend) -> None:
    old = SecretBox("older")
    async with opened(real, old) as (_, before):
        for name in ("acme", "zeta"):
            await before.put_tenant(name, acme(seal=old))
    async with opened(real) as (_, both):
        await both.change_tenant("zeta", lambda c: c.model_copy(update={"name": "Zeta"}))
        assert await both.rotate_secrets() == 2
        assert await both.rotate_secrets() == 0
    async with opened(real, SecretBox("newest")) as (_, after):
        for name, config in (await after.tenants()).items():
            assert after.open_secret(config.secrets["MODELS"], name, "MODELS") == "sk-1"
            assert after.open_secret(config.secrets["MODELS"], "other", "MODELS") is None
        assert (await after.tenant("zeta")).name == "Zeta"
        assert before.open_secret(config.secrets["MODELS"], "acme", "MODELS") is None


@in_loop
async def test_a_secret_that_no_key_opens_is_named_and_the_others_are_sealed_anew(real: Backend) -> None:
    async with opened(real, SecretBox("lost")) as (_, before):
        await before.put_tenant("acme", acme(seal=SecretBox("lost")))
    async with opened(real) as (_, store):
        await store.put_tenant("zeta", acme(seal=SecretBox("older")))
        with pytest.raises(Conflict, match=r"opens tenants\.acme\.secrets\.MODELS; 1 others"):
            await store.rotate_secrets()
        written = (await store.tenant("zeta")).secrets["MODELS"]
        assert SecretBox("newest").read(written, place_of("zeta", "MODELS")) == "sk-1"


@in_loop
async def test_what_is_being_deleted_cannot_be_made_anew(real: Backend) -> None:
    async with opened(real) as (stores, store):
        for name in ("acme", "zeta"):
            await store.put_tenant(name, acme())
            await store.put_key(f"k-{name}", key(name))
        await store.delete_tenant("acme")
        assert list(await store.tenants()) == ["zeta"] and list((await store.read()).keys) == ["k-zeta"]
        assert await reply(stores.queue.smembers(keys.TENANTS_GONE)) == {b"acme"}
        with pytest.raises(Conflict):
            await store.put_tenant("acme", acme())


@in_loop
async def test_nobody_fills_the_store_with_keys(valkey: Backend) -> None:
    async with opened(valkey) as (stores, store):
        await store.put_tenant("acme", acme())
        await store.put_tenant("zeta", acme())
        about = key().model_dump_json()
        ended = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(1_002)]
        texts = {f"e{n}": key().model_copy(update={"revoked_at": at}) for n, at in enumerate(ended)}
        written = {n: k.model_dump_json() for n, k in texts.items()}
        written |= {f"v{n}": about for n in range(999)}
        await reply(stores.queue.hset(keys.API_KEYS, mapping=written))
        await store.put_key("k1", key())  # the thousandth that is valid
        kept = await store.keys("acme")
        assert len(kept) == 2_000 and not {"e0", "e1"} & kept.keys() and {"e2", "v0", "k1"} < kept.keys()
        with pytest.raises(BadRequest, match="1000 valid keys"):
            await store.put_key("k2", key())
        await store.put_key("k3", key("zeta"))  # another tenant's are another's
        await store.revoke_key("acme", "k1")
        await store.put_key("k2", key())


@in_loop
async def test_a_tenant_has_an_end(valkey: Backend) -> None:
    async with opened(valkey) as (_, store):
        await store.put_tenant("acme", acme())
        full = {**SUPPORT, "prompt": "p" * 100_000}

        def grow(now: TenantConfig) -> TenantConfig:
            more = {f"p{n}": full for n in range(len(now.profiles) + 20)}
            return TenantConfig.model_validate({**now.model_dump(), "profiles": more})

        with pytest.raises(BadRequest) as refused:
            for _ in range(5):
                await store.change_tenant("acme", grow)
        assert refused.value.code == "tenant_too_large"
        assert len((await store.tenant("acme")).profiles) == 41
