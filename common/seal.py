"""Secrets at rest: sealed with the deployment's key, so that who reads the store reads none of them."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from common.settings import Settings


class Seal:
    """Seals texts and opens them again, in every process of the same key."""

    def __init__(self, secret_key: str) -> None:
        digest = hashlib.sha256(secret_key.encode()).digest()  # a key of any form, in Fernet's
        self._fernet = Fernet(base64.urlsafe_b64encode(digest))

    def close(self, text: str) -> bytes:
        """The text, unreadable."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str | None:
        """The text, or None where it was sealed with another key or tampered with."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            return None


def seal_of(settings: Settings) -> Seal | None:
    """The deployment's seal; None where it has no key, and no secret may rest in a store."""
    key = settings.secret_key.get_secret_value()
    return Seal(key) if key else None
