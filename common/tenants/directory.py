"""The directory: all tenants and their keys as this process knows them, looked at again and again.

They come from the file that `FAST_REPLY_TENANTS` names, else from the store. Without either the environment
makes the one default tenant.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from common.keys import DEFAULT_TENANT
from common.settings import Settings
from common.stores import STORE_ERRORS, Stores
from common.tenants.config import KeyConfig
from common.tenants.tenant import Tenant, default_tenant

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All tenants and keys as of one moment. `configured`: somebody has set up tenants at some time."""

    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    keys: Mapping[str, KeyConfig] = field(default_factory=dict)
    configured: bool = False


class Directory:
    """Who the tenants are. What it said last holds while the store is away."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        self._settings = settings
        self._stores = stores
        self._default = default_tenant(settings)
        self._now = Snapshot()
        self.known = False  # whether it could be looked at since the process began

    @property
    def open(self) -> bool:
        """Whether nobody has set up tenants: the default tenant needs no key."""
        return self.known and not self._now.configured

    def tenant(self, name: str) -> Tenant | None:
        """The tenant of this id. The default one is there even where others are set up, but has no keys."""
        return self._now.tenants.get(name) or (self._default if name == DEFAULT_TENANT else None)

    def all(self) -> list[Tenant]:
        """Every tenant."""
        return [*self._now.tenants.values()] or [self._default]

    def key(self, key_id: str) -> KeyConfig | None:
        """The key of this id, valid or not."""
        return self._now.keys.get(key_id)

    async def refresh(self) -> None:
        """Look now. Raises STORE_ERRORS."""
        self.known = True

    async def run(self) -> None:
        """Keep looking until cancelled."""
        while True:
            try:
                await self.refresh()
            except STORE_ERRORS as error:
                logger.warning("could not look at the tenants", extra={"error": type(error).__name__})
            await asyncio.sleep(self._settings.tenants_refresh_s)
