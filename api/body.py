"""Reading a request's body, within its limit."""

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from api.requests.turn_request import TurnRequest
from api.services import Services
from common.errors import BadRequest, TooLarge
from common.tenants.tenant import Tenant

_LARGE_BYTES = 131_072
_MARKS_OF_RETRIES = ("idempotency-key", "x-request-id")


async def read_asking(
    request: Request, tenant: Tenant, services: Services, read: Callable[[bytes], TurnRequest]
) -> TurnRequest:
    """The turn that a body asks for, by how its door reads it: a large one beside the loop.

    Raises TooLarge, BadRequest; RateLimited where nothing can be let in, or too much was refused.
    """
    address = request.client.host if request.client else ""
    services.refusals.check(tenant.id, address)
    raw = b""
    try:
        raw = await _read_asking_body(request, tenant, services)
        return await asyncio.to_thread(read, raw) if len(raw) > _LARGE_BYTES else read(raw)
    except BadRequest:
        services.refusals.count(tenant.id, address, len(raw))
        raise


async def _read_asking_body(request: Request, tenant: Tenant, services: Services) -> bytes:
    if not any(name in request.headers for name in _MARKS_OF_RETRIES):  # a retry may join its turn
        services.admissions.refuse_flood(tenant)
    most = tenant.limits.max_body_bytes or services.settings.max_body_bytes
    return await read_body(request, min(most, services.settings.max_body_bytes))


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises TooLarge, as soon as that is known, or BadRequest."""
    too_large = TooLarge(f"the body is larger than {max_bytes} bytes", code="body_too_large")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > max_bytes:
                raise too_large
            parts.append(part)
    except ClientDisconnect:
        raise BadRequest("the body ended early", code="body_incomplete") from None
    return b"".join(parts)
