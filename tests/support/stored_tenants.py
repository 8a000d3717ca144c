"""Tenants and keys for the tests, put into the store as `/admin` puts them."""

from typing import Any

from common.security.secret_box import SecretBox
from common.store.redis import Stores
from common.tenants.api_keys import id_of, new_key
from common.tenants.config import SCOPES, KeyConfig, Scope, TenantConfig
from common.tenants.stored import TenantStore

FULL = {"base_url": "https://models.example/v1", "model": "full"}


async def add_tenant(stores: Stores, tenant: str, seal: SecretBox | None = None, **config: Any) -> None:
    """Keep a tenant, in the place of the one of this name. `seal`: for the secrets in it."""
    whole = TenantConfig.model_validate({"profiles": {f"{tenant}-profile": {"full": FULL}}, **config})
    await TenantStore(stores, seal).put_tenant(tenant, whole)


async def add_key(stores: Stores, tenant: str, *scopes: Scope, **about: Any) -> str:
    """A new key of a tenant, of all scopes if none are named."""
    made = new_key()
    key = KeyConfig(tenant=tenant, digest=made.digest, scopes=scopes or SCOPES, **about)
    await TenantStore(stores, None).put_key(made.id, key)
    return made.text


async def change_key(stores: Stores, tenant: str, text: str, **changes: Any) -> None:
    """Change what is known of a key."""
    store, key_id = TenantStore(stores, None), id_of(text) or ""
    key = (await store.keys(tenant))[key_id]
    await store.put_key(key_id, key.model_copy(update=changes))


async def revoke(stores: Stores, tenant: str, text: str) -> None:
    """Revoke a key."""
    await TenantStore(stores, None).revoke_key(tenant, id_of(text) or "")


def bearer(key: str) -> dict[str, str]:
    """The headers that show a key."""
    return {"Authorization": f"Bearer {key}"} if key else {}
