"""Tenants with limits for the tests: every name is one, and all have the same."""

from dataclasses import replace

from common.names import DEFAULT_TENANT
from common.settings import Settings
from common.store.redis import Stores
from common.tenants.config import Limits
from common.tenants.directory import Directory
from common.tenants.tenant import Tenant


class LimitedDirectory(Directory):
    """A directory that knows any tenant, with these limits."""

    def __init__(self, settings: Settings, stores: Stores, limits: Limits) -> None:
        super().__init__(settings, stores)
        self.limits = limits

    def tenant(self, name: str) -> Tenant | None:
        default = super().tenant(DEFAULT_TENANT)
        assert default is not None
        return replace(default, id=name, limits=self.limits)
