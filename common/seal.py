"""Secrets at rest: sealed with the deployment's key, so that who reads the store reads none of them."""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.settings import Settings

MARK = "sealed:"
"""A secret that is written down begins so."""


class Seal:
    """Seals texts and opens them again, in every process of the same key. What old keys sealed opens, too."""

    def __init__(self, secret_key: str, old_keys: Sequence[str] = ()) -> None:
        self._newest = _fernet(secret_key)
        self._all = MultiFernet([self._newest, *map(_fernet, old_keys)])

    def close(self, text: str) -> bytes:
        """The text, unreadable."""
        return self._newest.encrypt(text.encode())

    def open(self, sealed: bytes) -> str | None:
        """The text, or None where none of the keys sealed it, or it was tampered with."""
        try:
            return self._all.decrypt(sealed).decode()
        except InvalidToken:
            return None

    def rotate(self, sealed: bytes) -> bytes | None:
        """The same text sealed with the newest key; None where none of the keys opens it."""
        with suppress(InvalidToken):
            self._newest.decrypt(sealed)
            return sealed  # it is that already
        with suppress(InvalidToken):
            return self._all.rotate(sealed)  # it keeps its time
        return None

    # Secrets as they are written down: `sealed:…`.

    def write(self, text: str) -> str:
        """The text as it may be written down."""
        return MARK + self.close(text).decode()

    def read(self, written: str) -> str | None:
        """The text that was written down so; None where it can't be opened, or isn't sealed at all."""
        return self.open(written.removeprefix(MARK).encode()) if written.startswith(MARK) else None

    def rewrite(self, written: str) -> str | None:
        """The same sealed with the newest key; None where it can't be opened."""
        sealed = self.rotate(written.removeprefix(MARK).encode()) if written.startswith(MARK) else None
        return MARK + sealed.decode() if sealed else None


def set_at(written: str) -> datetime | None:
    """When a secret was sealed first, which a seal shows to all; None where it isn't sealed."""
    if not written.startswith(MARK):
        return None
    head = base64.urlsafe_b64decode(written.removeprefix(MARK)[:12])  # version, 1 byte; seconds, 8 bytes
    return datetime.fromtimestamp(int.from_bytes(head[1:]), UTC)


def _fernet(secret_key: str) -> Fernet:
    digest = hashlib.sha256(secret_key.encode()).digest()  # a key of any form, in Fernet's
    return Fernet(base64.urlsafe_b64encode(digest))


def seal_of(settings: Settings) -> Seal | None:
    """The deployment's seal; None where it has no key, and no secret may rest in a store."""
    key = settings.secret_key.get_secret_value()
    return Seal(key, [old.get_secret_value() for old in settings.old_secret_keys]) if key else None
