"""Reading a request's body, within its limit."""

from starlette.requests import ClientDisconnect, Request

from common.errors import BadRequest, TooLarge


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
