"""The references that all sides share: sessions, turns, jobs, collections, each with its one spelling."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

Lane = Literal["filler", "draft", "full", "speech"]
LANES_OF_WORKERS: tuple[Lane, ...] = ("draft", "full", "speech")

DEFAULT_TENANT = "default"
MAX_SESSION_CHARS = 128
TENANT_ID = "^[a-z0-9][a-z0-9_-]{0,39}$"
TURN_ID = "^[0-9a-z]{8,40}$"
NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""A pattern as JSON Schema has it, of what a tenant names: collections, profiles, secrets."""
_TENANT, _TURN, _NAME = (re.compile(each.replace("$", r"\Z")) for each in (TENANT_ID, TURN_ID, NAME))


def valid_session(name: str) -> bool:
    """Return True for a session's name: 1 to 128 printable characters, no space at either end."""
    return 0 < len(name) <= MAX_SESSION_CHARS and name.isprintable() and name == name.strip()


def valid_tenant(name: str) -> bool:
    """Return True for a tenant's id: 1 to 40 lower-case letters, digits and, not first, `-`, `_`."""
    return bool(_TENANT.match(name))


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


@dataclass(frozen=True, slots=True)
class CollectionRef:
    """One collection of a tenant's knowledge."""

    tenant: str
    collection: str

    def __str__(self) -> str:
        return f"{self.tenant}:{self.collection}"

    @staticmethod
    def parse(text: str) -> "CollectionRef":
        tenant, collection = text.split(":")
        return CollectionRef(tenant, collection)


def parse_turn(member: str) -> TurnRef:
    """The turn that a sorted set lists. Raises ValueError."""
    tenant, session, turn = member.split(":")
    return TurnRef(SessionRef(tenant, unquote(session)), turn)


def parse_lease(member: str) -> TurnRef | JobRef:
    """Parse the holder of a lease: three parts name a turn, five a job. Raises ValueError."""
    parts = member.split(":")
    turn = TurnRef(SessionRef(parts[0], unquote(parts[1])), parts[2])
    if len(parts) == 3:
        return turn
    lane, attempt = parts[3:]
    if lane not in LANES_OF_WORKERS:
        raise ValueError(f"no such lane: {lane}")
    return JobRef(turn, lane, int(attempt))


def valid_turn(name: str) -> bool:
    """Return True if this can be the id of a turn."""
    return bool(_TURN.match(name))


def valid_collection(name: str) -> bool:
    """Return True for a collection's name: 1 to 64 letters, digits and, not first, `.`, `_`, `-`."""
    return bool(_NAME.match(name))
