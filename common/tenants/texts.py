"""The interface of all sources of tenants, such as the file and the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Texts:
    """The configuration of all tenants and keys as of one moment, each in JSON by its id.

    `version` changes with them; it is None where nobody has ever set up a tenant.
    """

    version: str | None = None
    tenants: Mapping[str, bytes] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)


class Source(Protocol):
    """A source of tenants."""

    async def poll(self, seen: Texts | None) -> Texts | None:
        """Return the configuration as it is now: the very same object if it hasn't changed. Raises
        StoreUnavailable.
        """

    def open_secret(self, written: str, tenant: str, name: str) -> str | None:
        """Return a tenant's secret from its written form; None if it can't be opened."""
