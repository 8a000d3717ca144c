"""Signatures of tenants and keys: writing to the store alone makes nobody an admin.

A record's signature is kept in a hash of its own, so that readers of records need not know about it.
"""

import hashlib
import hmac
from collections.abc import Sequence

from common.settings import Settings

_PURPOSE = b"fast-reply records 1"


class RecordSigner:
    """Signs records with the newest secret key, and accepts those of old keys. Without a key it signs
    nothing.
    """

    def __init__(self, secret_keys: Sequence[str] = ()) -> None:
        self._keys = [hmac.digest(key.encode(), _PURPOSE, hashlib.sha256) for key in secret_keys]

    @property
    def can_sign(self) -> bool:
        """Return True if there is a key to sign with."""
        return bool(self._keys)

    def sign(self, table: str, name: str, text: bytes) -> bytes:
        """Return the signature of a record, valid for no other text, name or table."""
        return _signature(self._keys[0], table, name, text)

    def knows(self, table: str, name: str, text: bytes, signature: bytes | None) -> bool:
        """Return True if a record was signed with one of the keys, or if there is no key to check with."""
        if not self._keys:
            return True
        shown = signature or b""
        return any(hmac.compare_digest(_signature(key, table, name, text), shown) for key in self._keys)


def record_signer(settings: Settings) -> RecordSigner:
    """Return the deployment's signer."""
    kept = (settings.secret_key, *settings.old_secret_keys)
    return RecordSigner([key.get_secret_value() for key in kept] if kept[0].get_secret_value() else [])


def field_of(table: str, name: str) -> str:
    """Return the field of a record's signature."""
    return f"{table.rpartition(':')[2]}:{name}"


def _signature(key: bytes, table: str, name: str, text: bytes) -> bytes:
    parts = (table.encode(), name.encode(), text)
    framed = b"".join(len(part).to_bytes(8) + part for part in parts)
    return hmac.digest(key, framed, hashlib.sha256).hex().encode()
