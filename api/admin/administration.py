"""The administration's work: tenants looked at and changed, each change with its entry in the audit log."""

from collections.abc import Callable, Set
from datetime import UTC, datetime

from fastapi import Request
from pydantic import BaseModel

from api.admin.forms import changed
from api.auth import audit
from api.auth.audit import Act, Page
from api.auth.loopback import address_of
from api.body import read_body
from api.http.identity import Actor, Identity, no_tenant
from api.services import Services
from common.errors import BadRequest, Conflict
from common.queue import parked
from common.queue.parked import Parked
from common.security.secret_box import SecretBox, open_secret_box
from common.security.url_guard import UrlGuard
from common.store.redis import Commands
from common.tenants.config import SCOPES, KeyConfig, Scope, TenantConfig, stored_tenant
from common.tenants.stored import Change, TenantStore
from common.tenants.texts import Texts

_MAX_BODY_BYTES = 4_194_304  # prompts are long
_KEY = "key:"
_NEVER = datetime.min.replace(tzinfo=UTC)

Part = Callable[[TenantConfig], BaseModel | None]
"""What of a tenant is changed."""


class Administration:
    """The view and changes of one administrative request, on behalf of its author."""

    def __init__(self, request: Request, actor: Actor) -> None:
        services: Services = request.app.state.services
        self._request = request
        self._actor = actor
        self._directory = services.directory
        self._settings = services.settings
        self._stores = services.stores
        self.guard = UrlGuard(services.settings.allowed_hosts)

    async def body(self) -> bytes:
        """The request's body. Raises TooLarge, BadRequest."""
        return await read_body(self._request, _MAX_BODY_BYTES)

    def seal(self) -> SecretBox:
        """The deployment's seal. Raises BadRequest where it has none."""
        if seal := open_secret_box(self._settings):
            return seal
        raise BadRequest("no secret can be kept: FAST_REPLY_SECRET_KEY is not set", code="no_secret_key")

    @property
    def scopes(self) -> Set[Scope]:
        """The scopes that new keys may have: all for the operator, for an admin no more than its own."""
        if self._actor.is_operator:
            return set(SCOPES)
        key = self._directory.key(self._actor.name.removeprefix(_KEY))
        return set(key.scopes) if key else set()

    # Looking.

    async def tenants(self) -> dict[str, TenantConfig]:
        """All tenants, by id."""
        texts = await self._texts()
        return {name: stored_tenant(text) for name, text in sorted(texts.tenants.items())}

    async def tenant(self, name: str) -> TenantConfig:
        """One tenant. Raises NotFound."""
        if text := (await self._texts()).tenants.get(name):
            return stored_tenant(text)
        raise no_tenant()

    async def keys(self, tenant: str) -> dict[str, KeyConfig]:
        """A tenant's keys, by id, the oldest first. Raises NotFound."""
        texts = await self._texts()
        if tenant not in texts.tenants:
            raise no_tenant()
        keys = {key_id: KeyConfig.model_validate_json(text) for key_id, text in texts.keys.items()}
        mine = [(key_id, key) for key_id, key in keys.items() if key.tenant == tenant]
        return dict(sorted(mine, key=lambda each: (each[1].created_at or _NEVER, each[0])))

    async def acts(self, tenant: str | None, after: str, limit: int, kind: audit.Kind) -> Page:
        """A page of the audit log, see `api.auth.audit.read_page`."""
        return await audit.read_page(self._stores, tenant, after, limit, kind)

    async def parked(self) -> list[Parked]:
        """The turns that were given up, the latest first."""
        return await parked.read_parked(self._stores)

    async def _texts(self) -> Texts:
        if self._settings.tenants:
            return self._directory.texts
        return await TenantStore(self._stores, None).read()

    # Changing.

    def store(self) -> TenantStore:
        """Return the store to change. Raises Conflict where a file says who the tenants are."""
        if self._settings.tenants:
            raise Conflict("the tenants are in a file: change them there", code="tenants_in_a_file")
        return TenantStore(self._stores, open_secret_box(self._settings))

    async def change(
        self,
        tenant: str,
        what: str,
        change: Change,
        *,
        target: str = "",
        part: Part = lambda config: config,
    ) -> TenantConfig:
        """Change a tenant, and answer it; the log tells which fields of the part have changed.

        Raises FastReplyError.
        """
        fields: tuple[str, ...] = ()

        def watched(now: TenantConfig) -> TenantConfig:
            nonlocal fields
            after = change(now)
            fields = changed(part(now), part(after))
            return after

        return await self.store().change_tenant(
            tenant, watched, lambda pipe: audit.note(pipe, self._act(what, tenant, target, fields))
        )

    def note(self, what: str, tenant: str, target: str = "", fields: tuple[str, ...] = ()) -> Commands:
        """Return the commands that write an act to the audit log, beside the change itself."""
        return lambda pipe: audit.note(pipe, self._act(what, tenant, target, fields))

    def _act(self, what: str, tenant: str, target: str, fields: tuple[str, ...]) -> Act:
        return Act(self._actor.name, address_of(self._request), what, tenant, target, fields)


async def note_deletion(request: Request, who: Identity, what: str, target: str) -> None:
    """Write down that a tenant's key is about to delete something. Raises StoreUnavailable."""
    if who.key:  # else it is the open default tenant, which nobody administers
        services: Services = request.app.state.services
        act = Act(f"{_KEY}{who.key}", address_of(request), what, who.tenant.id, target)
        await services.stores.on_queue.run(lambda pipe: audit.note(pipe, act))
