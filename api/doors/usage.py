"""Usage and limits: what a tenant's turns have cost, and how much of its limits is used."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.identity import Operator, Reader
from api.services import Services
from api.turns import store_is_away
from api.usage_report import Asked, Table, read_query
from common import keys
from common.admission import MINUTE_MS
from common.errors import BadRequest
from common.stores import STORE_ERRORS, Pipe
from common.usage import day_of, read_usage

router = APIRouter()


@router.get("/v1/usage")
async def usage(request: Request, who: Reader) -> Response:
    """What the tenant's turns have cost, by day and profile."""
    asked = _asked(request)
    return await _answer(request, asked, Table(asked), [who.tenant.id])


@router.get("/admin/usage")
async def usage_of_all(request: Request, who: Operator) -> Response:
    """What all tenants' turns have cost, or one's; of deleted tenants too, for as long as usage is kept."""
    services: Services = request.app.state.services
    asked, tenant = _asked(request), request.query_params.get("tenant")
    if tenant and not keys.valid_tenant(tenant):
        raise BadRequest("no tenant can have this id", param="tenant")
    try:
        used = await services.stores.queue.smembers(keys.USED) if not tenant else ()  # type: ignore[misc]
    except STORE_ERRORS:
        raise store_is_away() from None
    tenants = [tenant] if tenant else [name.decode() for name in used]
    return await _answer(request, asked, Table(asked, tenants=True), tenants)


@router.get("/v1/limits")
async def limits(request: Request, who: Reader) -> dict[str, Any]:
    """The tenant's limits, 0 for none, and how much of them is used now."""
    services: Services = request.app.state.services
    tenant, now_ms = who.tenant, services.stores.queue_clock.now_ms()

    def build(pipe: Pipe) -> None:
        pipe.zcount(keys.turn_starts(tenant.id), f"({now_ms - MINUTE_MS}", "+inf")
        pipe.zcard(keys.live_turns(tenant.id))
        pipe.zcard(keys.sessions(tenant.id))
        pipe.hmget(keys.tokens(tenant.id, day_of(now_ms)), ["spent", "reserved"])

    try:
        starts, live, sessions, tokens = await services.stores.on_queue.run(build)
    except STORE_ERRORS:
        raise store_is_away() from None
    spent, reserved = (int(number or 0) for number in tokens)
    used = {
        "turns_last_minute": starts,
        "live_turns": live,
        "tokens_spent_today": spent,
        "tokens_reserved_today": reserved,
        "sessions_kept": sessions,
    }
    return {"object": "limits", "limits": tenant.limits.model_dump(), "used": used}


def _asked(request: Request) -> Asked:
    services: Services = request.app.state.services
    today = datetime.fromtimestamp(services.stores.queue_clock.now_ms() / 1000, UTC).date()
    return read_query(request.query_params, request.headers.get("accept", ""), today)


async def _answer(request: Request, asked: Asked, table: Table, tenants: list[str]) -> Response:
    services: Services = request.app.state.services
    try:
        for tenant in tenants:
            table.add(tenant, await read_usage(services.stores, tenant, asked.first, asked.last))
    except STORE_ERRORS:
        raise store_is_away() from None
    if not asked.csv:
        return JSONResponse(table.as_json())
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(table.as_csv(), media_type="text/csv", headers=headers)
