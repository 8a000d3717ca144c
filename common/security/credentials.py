"""Credentials that a request brings for the models' servers. No log may hold them; they are sealed while the
turn lasts.
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
    """Seal them up for the turn's workers, until it ends or its deadline is over."""
    sealed = seal.encrypt(orjson.dumps(asdict(credentials)).decode(), str(turn))
    pipe.set(keys.auth(turn), sealed, px=deadline_ms + _MARGIN_MS)


async def read(stores: Stores, turn: TurnRef, seal: SecretBox) -> Credentials | None:
    """Return the turn's; None where they are gone, or were sealed with another key. Raises
    StoreUnavailable.
    """
    sealed = await stores.queue.get(keys.auth(turn))
    # A version before this one bound them to nothing; a turn of its may still go on.
    text = (seal.decrypt(sealed, str(turn)) or seal.decrypt(sealed)) if sealed else None
    return Credentials(**orjson.loads(text)) if text else None
