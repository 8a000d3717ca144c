"""The administration of tenants' secrets: put, told by their names, never shown."""

from fastapi import APIRouter, Request

from api.admin import examples as examples
from api.admin.administration import Administration
from api.admin.forms import SecretWish, read, secret_view, uses_of, with_secret, without_secret
from api.admin.shapes import Resealed, SecretList, SecretView
from api.http.identity import Operator, TenantAdmin
from api.openapi.document import as_json, told
from api.openapi.parameters import SecretPath, TenantPath
from api.schemas import Deleted
from common.errors import BadRequest, Conflict, NotFound
from common.security.secret_box import place_of
from common.tenants.config import TenantConfig

router = APIRouter(prefix="/admin")

_SECRETS = "/tenants/{tenant}/secrets"
_MOST_SECRETS = 100


@router.get(
    _SECRETS,
    **told(
        "administration",
        "List secrets",
        gives={200: as_json(SecretList, one=examples.SECRETS)},
    ),
)
async def list_secrets(request: Request, who: TenantAdmin, tenant: TenantPath) -> SecretList:
    """Return the names of a tenant's secrets, when each was set, and what refers to it."""
    config = await Administration(request, who).tenant(tenant)
    return SecretList(object="list", data=[secret_view(name, config) for name in config.secrets])


@router.put(
    f"{_SECRETS}/{{name}}",
    **told(
        "administration",
        "Create or replace a secret",
        takes=as_json(SecretWish, one=examples.SECRET_WISH),
        gives={200: as_json(SecretView, one=examples.SECRET)},
        refuses=(409,),
    ),
)
async def put_secret(request: Request, who: TenantAdmin, tenant: TenantPath, name: SecretPath) -> SecretView:
    """Create a secret, or replace the one with this name. It is stored encrypted.

    Profiles may send it only to its `origins`. Without these it is bound to where it is used now, or else to
    where it is used first.
    """
    admin = Administration(request, who)
    wish = read(SecretWish, await admin.body())
    sealed = admin.seal().write(wish.value.get_secret_value(), place_of(tenant, name))

    def change(now: TenantConfig) -> TenantConfig:
        if name not in now.secrets and len(now.secrets) >= _MOST_SECRETS:
            raise BadRequest(f"there are {_MOST_SECRETS} secrets", code="too_many_secrets")
        return with_secret(now, name, sealed, wish.origins)

    config = await admin.change(tenant, "secret.put", change, target=name, part=lambda config: None)
    return secret_view(name, config)


@router.delete(
    f"{_SECRETS}/{{name}}",
    **told(
        "administration",
        "Delete a secret",
        gives={200: as_json(Deleted, one=examples.DELETED_SECRET)},
        refuses=(409,),
    ),
)
async def delete_secret(request: Request, who: TenantAdmin, tenant: TenantPath, name: SecretPath) -> Deleted:
    """Delete a secret, unless something refers to it."""

    def change(now: TenantConfig) -> TenantConfig:
        if name not in now.secrets:
            raise NotFound("there is no such secret", code="secret_not_found", param="name")
        if uses := uses_of(name, now):
            raise Conflict(f"{', '.join(uses)} refers to it", code="secret_in_use", param="name")
        return without_secret(now, name)

    admin = Administration(request, who)
    await admin.change(tenant, "secret.deleted", change, target=name, part=lambda config: None)
    return Deleted(id=name, object="secret.deleted", deleted=True)


@router.post(
    "/secrets/rotate",
    **told(
        "administration",
        "Re-encrypt all secrets",
        gives={200: as_json(Resealed, one=examples.RESEALED)},
        refuses=(400, 409),
    ),
)
async def rotate_secrets(request: Request, who: Operator) -> Resealed:
    """Re-encrypt all tenants' secrets with the newest secret key, so that older ones can be removed."""
    admin = Administration(request, who)
    store = admin.store()
    admin.seal()
    resealed = await store.rotate_secrets(lambda tenant: admin.note("secrets.rotated", tenant))
    return Resealed(object="secrets.rotated", resealed=resealed)
