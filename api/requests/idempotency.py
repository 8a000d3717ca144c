"""Exactly once: a request that is sent again joins the turn that it started the first time.

The key is written in one transaction with `turn.started`, so there is never one without the other: whoever
finds the key finds a turn, and whoever died on the way has left nothing to be mended.
"""

import hashlib
import sys
from dataclasses import dataclass, replace
from typing import Any

import orjson
from redis.exceptions import WatchError

from common.errors import BadRequest, Conflict
from common.names import TurnRef
from common.store.redis import Commands, TimedRedis, answered_within

_MAX_KEY_CHARS = 256
_CHANGES_ON_RETRY = ("context", "timestamp", "stream", "stream_options")
_RETRIES_END_S = 600
_ASKED_CHARS = 24
_CHANGED = "Watched variable changed."
_EXPLICIT = "Idempotency-Key:"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The identity of a request that may come again: its key, and a digest of what it asks.

    `most_s`: for how long at most; the key is kept as long as its session's log, where that is shorter.
    """

    key: str
    fingerprint: str
    most_s: int = sys.maxsize

    @property
    def is_explicit(self) -> bool:
        """Return True if the client made the key for this very purpose."""
        return self.key.startswith(_EXPLICIT)

    @property
    def session(self) -> str:
        """The name of the session that is made up where the client names none: the retry finds it again."""
        return "s" + hashlib.sha256(self.key.encode()).hexdigest()[:20]

    @property
    def aloud(self) -> "IdempotencyKey":
        """The same, asked to be spoken: a turn that is only written has no sound for who would join it."""
        asked = hashlib.sha256(f"aloud:{self.fingerprint}".encode()).hexdigest()
        return replace(self, key=self.key if self.is_explicit else f"{self.key}:aloud", fingerprint=asked)


def name_key(
    body: dict[str, Any], idempotency_key: str | None, request_id: str | None, *, in_session: bool
) -> IdempotencyKey | None:
    """Return the key of a retry: `Idempotency-Key`, or the retry id of a voice platform.

    Those count only within a session that the client names, and together with what is asked: another text is
    another turn. Raises BadRequest.
    """
    if idempotency_key is not None:
        name, key = "Idempotency-Key", idempotency_key
    elif in_session and request_id:
        name, key = "X-Request-Id", request_id
    elif in_session and body.get("turn_id") is not None:
        name, key = "turn_id", str(body["turn_id"])
    else:
        return None
    if not 0 < len(key) <= _MAX_KEY_CHARS or not key.isprintable():
        raise BadRequest(f"{name} has 1 to {_MAX_KEY_CHARS} printable characters", param=name)
    asked = _fingerprint(body)
    if name == "Idempotency-Key":
        return IdempotencyKey(f"{name}:{key}", asked)
    # No client made these for this: a channel's next call counts anew, one id may be a whole trace's.
    if name == "turn_id":
        key += _agent(body.get("context"))
    return IdempotencyKey(f"{name}:{key}:{asked[:_ASKED_CHARS]}", asked, _RETRIES_END_S)


def _agent(context: Any) -> str:
    """Return the agent whose turns Agora counts: a channel may have several."""
    if not isinstance(context, dict):
        return ""
    return "".join(f":{context.get(part, '')}" for part in ("appId", "userId", "channel"))


def _fingerprint(body: dict[str, Any]) -> str:
    asked = {name: value for name, value in body.items() if name not in _CHANGES_ON_RETRY}
    try:
        return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except orjson.JSONEncodeError:  # deeper JSON can be read than written
        raise BadRequest("the body is nested too deeply", code="invalid_json") from None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The value of a stored key: the turn, what was asked, and when it started, ms on the log's clock."""

    turn: str
    fingerprint: str
    ms: int

    def check(self, once: IdempotencyKey) -> None:
        """Raises Conflict where something else is asked now."""
        if self.fingerprint != once.fingerprint:
            raise Conflict("this key was used with another request", code="idempotency_key_reused")


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A key on the log server that is to stand for a turn, if it still holds what was `seen` there."""

    key: str
    seen: bytes | None
    held: StoredKey
    keep_s: int

    async def run(self, redis: TimedRedis, build: Commands) -> list[Any]:
        """Write the key together with what `build` queues; the replies to the latter.

        Raises DuplicateTurn where another was first, StartUnknown where the reply was lost, StoreUnavailable.
        """
        async with answered_within(redis.timeout_s), redis.pipeline(transaction=True) as pipe:
            await pipe.watch(self.key)
            if await pipe.get(self.key) != self.seen:
                raise DuplicateTurn
            pipe.multi()  # type: ignore[no-untyped-call]
            build(pipe)
            pipe.set(self.key, orjson.dumps(self.held), ex=self.keep_s)
            try:
                replies = await pipe.execute()
            except WatchError as error:
                # redis-py says the same of a connection that broke, and then it may all have been written.
                raise (DuplicateTurn if str(error) == _CHANGED else StartUnknown) from None
            return replies[:-1]


class StartedBefore(Exception):
    """The request is a retry: it has started this turn already."""

    def __init__(self, turn: TurnRef) -> None:
        super().__init__(str(turn))
        self.turn = turn


class DuplicateTurn(Exception):
    """The same request has started its turn in the meantime."""


class StartUnknown(DuplicateTurn):
    """It may have been this very start: what it has written must stay."""
