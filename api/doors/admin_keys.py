"""The administration of tenants' API keys: each is shown once, when it is made."""

from typing import Any

from fastapi import APIRouter, Request

from api.admin import examples as examples
from api.admin.administration import Administration
from api.admin.forms import KeyWish, key_view, listed, read
from api.admin.shapes import KeyList, KeyView, NewKeyView
from api.http.identity import TenantAdmin
from api.openapi.document import as_json, told
from api.openapi.parameters import KeyPath, TenantPath
from common.errors import Forbidden
from common.tenants.api_keys import new_key

router = APIRouter(prefix="/admin/tenants/{tenant}/keys")


@router.get(
    "",
    **told(
        "administration",
        "List keys",
        gives={200: as_json(KeyList, one=examples.KEYS)},
    ),
)
async def list_keys(request: Request, who: TenantAdmin, tenant: TenantPath) -> dict[str, Any]:
    """Return what is known of a tenant's keys, including revoked ones, but never the keys themselves."""
    keys = await Administration(request, who).keys(tenant)
    return listed([key_view(key_id, key) for key_id, key in keys.items()])


@router.post(
    "",
    status_code=201,
    **told(
        "administration",
        "Create a key",
        takes=as_json(KeyWish, one=examples.KEY_WISH),
        gives={201: as_json(NewKeyView, one=examples.NEW_KEY)},
        refuses=(409,),
    ),
)
async def make_key(request: Request, who: TenantAdmin, tenant: TenantPath) -> dict[str, Any]:
    """Create a key. The answer is the only place where `key` is ever shown."""
    admin = Administration(request, who)
    wish = read(KeyWish, await admin.body())
    if missing := set(wish.scopes) - admin.scopes:
        message = f"scopes: only a key that has the scope {min(missing)} may give it"
        raise Forbidden(message, code="missing_scope", param="scopes")
    made = new_key()
    key = wish.made(tenant, made.digest)
    await admin.store().put_key(made.id, key, admin.note("key.created", tenant, made.id, key.scopes))
    return {**key_view(made.id, key), "key": made.text}


@router.delete(
    "/{key_id}",
    **told(
        "administration",
        "Revoke a key",
        gives={200: as_json(KeyView, one=examples.KEY)},
        refuses=(409,),
    ),
)
async def revoke_key(
    request: Request, who: TenantAdmin, tenant: TenantPath, key_id: KeyPath
) -> dict[str, Any]:
    """Revoke a key. Within a second it stops working and its open streams end. It stays in the list."""
    admin = Administration(request, who)
    key = await admin.store().revoke_key(tenant, key_id, admin.note("key.revoked", tenant, key_id))
    return key_view(key_id, key)
