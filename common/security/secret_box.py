"""Secrets at rest: sealed with the deployment's key, so that who reads the store reads none of them."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.settings import Settings

MARK = "sealed:"
"""A secret that is written down begins so."""
BOUND = "sealed:2:"
"""One that is bound to its place begins so."""


class SecretBox:
    """Seals texts and opens them again, in every process of the same key. What old keys sealed opens, too.

    `place`: what a seal is bound to, such as a tenant and a secret's name: it opens nowhere else. What was
    sealed before seals were bound opens wherever it stands, until it is sealed anew.
    """

    def __init__(self, secret_key: str, old_keys: Sequence[str] = ()) -> None:
        self._keys = (secret_key, *old_keys)

    def encrypt(self, text: str, place: str = "") -> bytes:
        """Return the text, unreadable."""
        return _fernet(self._keys[0], place).encrypt(text.encode())

    def decrypt(self, sealed: bytes, place: str = "") -> str | None:
        """Return the text, or None where none of the keys sealed it for this place, or it was tampered
        with.
        """
        try:
            return self._all(place).decrypt(sealed).decode()
        except InvalidToken:
            return None

    def rotate(self, sealed: bytes, place: str = "") -> bytes | None:
        """Return the same text sealed with the newest key; None where none of the keys opens it."""
        with suppress(InvalidToken):
            _fernet(self._keys[0], place).decrypt(sealed)
            return sealed  # it is that already
        with suppress(InvalidToken):
            return self._all(place).rotate(sealed)  # it keeps its time
        return None

    def _all(self, place: str) -> MultiFernet:
        return MultiFernet([_fernet(key, place) for key in self._keys])

    # Secrets as they are written down: `sealed:2:…` for their place alone, `sealed:…` by former versions.

    def write(self, text: str, place: str = "") -> str:
        """Return the text as it may be written down."""
        return (BOUND if place else MARK) + self.encrypt(text, place).decode()

    def read(self, written: str, place: str = "") -> str | None:
        """Return the text that was written down so; None where it can't be opened, or isn't sealed at all."""
        if written.startswith(BOUND):
            return self.decrypt(written.removeprefix(BOUND).encode(), place) if place else None
        return self.decrypt(written.removeprefix(MARK).encode()) if written.startswith(MARK) else None

    def rewrite(self, written: str, place: str = "") -> str | None:
        """Return the same sealed with the newest key, for its place; None where it can't be opened."""
        if written.startswith(BOUND):
            sealed = self.rotate(written.removeprefix(BOUND).encode(), place) if place else None
            return BOUND + sealed.decode() if sealed else None
        if not written.startswith(MARK):
            return None
        if not place:
            sealed = self.rotate(written.removeprefix(MARK).encode())
            return MARK + sealed.decode() if sealed else None
        text, put_at = self.read(written), set_at(written)
        if text is None or put_at is None:
            return None
        fresh = _fernet(self._keys[0], place).encrypt_at_time(text.encode(), int(put_at.timestamp()))
        return BOUND + fresh.decode()


def place_of(tenant: str, secret: str) -> str:
    """Return the place of a tenant's secret."""
    return f"{tenant}\n{secret}"  # no name holds a line's end


def set_at(written: str) -> datetime | None:
    """Return when a secret was sealed first, which a seal shows to all; None where it isn't sealed."""
    if not written.startswith(MARK):
        return None
    head = base64.urlsafe_b64decode(written.removeprefix(BOUND).removeprefix(MARK)[:12])
    return datetime.fromtimestamp(int.from_bytes(head[1:]), UTC)  # version, 1 byte; seconds, 8 bytes


def _fernet(secret_key: str, place: str = "") -> Fernet:
    digest = hashlib.sha256(secret_key.encode()).digest()  # a key of any form, in Fernet's
    if place:
        digest = hmac.digest(digest, b"fast-reply seals 2\n" + place.encode(), hashlib.sha256)
    return Fernet(base64.urlsafe_b64encode(digest))


def open_secret_box(settings: Settings) -> SecretBox | None:
    """Return the deployment's seal; None where it has no key, and no secret may rest in a store."""
    key = settings.secret_key.get_secret_value()
    return SecretBox(key, [old.get_secret_value() for old in settings.old_secret_keys]) if key else None
