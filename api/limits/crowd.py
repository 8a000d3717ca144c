"""The connections to this process: how many it accepts, and how it finds out that a client is gone."""

import asyncio
import logging
import socket
from collections import Counter
from dataclasses import dataclass, field

from starlette.types import Scope

from common.settings import Settings

logger = logging.getLogger(__name__)

_OTHER_FILES = 512  # beside connections: to the stores, logs, documents
_PROBES_S = (0.02, 5.0)  # the first pause between probes, and the longest

HALF_CLOSED = "fast_reply.half_closed"
"""The scope's extension with an event that is set when the client closes its side. The client may be gone
altogether, which only shows when something is written."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds on a process's connections: how many at once, and for how long."""

    connections: int
    per_address: int
    request_s: float
    send_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        """Return the bounds that the settings ask for."""
        most = settings.max_connections
        per_address = settings.max_connections_per_address or max(1, most // 2)
        return cls(most, per_address, settings.request_timeout_s, settings.send_timeout_s)


@dataclass(slots=True)
class OpenConnections:
    """Counts the connections to this process, in all and by address."""

    bounds: Bounds
    total: int = 0
    lingering: int = 0
    by_address: "Counter[str]" = field(default_factory=Counter)

    def enter(self, address: str) -> bool:
        """Count a connection, and return True if there is room for it."""
        self.total += 1
        self.by_address[address] += 1
        return self.total <= self.bounds.connections and self.by_address[address] <= self.bounds.per_address

    def leave(self, address: str) -> None:
        self.total -= 1
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]


def half_closed(scope: Scope) -> asyncio.Event:
    """Return the event that is set when the client closes its side; under another server it is never set."""
    event = (scope.get("extensions") or {}).get(HALF_CLOSED, {}).get("event")
    return event if isinstance(event, asyncio.Event) else asyncio.Event()


def next_probe(pause_s: float | None) -> float:
    """Return the pause before the next probe of a client, given the last pause, None at first."""
    first, longest = _PROBES_S
    return first if pause_s is None else min(2 * pause_s, longest)


def raise_file_limit(connections: int) -> None:
    """Raise the limit of open files for this many connections; warn if the system does not allow it."""
    wanted = connections + _OTHER_FILES
    try:
        import resource
    except ImportError:  # no such limit on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        logger.warning("too few files may be open for so many connections", extra={"most": most})


def give_up_after(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel drop a peer that takes no data for this long: closing a transport waits for it too."""
    peer = transport.get_extra_info("socket")
    if peer is not None and hasattr(socket, "TCP_USER_TIMEOUT") and peer.family != socket.AF_UNIX:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
