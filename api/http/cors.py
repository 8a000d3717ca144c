"""CORS: only pages of the origins that a tenant's profiles name may use the doors.

A preflight comes without a key, so its tenant is unknown: it is answered for the origins of all profiles. The
answer itself can be read only by an origin of the tenant whose key came, or, where a turn is answered, of
that turn's profile.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.tenants.directory import Directory

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Accept, Api-Key, Authorization, Baggage, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID, "
    "Sentry-Trace, Traceparent, Tracestate, User-Agent, X-Api-Key, X-Fast-Reply-Lanes, X-Request-ID, "
    "X-Room-ID, X-Room-ID-Type, X-Sdk-App-ID, X-Session-ID, X-Task-ID, X-User-ID"
)
_OF_CLIENTS = re.compile(r"(?:x-stainless|openai|x-fast-reply)-[a-z0-9-]{1,64}")
_MOST_NAMES = 50
_EXPOSED = (
    "Retry-After, X-Session-ID, X-Turn-ID, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    "x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    "x-ratelimit-reset-tokens"
)
_MAX_AGE_S = 600


def note_profile(request: Request, profile: str) -> None:
    """Set the profile that answers this request: from here on only its origins are allowed."""
    request.state.profile = profile


class Cors:
    """ASGI middleware. Never `*`, never with credentials: pages send keys explicitly, in `Authorization`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is None:
            await self._app(scope, receive, send)
            return
        if _is_preflight(scope) and _anybody_allows(scope["app"].state.services.directory, origin):
            await _answer_preflight(origin, Headers(scope=scope), send)
            return
        scope.setdefault("state", {})  # the doors put the identity and the profile there

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                if _allows(scope, origin):
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, send_with_origin)


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)


def _anybody_allows(directory: Directory, origin: str) -> bool:
    return any(
        origin in profile.cors_origins for tenant in directory.all() for profile in tenant.profiles.values()
    )


def _allows(scope: Scope, origin: str) -> bool:
    """Return True if the tenant that asked lets this origin read the answer."""
    identity = scope["state"].get("identity")
    if identity is None:
        return False
    name = scope["state"].get("profile")
    if name is None:
        return origin in identity.tenant.cors_origins
    profile = identity.tenant.get(name)
    return profile is not None and origin in profile.cors_origins


def _allowed(asked: Headers) -> str:
    """Return the headers that a page may send: ours, and those that client libraries add about themselves."""
    names = asked.get("access-control-request-headers", "").lower().split(",")[:_MOST_NAMES]
    own = [name for each in names if _OF_CLIENTS.fullmatch(name := each.strip())]
    return ", ".join([_REQUEST_HEADERS, *own])


async def _answer_preflight(origin: str, asked: Headers, send: Send) -> None:
    headers = MutableHeaders(
        {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _allowed(asked),
            "Access-Control-Max-Age": str(_MAX_AGE_S),
            "Vary": "Origin",
        }
    )
    await send({"type": "http.response.start", "status": 204, "headers": headers.raw})
    await send({"type": "http.response.body", "body": b""})
