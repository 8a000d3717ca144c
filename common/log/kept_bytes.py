"""Bytes kept: what the logs of a tenant's sessions hold in the store, as its limit counts them.

Counted by session, the bytes of its events' JSON and a little for each entry: a turn's start as it is let in,
all of it as it is settled. A session's bytes are given back as a whole when its log is gone, by time or by
`drop`; where nobody drops it, too many are counted, never too few.
"""

from collections.abc import Iterable

import orjson

from common.events import Event
from common.names import SessionRef
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline
from common.store.scripts import script

_ENTRY = 56  # the names and numbers of a stream's entry, no less than a line of a file has besides
_LATE_MS = 60_000  # a log goes a little after its time
_EVER_MS = 2**52
_DAY_S = 86_400
_ALL = 2**52

_SHRINK = script("kept", "shrink")


def size_of(events: Iterable[Event]) -> int:
    """Return the bytes that these events take. Raises orjson.JSONEncodeError where one is too deep."""
    return sum(len(orjson.dumps(event)) + _ENTRY for event in events)


def size_of_lines(lines: Iterable[bytes]) -> int:
    """The same of events as lines of a file."""
    return sum(len(line) for line in lines)


def until_ms(settings: Settings, now_ms: int) -> int:
    """Return when the log of a session expires whose last turn is now, in ms."""
    if settings.archive_url:
        return _EVER_MS  # whoever archives it drops it
    return now_ms + settings.retention_s * 1000 + _LATE_MS


def lasts_s(settings: Settings) -> int:
    """Return how long an idle tenant's counts are kept, in seconds: longer than its logs."""
    if settings.archive_url:
        return settings.archive_after_s + 30 * _DAY_S
    return settings.retention_s + _DAY_S


def names(tenant: str) -> tuple[str, str, str]:
    """The keys that the scripts count in."""
    return keys.kept_bytes(tenant), keys.kept_until(tenant), keys.held_bytes(tenant)


def shrink(pipe: Pipeline, session: SessionRef, size: int) -> None:
    """Queue that a session's log has lost so much, and has the rest still."""
    counts = names(session.tenant)[:2]
    pipe.eval(_SHRINK, len(counts), *counts, session.quoted, str(size))


def drop(pipe: Pipeline, session: SessionRef) -> None:
    """Queue that a session's log is gone."""
    shrink(pipe, session, _ALL)
