"""The directory: all tenants and their keys as this process knows them, refreshed continually.

They come from the file that `FAST_REPLY_TENANTS` names, else from the store. Without either, the environment
defines the one default tenant.
"""

import asyncio
import logging
from dataclasses import replace

from pydantic import SecretStr, ValidationError

from common.names import DEFAULT_TENANT
from common.security.secret_box import open_secret_box
from common.settings import Settings
from common.store.redis import Stores, StoreUnavailable
from common.tenants.config import KeyConfig, stored_tenant
from common.tenants.file import open_file
from common.tenants.stored import TenantStore
from common.tenants.tenant import Tenant, build_tenant, default_tenant
from common.tenants.texts import Source, Texts
from common.text.own_rules import WrongRule, check_rules

logger = logging.getLogger(__name__)


class Directory:
    """The tenants and their keys. While the store is away or the file is wrong, the last state holds."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        self._source = _source(settings, stores)
        self._refresh_s = settings.tenants_refresh_s
        self._default = default_tenant(settings)
        self._looking = asyncio.Lock()
        self._texts: Texts | None = None
        self._tenants: dict[str, Tenant] = {}
        self._keys: dict[str, KeyConfig] = {}
        # A deployment that sets up tenants never serves without a key, even if the store has lost them all.
        self._configured = bool(settings.operator_token.get_secret_value())
        self._change = asyncio.Event()

    @property
    def known(self) -> bool:
        """Return True if the source could be read since the process began."""
        return self._texts is not None

    @property
    def open(self) -> bool:
        """Return True if nobody has set up tenants: then the default tenant needs no key."""
        return self.known and not self._configured

    def tenant(self, name: str) -> Tenant | None:
        """Return the tenant of this id. The default tenant exists even if others are set up, but has no
        keys.
        """
        return self._tenants.get(name) or (self._default if name == DEFAULT_TENANT else None)

    def all(self) -> list[Tenant]:
        """Return all tenants."""
        return [*self._tenants.values()] or [self._default]

    def key(self, key_id: str) -> KeyConfig | None:
        """Return the key of this id, valid or not; None if there is none or its tenant is disabled."""
        key = self._keys.get(key_id)
        tenant = self._tenants.get(key.tenant) if key else None
        return key if tenant and not tenant.disabled else None

    @property
    def texts(self) -> Texts:
        """Return the configuration of all tenants and keys as it was last read."""
        return self._texts or Texts()

    async def changed(self) -> None:
        """Wait for the next change of any tenant or key; the first refresh counts as one."""
        await self._change.wait()

    async def refresh(self) -> None:
        """Read the source now. Raises StoreUnavailable."""
        async with self._looking:
            texts = await self._source.poll(self._texts)
            if texts is not None and texts is not self._texts:
                self._take(texts)

    async def run(self) -> None:
        """Refresh until cancelled."""
        failing = False
        while True:
            try:
                await self.refresh()
                failing = False
            except StoreUnavailable as error:
                if not failing:
                    logger.warning("could not look at the tenants", extra={"error": error.reason})
                failing = True
            await asyncio.sleep(self._refresh_s)

    def _take(self, texts: Texts) -> None:
        """Update the tenants and keys from these texts. Unchanged ones are not rebuilt."""
        before = self.texts
        tenants: dict[str, Tenant] = {}
        for name, text in texts.tenants.items():
            known = self._tenants.get(name)
            tenant = known if text == before.tenants.get(name) else self._try_to_build(name, text) or known
            if tenant:
                tenants[name] = tenant
        keys: dict[str, KeyConfig] = {}
        for key_id, text in texts.keys.items():
            same = text == before.keys.get(key_id)
            if key := self._keys.get(key_id) if same else _read_key(key_id, text):
                keys[key_id] = key
        self._texts, self._tenants, self._keys = texts, tenants, keys
        # A store that has lost everything must not open the doors.
        self._configured = self._configured or texts.version is not None
        self._change.set()
        self._change = asyncio.Event()

    def _try_to_build(self, name: str, text: bytes) -> Tenant | None:
        """Return the tenant, or None if its text can't be read: no tenant's text may end the process."""
        try:
            return self._build(name, text)
        except Exception as error:  # a later version wrote it, perhaps
            about = {"tenant": name, "error": type(error).__name__}
            logger.error("a tenant can't be read: it stays as it was", extra=about)
            return None

    def _build(self, name: str, text: bytes) -> Tenant:
        """Return the tenant with its secrets decrypted."""
        config = stored_tenant(text)
        opened = {
            secret: self._source.open_secret(written, name, secret)
            for secret, written in config.secrets.items()
        }
        for secret in (secret for secret, value in opened.items() if value is None):
            logger.error("a tenant's secret can't be opened", extra={"tenant": name, "secret": secret})
        for profile, each in config.profiles.items():
            try:
                check_rules(each.policy.draft.guard_rules)
            except WrongRule:
                about = {"tenant": name, "profile": profile}
                logger.error(
                    "a profile's guard rules can't be used: every sentence of its drafts is held", extra=about
                )
        secrets = {secret: SecretStr(value) for secret, value in opened.items() if value is not None}
        tenant = build_tenant(name, config, secrets)
        if name != DEFAULT_TENANT or config.profiles:
            return tenant
        environments = dict.fromkeys(self._default.secrets.keys() - config.secrets.keys())
        return replace(  # the environment's profiles, and its secrets beside the configured ones
            self._default,
            secrets={**self._default.secrets, **secrets},
            request_secrets={**environments, **(tenant.request_secrets or {})},
            limits=tenant.limits,
            disabled=tenant.disabled,
        )


def _source(settings: Settings, stores: Stores) -> Source:
    return open_file(settings) if settings.tenants else TenantStore(stores, open_secret_box(settings))


def _read_key(key_id: str, text: bytes) -> KeyConfig | None:
    try:
        return KeyConfig.model_validate_json(text)
    except ValidationError:
        logger.error("a key can't be read: it opens nothing", extra={"key": key_id})
        return None
