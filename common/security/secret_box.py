"""Secrets at rest: encrypted with the deployment's key, so that reading the store reveals none of them."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.settings import Settings

MARK = "sealed:"
"""The prefix of a stored secret."""
BOUND = "sealed:2:"
"""The prefix of a stored secret that is bound to its place."""


class SecretBox:
    """Encrypts and decrypts texts, in every process with the same key. What old keys encrypted is still read.

    `place`: what the text is bound to, such as a tenant and a secret's name; it can't be decrypted for
    another place. Texts from before this binding are decrypted in any place until they are encrypted anew.
    """

    def __init__(self, secret_key: str, old_keys: Sequence[str] = ()) -> None:
        self._keys = (secret_key, *old_keys)

    def encrypt(self, text: str, place: str = "") -> bytes:
        """Return the text encrypted for its place."""
        return _fernet(self._keys[0], place).encrypt(text.encode())

    def decrypt(self, sealed: bytes, place: str = "") -> str | None:
        """Return the text; None if no key encrypted it for this place, or it was tampered with."""
        try:
            return self._all(place).decrypt(sealed).decode()
        except InvalidToken:
            return None

    def rotate(self, sealed: bytes, place: str = "") -> bytes | None:
        """Return the same text encrypted with the newest key; None if no key opens it."""
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
        """Return the text encrypted in its stored form."""
        return (BOUND if place else MARK) + self.encrypt(text, place).decode()

    def read(self, written: str, place: str = "") -> str | None:
        """Return the text from its stored form; None if it can't be decrypted, or isn't encrypted at all."""
        if written.startswith(BOUND):
            return self.decrypt(written.removeprefix(BOUND).encode(), place) if place else None
        return self.decrypt(written.removeprefix(MARK).encode()) if written.startswith(MARK) else None

    def rewrite(self, written: str, place: str = "") -> str | None:
        """Return the stored form encrypted with the newest key, for its place; None if it can't be
        decrypted.
        """
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
    """Return when a stored secret was first encrypted, which is readable without a key; None if it isn't
    encrypted.
    """
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
    """Return the deployment's box; None without a key, and then no secret may be stored."""
    key = settings.secret_key.get_secret_value()
    return SecretBox(key, [old.get_secret_value() for old in settings.old_secret_keys]) if key else None
