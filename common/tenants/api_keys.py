"""API keys: `frk_<id>_<secret>`. The id finds the key; only its holder knows the secret."""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime

from common.tenants.config import KeyConfig

_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS, _SECRET_CHARS = 12, 43  # of 62 letters: 71 and 256 bits
_KEY = re.compile(rf"frk_([A-Za-z0-9]{{{_ID_CHARS}}})_[A-Za-z0-9]{{{_SECRET_CHARS}}}\Z")
_NOBODYS = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `text` is shown once, and stored nowhere."""

    id: str
    text: str

    @property
    def digest(self) -> str:
        return digest_of(self.text)


def new_key() -> NewKey:
    """Return a new random key."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARS))
    return NewKey(key_id, f"frk_{key_id}_{secret}")


def id_of(text: str) -> str | None:
    """Return the id in a text that looks like a key; None for any other text."""
    found = _KEY.match(text)
    return found[1] if found else None


def digest_of(text: str) -> str:
    """Return the digest that is stored of a key. A key can't be guessed, so a plain digest is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


def opens(text: str, key: KeyConfig | None, now: datetime | None = None) -> bool:
    """Return True if the text is this key, and the key is valid now. An unknown key takes as long."""
    same = hmac.compare_digest(digest_of(text), key.digest if key else _NOBODYS)
    return same and key is not None and key.valid_at(now or datetime.now(UTC))
