"""Identifies who asks, from the request's key, before anything else in the request is read.

Every route says with `Chat`, `Reader`, `Admin`, `Member`, `TenantAdmin` or `Operator` whom it serves, or with
`Anybody` that it serves all. An application with a route that says nothing does not start.
"""

import hmac
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from api.auth.authenticator import Identity as Identity
from api.auth.authenticator import not_valid
from api.auth.loopback import address_of
from api.auth.tokens import PREFIX
from api.auth.trail import REFUSED, note_access
from api.requests.session_lookup import no_session
from api.requests.turn_request import TurnRequest
from common.errors import Forbidden, NotFound, Unauthorized
from common.names import SessionRef, valid_tenant
from common.tenants.api_keys import id_of

_KEY_PREFIX = "frk_"
_HEADERS = ("api-key", "x-api-key")  # as Azure's and Anthropic's clients send it
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A tenant's API key, `frk_…`, or a browser token, `frt_…`. "
    "It may also be sent in the header `api-key` or `x-api-key`, and a token as `?token=` of a GET request.",
)
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change to a tenant, for the audit log: `operator`, or `key:<id>` of that tenant."""

    name: str
    tenant: str | None = None

    @property
    def is_operator(self) -> bool:
        return self.name == "operator"


async def authenticate(request: Request, needed: SecurityScopes, bearer: _Bearer) -> Identity:
    """Return the identity whose key or token comes with the request, if it has the scopes it needs.

    Raises Unauthorized, Forbidden, NotFound, Unavailable.
    """
    identity = await _admit(request, bearer)
    _check_scopes(identity, needed)
    identity = replace(identity, needed=frozenset(needed.scopes))
    if identity.session is not None:
        hidden = request.app.state.services.hidden_names
        kept = hidden.known_as(SessionRef(identity.tenant.id, identity.session))
        identity = replace(identity, also=frozenset(ref.session for ref in kept))
        _check_session(request, identity, needed)
    if identity.key and ("read" in needed.scopes or _puts_documents(request)):
        note_access(request, f"key:{identity.key}", identity.tenant.id)
    request.scope.setdefault("state", {})["identity"] = identity
    return identity


async def _admit(request: Request, bearer: HTTPAuthorizationCredentials | None) -> Identity:
    """Authenticate the request. Raises Unauthorized, delayed after repeated wrong keys from its address."""
    services = request.app.state.services
    shown = _shown(request, bearer)
    try:
        admitted: Identity = services.authenticator.authenticate(request, shown)
    except Unauthorized:
        await _refuse(request, shown)
        raise
    return admitted


async def _refuse(request: Request, shown: str) -> None:
    """Note a key or token that was refused, and delay addresses that show many. Raises RateLimited."""
    services = request.app.state.services
    key_id = id_of(shown) or ""
    known = services.directory.key(key_id)
    if shown:
        note_access(request, f"key:{key_id}" if known else "", known.tenant if known else "", REFUSED)
        await services.refusal_delay.refuse(address_of(request))


def _puts_documents(request: Request) -> bool:
    return request.method in ("PUT", "POST") and request.url.path.startswith("/v1/knowledge/")


def _shown(request: Request, bearer: HTTPAuthorizationCredentials | None) -> str:
    """Return the key or token that comes with the request; empty if none does. Raises Unauthorized."""
    in_query = request.query_params.get("token", "")
    if in_query.startswith(_KEY_PREFIX):
        message = "a key must not stand in a URL, where it is logged: ask POST /v1/tokens for a token"
        raise Unauthorized(message, code="key_in_query", param="token")
    in_headers = [request.headers.get(name, "") for name in _HEADERS]
    shown = [bearer.credentials if bearer else "", *in_headers]
    if request.method == "GET" and in_query.startswith(PREFIX):
        shown.append(in_query)
    return next(filter(None, shown), "")


def _check_scopes(identity: Identity, needed: SecurityScopes) -> None:
    if missing := set(needed.scopes) - identity.scopes:
        raise Forbidden(f"the key lacks the scope {min(missing)}", code="missing_scope")


def _check_session(request: Request, who: Identity, needed: SecurityScopes) -> None:
    """Raise an error if a token bound to a session asks for anything outside it.

    Doors check the turns that a request names.
    """
    named = request.path_params.get("session")
    if named is not None and not who.is_bound_to(unquote(named)):
        raise no_session()
    if named is None and {*needed.scopes} - {"chat"}:
        raise Forbidden("the token is for one session only", code="bound_token")


def as_asked_by(who: Identity, asked: TurnRequest) -> TurnRequest:
    """Return the request with its token, and in the token's session. Raises Forbidden if it names another."""
    asked = replace(asked, token=who.token)
    if who.session is None or (asked.session and who.is_bound_to(asked.session)):
        return asked
    if asked.session is not None:
        raise Forbidden("the token is for another session", code="bound_token", param="session_id")
    return replace(asked, session=who.session)


def is_ours(credential: str) -> bool:
    """Return True if it is a key or token of this gateway, which no other server should see."""
    return credential.startswith((_KEY_PREFIX, PREFIX))


async def authenticate_operator(request: Request, bearer: _Bearer) -> Actor:
    """Raise Unauthorized unless the operator's token comes with the request."""
    shown = _shown(request, bearer)
    await request.app.state.services.refusal_delay.before_operator(address_of(request))
    if not _is_operators(request, shown):
        await _refuse(request, shown)
        raise not_valid()
    if request.method == "GET":
        note_access(request, "operator", "")
    return Actor("operator")


async def authenticate_tenant_admin(request: Request, bearer: _Bearer) -> Actor:
    """Return the operator, or an admin of the tenant in the path. Raises Unauthorized, Forbidden,
    NotFound.
    """
    tenant, shown = request.path_params["tenant"], _shown(request, bearer)
    await request.app.state.services.refusal_delay.before_operator(address_of(request))
    if _is_operators(request, shown):
        if request.method == "GET":
            note_access(request, "operator", tenant if valid_tenant(tenant) else "")
        return Actor("operator", tenant)
    identity = await _admit(request, bearer)
    if not identity.key:
        raise not_valid()  # the open default tenant is nobody's to change
    _check_scopes(identity, SecurityScopes(["admin"]))
    if tenant != identity.tenant.id:
        raise no_tenant()
    if request.method == "GET":
        note_access(request, f"key:{identity.key}", tenant)
    return Actor(f"key:{identity.key}", tenant)


def _is_operators(request: Request, shown: str) -> bool:
    token = request.app.state.services.settings.operator_token.get_secret_value()
    return hmac.compare_digest(shown.encode(), token.encode()) and bool(token)


def no_tenant() -> NotFound:
    """Return the error for a tenant that is unknown or somebody else's: a client can't tell which."""
    return NotFound("there is no such tenant", code="tenant_not_found", param="tenant")


async def nobody_in_particular() -> None:
    """Authenticate nobody: for routes that are open to all."""


Chat = Annotated[Identity, Security(authenticate, scopes=["chat"])]
Reader = Annotated[Identity, Security(authenticate, scopes=["read"])]
Admin = Annotated[Identity, Security(authenticate, scopes=["admin"])]
Member = Annotated[Identity, Security(authenticate)]
TenantAdmin = Annotated[Actor, Depends(authenticate_tenant_admin)]
Operator = Annotated[Actor, Depends(authenticate_operator)]
Anybody = Annotated[None, Depends(nobody_in_particular)]
SERVED = (authenticate, authenticate_tenant_admin, authenticate_operator, nobody_in_particular)
"""The dependencies by which a route says whom it serves."""
