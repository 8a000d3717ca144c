"""The audit log, read: all of it by the operator, a tenant's by its admin."""

from typing import Any

from fastapi import APIRouter, Request

from api.admin import act_view, read_audit_query
from api.administration import Administration
from api.identity import Operator, TenantAdmin

router = APIRouter(prefix="/admin")


@router.get("/audit")
async def list_acts(request: Request, who: Operator) -> dict[str, Any]:
    """All acts, or those of one `tenant`, the latest first; `after` an id those before it."""
    return await _page(request, Administration(request, who), request.query_params.get("tenant") or None)


@router.get("/tenants/{tenant}/audit")
async def list_tenants_acts(request: Request, who: TenantAdmin, tenant: str) -> dict[str, Any]:
    """A tenant's acts, the latest first; `after` an id those before it."""
    return await _page(request, Administration(request, who), tenant)


async def _page(request: Request, admin: Administration, tenant: str | None) -> dict[str, Any]:
    after, limit = read_audit_query(request.query_params)
    page = await admin.acts(tenant, after, limit)
    return {
        "object": "list",
        "data": [act_view(entry, act) for entry, act in page.acts],
        "has_more": page.more is not None,
        "last_id": page.more or (page.acts[-1][0] if page.acts else None),
    }
