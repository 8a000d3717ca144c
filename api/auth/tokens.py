"""Browser tokens, `frt_<payload>.<signature>`: short-lived, signed by the deployment, stored nowhere.

A page's EventSource can't send headers, and a page must not hold a key, so it is given a token made with one.
"""

import hashlib
from dataclasses import dataclass

import orjson
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from pydantic import ValidationError

from common.settings import Settings
from common.tenants.config import Scope
from common.turn.overrides import TokenOverrides

PREFIX = "frt_"
_PURPOSE = b"fast-reply browser tokens 1"  # keeps tokens apart from the secret key's other uses
_MOST_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class BrowserToken:
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
        self.can_sign = bool(secret_keys)
        self._signer = Signer(  # of several keys it signs with the last
            secret_keys[::-1], _PURPOSE, key_derivation="hmac", digest_method=hashlib.sha256
        )

    def sign(self, token: BrowserToken) -> str | None:
        """Return the token's text, or None if it would be too long."""
        told = token.overrides.model_dump(exclude_defaults=True) if token.overrides else None
        parts = [token.key, token.scopes, token.expires_ms, token.session, token.profile, told]
        text = PREFIX + self._signer.sign(base64_encode(orjson.dumps(parts))).decode()
        return text if len(text) <= _MOST_CHARS else None

    def read(self, text: str) -> BrowserToken | None:
        """Return the token in a text that was signed here, expired or not; None for any other text."""
        if len(text) > _MOST_CHARS or not text.isascii():
            return None
        try:
            parts = orjson.loads(base64_decode(self._signer.unsign(text.removeprefix(PREFIX))))
        except BadSignature:
            return None
        # Former versions signed four parts: such a token may set what the profile allows tokens to set.
        key, scopes, expires_ms, session, profile, told = (*parts, None, None)[:6]
        try:
            overrides = None if told is None else TokenOverrides.model_validate(told)
        except ValidationError:
            return None  # a later version made it
        return BrowserToken(key, tuple(scopes), expires_ms, session, profile, overrides)


def token_signer(settings: Settings) -> TokenSigner:
    """Return the deployment's signer; without FAST_REPLY_SECRET_KEY it neither signs nor accepts tokens."""
    kept = (settings.secret_key, *settings.old_secret_keys)
    return TokenSigner([key.get_secret_value() for key in kept] if kept[0].get_secret_value() else [])
