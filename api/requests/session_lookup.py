"""Sessions by the name in a path: found, or refused in the same words whoever asks."""

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import NotFound
from common.names import SessionRef, valid_session
from common.security.hidden_names import HiddenNames
from common.sessions.sessions import SessionEntry, Sessions

_PATHS = "/v1/sessions/"
_DOCUMENT = re.compile(r"/v1/knowledge/[^/]+/documents/.")


class QuotedPaths:
    """ASGI middleware: sessions' paths are routed as they were sent.

    A name may hold a quoted slash, which would else be taken for a part of the path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_PATHS) and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}
        await self._app(scope, receive, send)


class TidyPaths:
    """ASGI middleware: a slash too many at a path's beginning or end is none. A document keeps its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_untidy(scope["path"]):
            path, raw = scope["path"], scope.get("raw_path") or b""
            scope = {**scope, "path": "/" + path.strip("/"), "raw_path": b"/" + raw.strip(b"/")}
        await self._app(scope, receive, send)


def _is_untidy(path: str) -> bool:
    if path == "/" or not (path.endswith("/") or path.startswith("//")):
        return False
    return not _DOCUMENT.match(path)


async def find_session(
    sessions: Sessions, hidden: HiddenNames, tenant: str, quoted: str
) -> tuple[SessionRef, SessionEntry]:
    """The tenant's session of a path's quoted name. Raises NotFound, StoreUnavailable."""
    session, known = await look_up(sessions, hidden, tenant, quoted)
    if known is None:
        raise no_session()
    return session, known


async def look_up(
    sessions: Sessions, hidden: HiddenNames, tenant: str, quoted: str
) -> tuple[SessionRef, SessionEntry | None]:
    """Look up a session whose name may be kept hidden. Raises NotFound, StoreUnavailable."""
    session = session_ref(tenant, quoted)
    for kept in (session, *hidden.known_as(session)):
        if known := await sessions.find(kept):
            return kept, known
    return session, None


def session_ref(tenant: str, quoted: str) -> SessionRef:
    """Return the session that a path's quoted name means. Raises NotFound where it can't be a name."""
    name = unquote(quoted)
    if not valid_session(name):
        raise no_session()
    return SessionRef(tenant, name)


def no_session() -> NotFound:
    """Unknown, deleted, or somebody else's: nobody can tell which."""
    return NotFound("there is no such session", code="session_not_found", param="session")
