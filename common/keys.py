"""Names in Redis: the references that all sides share, and every key with type, content, lifetime."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

Lane = Literal["filler", "draft", "full"]
LANES_OF_WORKERS: tuple[Lane, ...] = ("draft", "full")

DEFAULT_TENANT = "default"
MAX_SESSION_CHARS = 128
_TURN = re.compile(r"[0-9a-z]{8,40}\Z")


def valid_session(name: str) -> bool:
    """Whether a client may call a session so: 1 to 128 printable characters, no space at either end."""
    return 0 < len(name) <= MAX_SESSION_CHARS and name.isprintable() and name == name.strip()


@dataclass(frozen=True, slots=True)
class SessionRef:
    """One call or chat of one tenant."""

    tenant: str
    session: str

    @property
    def quoted(self) -> str:
        """The session's name as it may stand in a key, a path or a header."""
        # A client's ":" or "}" can neither end a part nor leave the cluster slot.
        return quote(self.session, safe="")

    def __str__(self) -> str:
        return f"{self.tenant}:{self.quoted}"

    @staticmethod
    def parse(text: str) -> "SessionRef":
        tenant, session = text.split(":")
        return SessionRef(tenant, unquote(session))


@dataclass(frozen=True, slots=True)
class TurnRef:
    """One request of a session and its answer."""

    session: SessionRef
    turn: str

    def __str__(self) -> str:
        return f"{self.session}:{self.turn}"


@dataclass(frozen=True, slots=True)
class JobRef:
    """One attempt of one lane of one turn; its text is the arq job's id and the lane's lease."""

    turn: TurnRef
    lane: Lane
    attempt: int

    def __str__(self) -> str:
        return f"{self.turn}:{self.lane}:{self.attempt}"


def parse_lease(member: str) -> TurnRef | JobRef:
    """What a lease is held on: three parts name a turn, five a job. Raises ValueError."""
    parts = member.split(":")
    turn = TurnRef(SessionRef(parts[0], unquote(parts[1])), parts[2])
    if len(parts) == 3:
        return turn
    lane, attempt = parts[3:]
    if lane not in LANES_OF_WORKERS:
        raise ValueError(f"no such lane: {lane}")
    return JobRef(turn, lane, int(attempt))


def valid_turn(name: str) -> bool:
    """Whether this can be the id of a turn."""
    return bool(_TURN.match(name))


# On the log server.


def log(session: SessionRef) -> str:
    """Stream: one entry an event. Expires `retention_s` after the last turn's start."""
    return f"fr:{{{session}}}:log"  # braces: one cluster slot a session


def once(session: SessionRef, key: str) -> str:
    """String: which turn an idempotency key stands for, and of what request. Expires with the log at most."""
    return f"fr:{{{session}}}:once:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


# On the queue server.

LEASES = "fr:leases"
"""Sorted set: live turns and jobs by the deadline of their lease, ms. Members go when they end."""

SWEEPING = "fr:sweeping"
"""String: held by the worker that sweeps now. Expires after one sweep's period."""

REPLICAS = "fr:replicas"
"""Sorted set: ids of API replicas by the time of their last beat, ms. Old members are dropped by the beat."""

FOLLOWED = "fr:followed"
"""Sorted set: `<turn>|<replica>`, a client there follows this turn, by when that is to be said again, ms."""

TELLING = "fr:telling"
"""Sorted set: `<turn>|<attempt>`, ended turns that a webhook is yet to be told of, by when to try, ms."""

KEEPING = "fr:keeping"
"""String: held by the worker that archives, trims and forgets now, and for a while after. Expires."""


def telling(member: str) -> str:
    """String: the worker that tries this member of `TELLING` now. Goes after the try; expires after 55 s."""
    return f"fr:telling:{member}"


def queue(lane: Lane) -> str:
    """Sorted set, arq's: ids of queued and running jobs. A job goes when it ends."""
    return f"fr:queue:{lane}"


def ready(lane: Lane) -> str:
    """List: ids of jobs to be picked up now; a hint, popped by the runner. An id is popped once."""
    return f"fr:queue:{lane}:ready"


def cancelled(job: JobRef) -> str:
    """String: says that this job is to stop. Expires after 30 s."""
    return f"fr:cancelled:{job}"


def workers(lane: Lane) -> str:
    """Sorted set: worker ids by the time of their last beat, ms. Old members are dropped by the beat."""
    return f"fr:workers:{lane}"


def pace(tenant: str, profile: str) -> str:
    """List: the full model's latest first-token times, ms, the newest first. Kept at 50."""
    return f"fr:pace:{tenant}:{quote(profile, safe='')}"


def full_only(tenant: str) -> str:
    """String: while it is there, no draft of this tenant speaks. Stays until it is taken back."""
    return f"fr:full-only:{tenant}"


def sessions(tenant: str) -> str:
    """Sorted set: all sessions, archived ones too, quoted, by the start of their last turn, ms.

    A session that is not in it doesn't exist, whatever else is found of it.
    Members go when their time is over.
    """
    return f"fr:sessions:{tenant}"


def live_turns(tenant: str) -> str:
    """Sorted set: turns that have not ended, by their start, ms."""
    return f"fr:live:{tenant}"


def deleted(tenant: str) -> str:
    """Sorted set: deleted sessions, quoted, by when, ms of the log's clock. Events up to then are void.

    Members are dropped a day later, with whatever may have been left of them.
    """
    return f"fr:deleted:{tenant}"


def archived_until(tenant: str) -> str:
    """String: sessions whose last turn started before this, ms, are archived; where to look on."""
    return f"fr:archived-until:{tenant}"


# Channels, on the queue server.


def wake(session: SessionRef) -> str:
    """Channel: something was appended to the session's log; `DELETED` says that the session is gone."""
    return f"fr:wake:{session}"


DELETED = b"deleted"


def orders(worker: str) -> str:
    """Channel: ids of jobs that this worker is to stop."""
    return f"fr:orders:{worker}"
