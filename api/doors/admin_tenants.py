"""The administration of tenants: made, looked at, changed, deleted; their profiles and limits."""

from typing import Any

from fastapi import APIRouter, Request

from api.admin import examples as examples
from api.admin.administration import Administration
from api.admin.forms import (
    changed,
    listed,
    profile_view,
    read_config,
    read_limits,
    read_new,
    tenant_head,
    tenant_of,
    tenant_view,
    with_profile,
)
from api.admin.shapes import NewTenant, ProfileList, ProfileView, TenantBody, TenantList, TenantView
from api.http.identity import Operator, TenantAdmin
from api.openapi.document import as_json, told
from api.openapi.parameters import ProfilePath, TenantPath
from api.schemas import Deleted
from common.errors import BadRequest, Conflict, NotFound
from common.tenants.config import Limits, ProfileConfig, TenantConfig

router = APIRouter(prefix="/admin/tenants")

_TENANT = "/{tenant}"
_PROFILE = "/{tenant}/profiles/{profile}"
_MOST_PROFILES = 100


@router.get(
    "",
    **told(
        "administration",
        "List tenants",
        gives={200: as_json(TenantList, one=examples.TENANTS)},
    ),
)
async def list_tenants(request: Request, who: Operator) -> TenantList:
    """Return all tenants."""
    tenants = await Administration(request, who).tenants()
    return TenantList(object="list", data=[tenant_head(name, config) for name, config in tenants.items()])


@router.post(
    "",
    status_code=201,
    **told(
        "administration",
        "Create a tenant",
        takes=as_json(NewTenant, one=examples.NEW_TENANT),
        gives={201: as_json(TenantView, one=examples.TENANT)},
        refuses=(409,),
    ),
)
async def make_tenant(request: Request, who: Operator) -> dict[str, Any]:
    """Create a tenant, with its profiles and limits."""
    admin = Administration(request, who)
    name, body = read_new(await admin.body())
    config = tenant_of(body, {}, admin.guard)
    act = admin.note("tenant.created", name, fields=changed(TenantConfig(), config))
    await admin.store().put_tenant(name, config, create=True, beside=act)
    return tenant_view(name, config)


@router.get(
    _TENANT,
    **told(
        "administration",
        "Get a tenant",
        gives={200: as_json(TenantView, one=examples.TENANT)},
    ),
)
async def get_tenant(request: Request, who: TenantAdmin, tenant: TenantPath) -> dict[str, Any]:
    """Return a tenant with its profiles and limits, without its keys and secrets."""
    return tenant_view(tenant, await Administration(request, who).tenant(tenant))


@router.put(
    _TENANT,
    **told(
        "administration",
        "Replace a tenant",
        takes=as_json(TenantBody, one=examples.TENANT_BODY),
        gives={200: as_json(TenantView, one=examples.TENANT)},
        refuses=(409,),
    ),
)
async def put_tenant(request: Request, who: Operator, tenant: TenantPath) -> dict[str, Any]:
    """Replace everything of a tenant except its keys and secrets."""
    admin = Administration(request, who)
    body = read_config(await admin.body(), tenant)
    config = await admin.change(
        tenant, "tenant.changed", lambda now: tenant_of(body, now.secrets, admin.guard)
    )
    return tenant_view(tenant, config)


@router.delete(
    _TENANT,
    **told(
        "administration",
        "Delete a tenant",
        gives={200: as_json(Deleted, one=examples.DELETED_TENANT)},
        refuses=(409,),
    ),
)
async def delete_tenant(request: Request, who: Operator, tenant: TenantPath) -> Deleted:
    """Delete a tenant with its keys at once. Its sessions and documents are deleted soon after."""
    admin = Administration(request, who)
    await admin.store().delete_tenant(tenant, admin.note("tenant.deleted", tenant))
    return Deleted(id=tenant, object="tenant.deleted", deleted=True)


@router.put(
    f"{_TENANT}/limits",
    **told(
        "administration",
        "Replace a tenant's limits",
        takes=as_json(Limits, one=examples.LIMITS),
        gives={200: as_json(Limits, one=examples.LIMITS)},
        refuses=(409,),
    ),
)
async def put_limits(request: Request, who: Operator, tenant: TenantPath) -> Limits:
    """Replace a tenant's limits. Those that are left out are not limited."""
    admin = Administration(request, who)
    limits = read_limits(await admin.body())
    config = await admin.change(
        tenant,
        "limits.changed",
        lambda now: now.model_copy(update={"limits": limits}),
        part=lambda config: config.limits,
    )
    return config.limits


@router.get(
    f"{_TENANT}/profiles",
    **told(
        "administration",
        "List profiles",
        gives={200: as_json(ProfileList, one=examples.PROFILES)},
    ),
)
async def list_profiles(request: Request, who: TenantAdmin, tenant: TenantPath) -> dict[str, Any]:
    """Return a tenant's profiles."""
    config = await Administration(request, who).tenant(tenant)
    return listed([profile_view(name, config) for name in config.profiles])


@router.put(
    _PROFILE,
    **told(
        "administration",
        "Create or replace a profile",
        takes=as_json(ProfileConfig, one=examples.PROFILE),
        gives={200: as_json(ProfileView, one=examples.PROFILE_VIEW)},
        refuses=(409,),
    ),
)
async def put_profile(
    request: Request, who: TenantAdmin, tenant: TenantPath, profile: ProfilePath
) -> dict[str, Any]:
    """Create a profile, or replace the one with this name."""
    admin = Administration(request, who)
    body = read_config(await admin.body(), profile)

    def change(now: TenantConfig) -> TenantConfig:
        if profile not in now.profiles and len(now.profiles) >= _MOST_PROFILES:
            raise BadRequest(f"there are {_MOST_PROFILES} profiles", code="too_many_profiles")
        return with_profile(now, profile, body, admin.guard, by_operator=who.is_operator)

    config = await admin.change(
        tenant, "profile.put", change, target=profile, part=lambda config: config.profiles.get(profile)
    )
    return profile_view(profile, config)


@router.delete(
    _PROFILE,
    **told(
        "administration",
        "Delete a profile",
        gives={200: as_json(Deleted, one=examples.DELETED_PROFILE)},
        refuses=(409,),
    ),
)
async def delete_profile(
    request: Request, who: TenantAdmin, tenant: TenantPath, profile: ProfilePath
) -> Deleted:
    """Delete a profile, unless it is the default one."""

    def change(now: TenantConfig) -> TenantConfig:
        if profile not in now.profiles:
            raise NotFound("there is no such profile", code="profile_not_found", param="profile")
        if profile == now.default_profile:
            raise Conflict("it is the default profile", code="profile_in_use", param="profile")
        rest = {name: each for name, each in now.profiles.items() if name != profile}
        return now.model_copy(update={"profiles": rest})

    admin = Administration(request, who)
    await admin.change(tenant, "profile.deleted", change, target=profile, part=lambda config: None)
    return Deleted(id=profile, object="profile.deleted", deleted=True)
