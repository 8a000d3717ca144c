"""Who asks: read from the request's key before anything else of it is looked at.

Every route says with `Chat`, `Reader`, `Admin` or `Operator` whom it serves, or with `Anybody` that it
serves all; an application with a route that says nothing does not start.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from common.errors import Forbidden, Unauthorized, Unavailable
from common.keys import DEFAULT_TENANT
from common.settings import Settings
from common.tenants.api_keys import id_of, opens
from common.tenants.config import SCOPES, Scope
from common.tenants.directory import Directory
from common.tenants.tenant import Tenant

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A tenant's API key, `frk_…`.")
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


@dataclass(frozen=True, slots=True)
class Identity:
    """For whom a request acts. `key`: the id of the tenant's key, empty for the open default tenant."""

    tenant: Tenant
    scopes: frozenset[Scope]
    key: str = ""


async def authenticate(request: Request, needed: SecurityScopes, bearer: _Bearer) -> Identity:
    """The tenant whose key comes with the request, if the key may do this.

    Raises Unauthorized, Forbidden, Unavailable.
    """
    services = request.app.state.services
    identity = _identify(request, services.settings, services.directory, bearer.credentials if bearer else "")
    if missing := set(needed.scopes) - identity.scopes:
        raise Forbidden(f"the key lacks the scope {min(missing)}", code="missing_scope")
    return identity


def _identify(request: Request, settings: Settings, directory: Directory, text: str) -> Identity:
    if directory.open:
        if settings.open_access or _is_local(request):
            tenant = directory.tenant(DEFAULT_TENANT)
            assert tenant is not None, "the default tenant is always there"
            return Identity(tenant, frozenset(SCOPES))
        raise Unauthorized("no tenant is set up: only this machine is served", code="no_tenants")
    if not directory.known:
        raise Unavailable("the store is away; try again", code="store_unavailable")
    key_id = id_of(text)
    key = directory.key(key_id) if key_id else None
    tenant = directory.tenant(key.tenant) if key else None
    if not opens(text, key, datetime.now(UTC)) or key is None or tenant is None:
        raise Unauthorized("this key is not valid", code="invalid_api_key")
    return Identity(tenant, frozenset(key.scopes), key_id or "")


def _is_local(request: Request) -> bool:
    """Whether the request comes from this machine."""
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def authenticate_operator(request: Request, bearer: _Bearer) -> None:
    """Raises Unauthorized unless the operator's token comes with the request."""
    settings: Settings = request.app.state.services.settings
    token = settings.operator_token.get_secret_value()
    text = bearer.credentials if bearer else ""
    if not hmac.compare_digest(text.encode(), token.encode()) or not token:
        raise Unauthorized("this token is not valid", code="invalid_api_key")


async def nobody_in_particular() -> None:
    """For routes that are open to all."""


Chat = Annotated[Identity, Security(authenticate, scopes=["chat"])]
Reader = Annotated[Identity, Security(authenticate, scopes=["read"])]
Admin = Annotated[Identity, Security(authenticate, scopes=["admin"])]
Member = Annotated[Identity, Security(authenticate)]
Operator = Annotated[None, Depends(authenticate_operator)]
Anybody = Annotated[None, Depends(nobody_in_particular)]
