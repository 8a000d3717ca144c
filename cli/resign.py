"""`fast-reply tenants resign`: signs the tenants and keys in the store once somebody has reviewed them."""

import asyncio
import sys

import typer
from pydantic import ValidationError

from common.security.secret_box import open_secret_box
from common.settings import Settings
from common.store import keys
from common.store.redis import StoreUnavailable, open_stores
from common.tenants.config import KeyConfig, stored_tenant
from common.tenants.stored import TenantStore


def resign(settings: Settings, sure: bool) -> int:
    """Show what isn't signed with the newest key, ask, and sign it; return the exit code."""
    if not settings.secret_key.get_secret_value():
        print("fast-reply: FAST_REPLY_SECRET_KEY is not set", file=sys.stderr)
        return 1
    try:
        return asyncio.run(_resign(settings, sure))
    except StoreUnavailable as error:
        print(f"fast-reply: the store is away: {error.reason}", file=sys.stderr)
        return 1


async def _resign(settings: Settings, sure: bool) -> int:
    async with open_stores(settings) as stores:
        store = TenantStore(stores, open_secret_box(settings))
        seen = await store.read_all()
        found = list(seen.unsigned(known=False))
        for table, name, text in found:
            print(_line(table, name, text))
        if not found:
            print("all tenants and keys are signed")
            return 0
        if not (sure or await asyncio.to_thread(typer.confirm, "Sign these?")):
            return 1
        print(f"{await store.sign(seen)} records signed")
    return 0


def _line(table: str, name: str, text: bytes) -> str:
    """Describe a record for review: above all a key that nobody has made must be noticed."""
    try:
        if table == keys.TENANTS:
            config = stored_tenant(text)
            line = f"tenant {name}: profiles {', '.join(config.profiles) or 'none'}"
        else:
            key = KeyConfig.model_validate_json(text)
            made = key.created_at.isoformat() if key.created_at else "an unknown day"
            state = "revoked" if key.revoked_at else "valid"
            scopes = ", ".join(key.scopes)
            line = f"key {name} of {key.tenant}: {scopes}; {key.name or 'no name'}; made {made}; {state}"
    except ValidationError:
        line = f"{name}: can't be read, and opens nothing"
    return line if line.isprintable() else repr(line)
