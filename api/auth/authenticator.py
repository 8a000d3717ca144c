"""The doorkeeper: who may come in, and who must leave again because a key has ended meanwhile."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from fastapi import Request
from starlette.types import Scope as RequestScope

from api.auth.loopback import check_names, is_on_this_machine
from api.auth.tokens import PREFIX, Token, token_signer
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
    """The basis of an identity: a key's id, empty for the open default tenant; a token's expiry, ms."""

    key: str
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """For whom a request acts. `token`: what it came with instead of a key.

    `needed`: those of its scopes without which it could not ask this.
    """

    tenant: Tenant
    scopes: frozenset[Scope]
    credential: Credential = Credential("")
    token: Token | None = None
    needed: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()  # under what else its session is kept

    def is_bound_to(self, session: str) -> bool:
        """Return whether this is a name of the only session that it may touch."""
        return session == self.session or session in self.also

    @property
    def key(self) -> str:
        """The id of the tenant's key, empty for the open default tenant."""
        return self.credential.key

    @property
    def session(self) -> str | None:
        """The only session that it may touch, where its token is bound to one."""
        return self.token.session if self.token else None


class Authenticator:
    """Lets in who shows a valid key or token, and looks again and again at those whose answer goes on."""

    def __init__(self, settings: Settings, directory: Directory) -> None:
        self._settings = settings
        self._directory = directory
        self._inside: dict[tuple[Credential, frozenset[str]], set[asyncio.Future[None]]] = {}
        self.tokens = token_signer(settings)

    def authenticate(self, request: Request, shown: str) -> Identity:
        """Identify who shows a key or token. Raises Unauthorized, Forbidden, Unavailable."""
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
        """Return the scopes that a credential has now: all where no key is needed; a token never has more
        than its key.
        """
        key = self._directory.key(grounds.key)
        return frozenset(key.scopes if key else SCOPES)

    def _refuse(self) -> NoReturn:
        """The same words, whatever is wrong."""
        if not self._directory.known:
            raise store_is_away()
        raise not_valid()

    def _tenant(self, grounds: Credential) -> Tenant | None:
        """The tenant for whom these grounds are valid now."""
        now = datetime.now(UTC)
        if grounds.expires_ms is not None and now.timestamp() * 1000 >= grounds.expires_ms:
            return None
        if not grounds.key:
            return self._directory.tenant(DEFAULT_TENANT) if self._directory.open else None
        key = self._directory.key(grounds.key)
        return self._directory.tenant(key.tenant) if key and key.valid_at(now) else None

    @contextmanager
    def watch(self, identity: Identity) -> Iterator["asyncio.Future[None]"]:
        """While an answer goes on: what is done as soon as the identity could no longer ask for it."""
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
        """Keep looking until cancelled."""
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
    """While a request is answered: what is done as soon as whoever asked has no valid key any more."""
    identity = request.get("state", {}).get("identity")
    if identity is None:
        yield asyncio.get_running_loop().create_future()  # nobody in particular asked
        return
    with request["app"].state.services.authenticator.watch(identity) as over:
        yield over


def not_valid() -> Unauthorized:
    """No key, or none that is known, or one that has ended: nobody can tell which."""
    return Unauthorized("no valid key came with the request", code="invalid_api_key")
