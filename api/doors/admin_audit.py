"""The audit log, read: all of it by the operator, a tenant's by its admin."""

from fastapi import APIRouter, Request

from api.admin import examples as examples
from api.admin.administration import Administration
from api.admin.forms import act_view, read_audit_query
from api.admin.shapes import ActPage
from api.http.identity import Operator, TenantAdmin, no_tenant
from api.openapi.document import as_json, query, told
from api.openapi.parameters import ENTRY_ID, TenantPath
from common.names import valid_tenant

router = APIRouter(prefix="/admin")

_PAGING = (
    query(
        "after",
        "Returns only acts before this one, given by its id.",
        examples.ENTRY,
        type="string",
        pattern=ENTRY_ID,
    ),
    query(
        "limit",
        "The number of acts to return at most.",
        50,
        type="integer",
        minimum=1,
        maximum=200,
        default=50,
    ),
    query(
        "kind",
        "Returns only changes, or only accesses.",
        "changes",
        type="string",
        enum=["changes", "accesses"],
    ),
)


@router.get(
    "/audit",
    **told(
        "administration",
        "Read the audit log",
        asks=(*_PAGING, query("tenant", "Returns only acts on this tenant.", "acme")),
        gives={200: as_json(ActPage, page=examples.ACTS)},
    ),
)
async def list_acts(request: Request, who: Operator) -> ActPage:
    """Return one page of the audit log of all tenants, or of one, the latest act first."""
    return await _page(request, Administration(request, who), request.query_params.get("tenant") or None)


@router.get(
    "/tenants/{tenant}/audit",
    **told(
        "administration",
        "Read a tenant's audit log",
        asks=_PAGING,
        gives={200: as_json(ActPage, page=examples.ACTS)},
    ),
)
async def list_tenants_acts(request: Request, who: TenantAdmin, tenant: TenantPath) -> ActPage:
    """Return one page of a tenant's audit log, the latest act first."""
    if not valid_tenant(tenant):
        raise no_tenant()
    return await _page(request, Administration(request, who), tenant)


async def _page(request: Request, admin: Administration, tenant: str | None) -> ActPage:
    page = await admin.acts(tenant, *read_audit_query(request.query_params))
    return ActPage(
        object="list",
        data=[act_view(entry, act) for entry, act in page.acts],
        has_more=page.more is not None,
        last_id=page.more or (page.acts[-1][0] if page.acts else None),
    )
