"""The headers that every answer has, whichever door gives it."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERYWHERE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""Headers of all answers unless the door sets them otherwise: nearly all answers hold a tenant's data."""

ON_PAGES = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
"""Further headers of HTML: nothing from other origins, nothing inline, no framing."""


class SecurityHeaders:
    """ASGI middleware that adds missing security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_missing(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_safely)


def add_missing(headers: MutableHeaders) -> None:
    """Add the headers that an answer of this type lacks."""
    for name, value in EVERYWHERE.items():
        headers.setdefault(name, value)
    if headers.get("content-type", "").startswith("text/html"):
        for name, value in ON_PAGES.items():
            headers.setdefault(name, value)
