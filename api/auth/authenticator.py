"""Authenticates requests, and ends answers that go on when their key expires or is revoked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from fastapi import Request
from starlette.types import Scope as RequestScope

from api.auth.loopback import check_names, is_on_this_machine
from api.auth.tokens import PREFIX, BrowserToken, token_signer
from common.errors import Unauthorized, store_is_away
from common.names import DEFAULT_TENANT
from common.settings import Settings
from common.tenants.api_keys import id_of, opens
from common.tenants.config import SCOPES, Scope
from common.tenants.directory import Directory
from common.tenants.tenant import Tenant

_LOOK_S = 0.25  # with the directory's own period less than a second


@dataclass(frozen=True, slots=True)
class Credential:
    """The key or token that an identity rests on. `key`: the key's id, empty for the open default tenant.

    `expires_ms`: when the token expires; None for a key.
    """

    key: str
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The tenant a request acts for, and what it may do. `token`: the token it came with, if it was not a
    key.

    `needed`: the scopes that this request requires.
    """

    tenant: Tenant
    scopes: frozenset[Scope]
    credential: Credential = Credential("")
    token: BrowserToken | None = None
    needed: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()  # other names under which its session is stored

    def is_bound_to(self, session: str) -> bool:
        """Return True if this is a name of the only session that it may touch."""
        return session == self.session or session in self.also

    @property
    def key(self) -> str:
        """The id of the tenant's key, empty for the open default tenant."""
        return self.credential.key

    @property
    def session(self) -> str | None:
        """The only session that it may touch; None if it is not bound to one."""
        return self.token.session if self.token else None


class Authenticator:
    """Authenticates keys and tokens, and rechecks regularly those whose answers are still going on."""

    def __init__(self, settings: Settings, directory: Directory) -> None:
        self._settings = settings
        self._directory = directory
        self._inside: dict[tuple[Credential, frozenset[str]], set[asyncio.Future[None]]] = {}
        self.tokens = token_signer(settings)

    def authenticate(self, request: Request, shown: str) -> Identity:
        """Return the identity that this key or token stands for. Raises Unauthorized, Forbidden,
        Unavailable.
        """
        if shown.startswith(PREFIX):
            return self._by_token(shown)
        if self._directory.open:
            tenant = self._tenant(Credential(""))
            if tenant and (
                self._settings.open_access or is_on_this_machine(request, self._settings.host_names)
            ):
                check_names(request, self._settings.host_names, tenant.cors_origins)
                return Identity(tenant, frozenset(SCOPES))
            raise Unauthorized("no tenant is set up: only this machine is served", code="no_tenants")
        return self._by_key(shown)

    def _by_key(self, text: str) -> Identity:
        grounds = Credential(id_of(text) or "")
        key = self._directory.key(grounds.key)
        tenant = self._tenant(grounds)
        if not opens(text, key) or key is None or tenant is None:
            self._refuse()
        return Identity(tenant, frozenset(key.scopes), grounds)

    def _by_token(self, text: str) -> Identity:
        token = self.tokens.read(text)
        if token is None:
            self._refuse()
        grounds = Credential(token.key, token.expires_ms)
        tenant = self._tenant(grounds)
        if tenant is None:
            self._refuse()
        return Identity(tenant, frozenset(token.scopes) & self._scopes(grounds), grounds, token)

    def _scopes(self, grounds: Credential) -> frozenset[Scope]:
        """Return the scopes of these credentials now: all where no key is needed; a token has at most its
        key's.
        """
        key = self._directory.key(grounds.key)
        return frozenset(key.scopes if key else SCOPES)

    def _refuse(self) -> NoReturn:
        """Raise the same error whatever is wrong, so that it reveals nothing."""
        if not self._directory.known:
            raise store_is_away()
        raise not_valid()

    def _tenant(self, grounds: Credential) -> Tenant | None:
        """Return the tenant for which these credentials are valid now, if there is one."""
        now = datetime.now(UTC)
        if grounds.expires_ms is not None and now.timestamp() * 1000 >= grounds.expires_ms:
            return None
        if not grounds.key:
            return self._directory.tenant(DEFAULT_TENANT) if self._directory.open else None
        key = self._directory.key(grounds.key)
        return self._directory.tenant(key.tenant) if key and key.valid_at(now) else None

    @contextmanager
    def watch(self, identity: Identity) -> Iterator["asyncio.Future[None]"]:
        """Yield a future that is done as soon as the identity could no longer make this request."""
        over, rests_on = asyncio.get_running_loop().create_future(), (identity.credential, identity.needed)
        waiting = self._inside.setdefault(rests_on, set())
        waiting.add(over)
        try:
            yield over
        finally:
            waiting.discard(over)
            if not waiting:
                self._inside.pop(rests_on, None)

    async def run(self) -> None:
        """Recheck the identities of running answers until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for ended in [each for each in self._inside if not self._may(*each)]:
                for over in self._inside[ended]:
                    if not over.done():
                        over.set_result(None)

    def _may(self, grounds: Credential, needed: frozenset[str]) -> bool:
        return self._tenant(grounds) is not None and needed <= self._scopes(grounds)


@contextmanager
def watching(request: RequestScope) -> Iterator["asyncio.Future[None]"]:
    """Yield a future that is done as soon as the request's key or token is no longer valid."""
    identity = request.get("state", {}).get("identity")
    if identity is None:
        yield asyncio.get_running_loop().create_future()  # the route is open to all
        return
    with request["app"].state.services.authenticator.watch(identity) as over:
        yield over


def not_valid() -> Unauthorized:
    """Return the error for a missing, unknown or expired key: a client can't tell which."""
    return Unauthorized("no valid key came with the request", code="invalid_api_key")
