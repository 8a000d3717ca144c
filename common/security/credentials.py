"""Credentials for the models' servers that come with a request. No log may hold them; they are stored
encrypted while the turn lasts.
"""

from dataclasses import asdict, dataclass, field

import orjson

from common.names import TurnRef
from common.security.secret_box import SecretBox
from common.store import keys
from common.store.redis import Pipeline, Stores

_MARGIN_MS = 60_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """The caller's own key for the full's server; headers and query for a server that the caller names."""

    key: str = field(default="", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.key or self.headers or self.query)


def store_credentials(
    pipe: Pipeline, turn: TurnRef, credentials: Credentials, seal: SecretBox, deadline_ms: int
) -> None:
    """Store them encrypted for the turn's workers, until the turn ends or its deadline has passed."""
    sealed = seal.encrypt(orjson.dumps(asdict(credentials)).decode(), str(turn))
    pipe.set(keys.auth(turn), sealed, px=deadline_ms + _MARGIN_MS)


async def read(stores: Stores, turn: TurnRef, seal: SecretBox) -> Credentials | None:
    """Return the turn's credentials; None if they are gone, or were encrypted with another key.

    Raises StoreUnavailable.
    """
    sealed = await stores.queue.get(keys.auth(turn))
    # Former versions did not bind them to a turn; such a turn may still go on.
    text = (seal.decrypt(sealed, str(turn)) or seal.decrypt(sealed)) if sealed else None
    return Credentials(**orjson.loads(text)) if text else None
