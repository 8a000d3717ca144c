"""Session names that hold personal data: where words are not kept, a keyed hash replaces them.

The same name always gives the same session, so whoever knows the name finds it; but nobody can read the name
from the store, the index, the archive's files, a webhook or a log.
"""

import hashlib
import hmac
import logging
import re
from dataclasses import replace

from common.names import SessionRef
from common.redaction.masking import mask
from common.settings import Settings

logger = logging.getLogger(__name__)

_PURPOSE = b"fast-reply session names 1"
_PREFIX = "hidden-"
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")  # a hash must not look like a number
_MACHINES = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[a-zA-Z]{0,4}(?=(?:\d*[a-f]){3})[0-9a-f]{20,64}"
)


class HiddenNames:
    """Hides names with the newest secret key; names hidden with older keys are still found."""

    def __init__(self, settings: Settings) -> None:
        kept = [settings.secret_key, *settings.old_secret_keys]
        given = [key.get_secret_value().encode() for key in kept if key.get_secret_value()]
        self._is_keyed = bool(given)
        self._keys = [hmac.digest(key, _PURPOSE, hashlib.sha256) for key in given or [b""]]

    def hide(self, session: SessionRef) -> SessionRef:
        """Return the session under its stored name; unchanged if the name tells nothing about anybody."""
        if not is_personal(session.session):
            return session
        if not self._is_keyed:
            logger.warning("sessions' names are hidden without FAST_REPLY_SECRET_KEY: they can be guessed")
        return _hidden(self._keys[0], session)

    def known_as(self, session: SessionRef) -> list[SessionRef]:
        """Return the other names under which a session of this name may be stored."""
        return [_hidden(key, session) for key in self._keys] if is_personal(session.session) else []


def is_personal(name: str) -> bool:
    """Return True if the name holds personal data; identifiers made by machines don't count."""
    return not _MACHINES.fullmatch(name) and mask(name) != name


def _hidden(key: bytes, session: SessionRef) -> SessionRef:
    digest = hmac.digest(key, str(session).encode(), hashlib.sha256).hex()[:32]
    return replace(session, session=_PREFIX + digest.translate(_LETTERS))
