"""Usage and limits: what a tenant's turns have cost, and how much of its limits is used."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.http.identity import Operator, Reader
from api.limits.admission_script import MINUTE_MS
from api.limits.usage_report import GROUPINGS, Table, UsageQuery, read_query
from api.openapi import examples
from api.openapi.document import as_json, as_text, query, told
from api.schemas import LimitsNow, LimitsUsed, UsageList
from api.services import Services
from common.errors import BadRequest
from common.names import TENANT_ID, valid_tenant
from common.store import keys
from common.store.redis import Pipeline
from common.tenants.usage import day_of, read_usage

router = APIRouter()

_DAY: dict[str, Any] = {"type": "string", "format": "date"}
_ASKING = (
    query(
        "from",
        "The first day, in UTC. Without it 30 days are shown; at most 400 can be.",
        "2026-11-01",
        **_DAY,
    ),
    query("to", "The last day, in UTC. Without it this is today.", "2026-11-21", **_DAY),
    query("profile", "Returns only the usage of this profile.", "support"),
    query(
        "by",
        "The unit that each row sums up. Without it there is a row for each day and profile.",
        "day",
        type="string",
        enum=list(GROUPINGS),
    ),
    query(
        "format",
        "The format of the answer. `Accept: text/csv` asks for CSV too.",
        type="string",
        enum=["json", "csv"],
    ),
)
_TENANT = query("tenant", "Returns only the usage of this tenant.", "acme", type="string", pattern=TENANT_ID)
_GIVES = {
    200: as_json(UsageList, by_day=examples.USAGE)
    | as_text("text/csv", "A row of column names, then a row for each item of `data`.", examples.USAGE_CSV)
}


@router.get("/v1/usage", **told("usage", "Get usage", asks=_ASKING, gives=_GIVES))
async def usage(request: Request, who: Reader) -> Response:
    """Return how much the tenant's turns have used, by day and profile."""
    asked = _asked(request)
    return await _answer(request, asked, Table(asked), [who.tenant.id])


@router.get(
    "/admin/usage", **told("usage", "Get the usage of all tenants", asks=(*_ASKING, _TENANT), gives=_GIVES)
)
async def usage_of_all(request: Request, who: Operator) -> Response:
    """Return how much all tenants have used, or one of them; deleted ones too, while their usage is kept."""
    services: Services = request.app.state.services
    asked, tenant = _asked(request), request.query_params.get("tenant")
    if tenant and not valid_tenant(tenant):
        raise BadRequest("no tenant can have this id", param="tenant")
    used = await services.stores.queue.smembers(keys.USED) if not tenant else ()  # type: ignore[misc]
    tenants = [tenant] if tenant else [name.decode() for name in used]
    return await _answer(request, asked, Table(asked, tenants=True), tenants)


@router.get(
    "/v1/limits", **told("usage", "Get limits", gives={200: as_json(LimitsNow, some=examples.LIMITS)})
)
async def limits(request: Request, who: Reader) -> LimitsNow:
    """Return the tenant's limits, where 0 means no limit, and how much of each is used now."""
    services: Services = request.app.state.services
    tenant, now_ms = who.tenant, services.stores.queue_clock.now_ms()

    def build(pipe: Pipeline) -> None:
        pipe.zcount(keys.turn_starts(tenant.id), f"({now_ms - MINUTE_MS}", "+inf")
        pipe.zcard(keys.live_turns(tenant.id))
        pipe.zcard(keys.sessions(tenant.id))
        pipe.hmget(keys.tokens(tenant.id, day_of(now_ms)), ["spent", "reserved"])
        pipe.hget(keys.kept_bytes(tenant.id), "")

    starts, live, sessions, tokens, kept = await services.stores.on_queue.run(build)
    spent, reserved = (int(number or 0) for number in tokens)
    used = LimitsUsed(
        turns_last_minute=starts,
        live_turns=live,
        tokens_spent_today=spent,
        tokens_reserved_today=reserved,
        sessions_kept=sessions,
        kept_bytes=int(kept or 0),
    )
    return LimitsNow(object="limits", limits=tenant.limits.model_dump(), used=used)


def _asked(request: Request) -> UsageQuery:
    services: Services = request.app.state.services
    today = datetime.fromtimestamp(services.stores.queue_clock.now_ms() / 1000, UTC).date()
    return read_query(request.query_params, request.headers.get("accept", ""), today)


async def _answer(request: Request, asked: UsageQuery, table: Table, tenants: list[str]) -> Response:
    services: Services = request.app.state.services
    for tenant in tenants:
        table.add(tenant, await read_usage(services.stores, tenant, asked.first, asked.last))
    if not asked.csv:
        return JSONResponse(table.as_list().model_dump(exclude_unset=True))
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(table.as_csv(), media_type="text/csv", headers=headers)
