"""Browser tokens, `frt_<payload>.<signature>`: short-lived, signed by the deployment, stored nowhere.

A page's EventSource can't send headers, and a page must not hold a key, so it is given a token made with one.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from common.settings import Settings
from common.tenants.config import Scope
from common.turn.overrides import TokenOverrides

PREFIX = "frt_"
_PURPOSE = b"fast-reply browser tokens 1"  # keeps tokens apart from the secret key's other uses
_MOST_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Token:
    """The content of a token. `key`: the id of the key that made it, empty for the open default tenant.

    `session`: the only session it opens, if it is bound to one; `profile`: the profile it asks, None for the
    default one; `overrides`: what it may set, None for what the profile allows tokens to set.
    """

    key: str
    scopes: tuple[Scope, ...]
    expires_ms: int
    session: str | None = None
    profile: str | None = None
    overrides: TokenOverrides | None = None


class TokenSigner:
    """Signs and verifies tokens. The first secret key signs; the others still verify."""

    def __init__(self, secret_keys: list[str]) -> None:
        self._keys = [hmac.digest(key.encode(), _PURPOSE, hashlib.sha256) for key in secret_keys]

    @property
    def can_sign(self) -> bool:
        """Return whether there is a key to sign with."""
        return bool(self._keys)

    def sign(self, token: Token) -> str | None:
        """Return the token's text, or None if it would be too long."""
        told = token.overrides.model_dump(exclude_defaults=True) if token.overrides else None
        parts = [token.key, token.scopes, token.expires_ms, token.session, token.profile, told]
        payload = _encode(orjson.dumps(parts))
        text = f"{PREFIX}{payload}.{_signature(self._keys[0], payload)}"
        return text if len(text) <= _MOST_CHARS else None

    def read(self, text: str) -> Token | None:
        """Return the token in a text that was signed here, expired or not; None for any other text."""
        payload, _, signature = text.removeprefix(PREFIX).partition(".")
        if len(text) > _MOST_CHARS or not text.isascii() or not self._signed(payload, signature):
            return None
        parts = orjson.loads(_decode(payload))
        # Former versions signed four parts: such a token may set what the profile allows tokens to set.
        key, scopes, expires_ms, session, profile, told = (*parts, None, None)[:6]
        try:
            overrides = None if told is None else TokenOverrides.model_validate(told)
        except ValidationError:
            return None  # a later version made it
        return Token(key, tuple(scopes), expires_ms, session, profile, overrides)

    def _signed(self, payload: str, signature: str) -> bool:
        return any(hmac.compare_digest(_signature(key, payload), signature) for key in self._keys)


def token_signer(settings: Settings) -> TokenSigner:
    """Return the deployment's signer; without FAST_REPLY_SECRET_KEY it neither signs nor accepts tokens."""
    kept = (settings.secret_key, *settings.old_secret_keys)
    return TokenSigner([key.get_secret_value() for key in kept] if kept[0].get_secret_value() else [])


def _signature(key: bytes, payload: str) -> str:
    return _encode(hmac.digest(key, payload.encode(), hashlib.sha256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
