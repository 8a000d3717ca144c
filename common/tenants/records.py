"""The records of tenants and keys on the queue server, each with its signature."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import Conflict
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.store.signed import RecordSigner, field_of

Record = tuple[str, str, bytes]
"""A table, a name in it, and the text that stands there."""


@dataclass(frozen=True, slots=True)
class StoredRecords:
    """All stored tenants and keys as of one moment, signed or not."""

    version: str | None
    tenants: Mapping[str, bytes]
    keys: Mapping[str, bytes]
    signatures: Mapping[str, bytes]
    signer: RecordSigner

    def signed(self, table: str) -> dict[str, bytes]:
        """Return the records of a table that the deployment has signed."""
        texts = self.tenants if table == keys.TENANTS else self.keys
        return {name: text for name, text in texts.items() if self._knows(table, name, text)}

    def strange(self) -> list[str]:
        """Return the names of records that carry no valid signature."""
        return sorted(name for table, name, text in self._all() if not self._knows(table, name, text))

    def unsigned(self, *, known: bool) -> Iterator[Record]:
        """Yield the records not signed with the newest key; with `known`, only those that an older key
        signed.
        """
        for table, name, text in self._all() if self.signer.can_sign else ():
            newest = self.signer.sign(table, name, text)
            if newest != self.signatures.get(field_of(table, name)) and (
                not known or self._knows(table, name, text)
            ):
                yield table, name, text

    def _all(self) -> Iterator[Record]:
        yield from ((keys.TENANTS, name, text) for name, text in sorted(self.tenants.items()))
        yield from ((keys.API_KEYS, name, text) for name, text in sorted(self.keys.items()))

    def _knows(self, table: str, name: str, text: bytes) -> bool:
        return self.signer.knows(table, name, text, self.signatures.get(field_of(table, name)))


class Records:
    """Reads and writes the records. Each method that asks the store raises StoreUnavailable."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def read(self) -> StoredRecords:
        """Read all records."""

        def ask(pipe: Pipeline) -> None:
            pipe.get(keys.TENANTS_VERSION)
            pipe.hgetall(keys.TENANTS)
            pipe.hgetall(keys.API_KEYS)
            pipe.hgetall(keys.SIGNATURES)

        version, *tables = await self._stores.on_queue.run(ask)
        tenants, api_keys, signatures = (
            {name.decode(): text for name, text in table.items()} for table in tables
        )
        return StoredRecords(version_of(version), tenants, api_keys, signatures, self._stores.signer)

    async def get(self, where: Any, table: str, name: str) -> bytes | None:
        """Return one record's text; None if there is none. Raises Conflict if it isn't signed."""
        text: bytes | None = await where.hget(table, name)
        if text is not None:
            signature = await where.hget(keys.SIGNATURES, field_of(table, name))
            if not self._stores.signer.knows(table, name, text, signature):
                raise Conflict("nobody has signed what the store has of it", code="record_not_signed")
        return text

    def put(self, pipe: Pipeline, table: str, name: str, text: bytes) -> None:
        """Write a record, signed if there is a key."""
        pipe.hset(table, name, text)  # type: ignore[arg-type]
        if self._stores.signer.can_sign:
            signature = self._stores.signer.sign(table, name, text)
            pipe.hset(keys.SIGNATURES, field_of(table, name), signature)  # type: ignore[arg-type]

    def drop(self, pipe: Pipeline, table: str, names: list[str]) -> None:
        """Delete these records and their signatures."""
        if names:
            pipe.hdel(table, *names)
            pipe.hdel(keys.SIGNATURES, *(field_of(table, name) for name in names))


def version_of(raw: bytes | None) -> str | None:
    """Return the version from its stored form."""
    return raw.decode() if raw is not None else None
