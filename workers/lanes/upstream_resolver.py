"""Finds the upstreams of a lane: its profile's models, with the caller's own key, or a server that the
request names.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from common.names import TurnRef
from common.net.named_server import NamedServer, fill_in, shows
from common.security import credentials
from common.security.credentials import Credentials
from common.security.secret_box import open_secret_box
from common.security.url_guard import UrlGuard
from common.settings import Settings
from common.store.redis import Stores, StoreUnavailable
from common.tenants.directory import Directory
from common.tenants.profiles import Profile, Upstream
from workers.providers.base import UpstreamError

logger = logging.getLogger(__name__)

_YANDEX = "/foundationModels/v1/completion"
_AGAIN_S = 0.2


class UpstreamResolver:
    """Knows the tenant's secrets, and opens what a request has brought along."""

    def __init__(self, settings: Settings, stores: Stores, directory: Directory) -> None:
        self._directory = directory
        self._settings = settings
        self._stores = stores
        self._seal = open_secret_box(settings)
        self._guard = UrlGuard(settings.allowed_hosts)

    async def resolve(self, turn: TurnRef, name: str, lane: str, asked: dict[str, Any]) -> list[Upstream]:
        """Return the upstreams of a lane in the order in which they are tried. Raises UpstreamError."""
        profile = await self._profile(turn.session.tenant, name)
        if server := asked.get("server"):
            return [await self._named(turn, NamedServer.read(server), asked["model"])]
        upstreams = profile.upstreams(lane, asked["model"])
        if not asked.get("caller_key"):
            return upstreams
        key = SecretStr((await self._open(turn)).key)
        # A key goes only to the server it was given for.
        server_of_key = profile.full.base_url
        return [replace(u, api_key=key) if u.base_url == server_of_key else u for u in upstreams]

    async def _profile(self, tenant_id: str, name: str) -> Profile:
        """The turn's profile; one that was made a moment ago is looked for at once."""
        for is_fresh in (False, True):
            tenant = self._directory.tenant(tenant_id)
            if profile := tenant.get(name) if tenant else None:
                return profile
            if not is_fresh:
                with suppress(StoreUnavailable):
                    await self._directory.refresh()
        raise UpstreamError("unknown_profile", "this worker doesn't know the turn's profile", faulty=False)

    async def _named(self, turn: TurnRef, server: NamedServer, model: str) -> Upstream:
        tenant = self._directory.tenant(turn.session.tenant)
        secrets = tenant.secrets if tenant else {}
        secret = secrets.get(server.secret, SecretStr("")).get_secret_value()
        if server.secret and not secret:
            raise UpstreamError(
                "unknown_secret", "this worker doesn't know the request's secret", faulty=False
            )
        caila = self._settings.caila_url
        sealed = await self._open(turn) if server.sealed or server.query else Credentials()
        values = {**server.headers, **sealed.headers} if server.url else {"Authorization": server.secret}
        # Looked at again: what was allowed as the turn began may not be any more.
        shown = [name for name, value in values.items() if shows(value, server.secret)]
        place, vouched = (server.url, self._guard.vouches(server.url)) if server.url else (caila, True)
        if server.secret and not (tenant and tenant.may_send(server.secret, place, shown, vouched=vouched)):
            raise UpstreamError("unknown_secret", "the request's secret is not for this server", faulty=False)
        if not server.url:
            # Without a scheme: https://docs.caila.io/en/api/rest/openai-api
            plain = (("Authorization", secret),)
            return Upstream(caila, SecretStr(secret), model, headers=plain, tenant=turn.session.tenant)
        headers = tuple((name, fill_in(value, server.secret, secret)) for name, value in values.items())
        url, whole = _address(f"{server.url}?{sealed.query}" if sealed.query else server.url)
        return Upstream(
            url,
            SecretStr(secret),
            model,
            headers=headers,
            whole_url=whole,
            guarded=True,
            tenant=turn.session.tenant,
        )

    async def _open(self, turn: TurnRef) -> Credentials:
        """Decrypt the credentials that the request has brought. Raises UpstreamError."""
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + self._settings.first_token_timeout_s
        while True:
            try:
                found = await credentials.read(self._stores, turn, self._seal) if self._seal else None
            except StoreUnavailable as error:
                logger.warning("could not read a turn's credentials", extra={"error": error.reason})
                if clock() > give_up_s:
                    raise UpstreamError("store_away", "the caller's key can't be read") from None
                await asyncio.sleep(_AGAIN_S)
                continue
            if found is None:
                raise UpstreamError("credentials_gone", "the caller's key is no longer kept", faulty=False)
            return found


def _address(url: str) -> tuple[str, bool]:
    """Return a model's address for its provider, and True if that is to be used as it is."""
    parts = urlsplit(url)
    if parts.path == _YANDEX:
        return f"yandex+{parts.scheme}://{parts.netloc}", False
    return url, True
