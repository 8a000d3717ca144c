"""Remembers what the simulator was asked and what became of every stream."""

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

Outcome = Literal["live", "finished", "cut", "faulted"]

T = TypeVar("T")

_MOST_STREAMS = 2000
_MOST_REQUESTS = 200


@dataclass(slots=True)
class Counts:
    """The counts of one model's streams; `cut_by_client` holds all whose client left first."""

    started: int = 0
    finished: int = 0
    cut_by_client: int = 0
    faulted: int = 0
    live: int = 0
    most_live: int = 0


@dataclass(slots=True)
class StreamRecord:
    """One answer; times are of time.monotonic(), comparable between processes of one machine."""

    id: str
    model: str
    stream: bool
    authorization: bool  # whether the header was there
    prompt_chars: int
    prompt_tokens: int
    started_s: float
    token_s: list[float] = field(default_factory=list)  # when each token was written
    ended_s: float | None = None
    outcome: Outcome = "live"


class Ledger:
    """Counts by model, and the last streams and requests."""

    def __init__(self) -> None:
        self._counts: dict[str, Counts] = {}
        self._live: dict[str, Counts] = {}  # by stream id
        self._streams: deque[StreamRecord] = deque(maxlen=_MOST_STREAMS)
        self._requests: deque[dict[str, Any]] = deque(maxlen=_MOST_REQUESTS)

    def reset(self) -> None:
        """Forget everything; streams which are under way will not be counted when they end."""
        for memory in (self._counts, self._live, self._streams, self._requests):
            memory.clear()

    def note_request(self, body: dict[str, Any]) -> None:
        """Keep a request body as it was received."""
        self._requests.append(body)

    def begin(self, record: StreamRecord) -> None:
        """Count a stream as live."""
        counts = self._live[record.id] = self._counts.setdefault(record.model, Counts())
        counts.started += 1
        counts.live += 1
        counts.most_live = max(counts.most_live, counts.live)
        self._streams.append(record)

    def end(self, record: StreamRecord, outcome: Outcome, ended_s: float) -> None:
        """Write down how a stream ended; only the first ending counts."""
        if record.outcome != "live":
            return
        record.outcome, record.ended_s = outcome, ended_s
        counts = self._live.pop(record.id, None)
        if counts is None:
            return
        counts.live -= 1
        match outcome:
            case "finished":
                counts.finished += 1
            case "cut":
                counts.cut_by_client += 1
            case "faulted":
                counts.faulted += 1

    def stats(self, models: Iterable[str]) -> dict[str, Any]:
        """Counts of these models and of all which were asked, as JSON values."""
        names = dict.fromkeys([*models, *self._counts])
        return {"models": {name: asdict(self._counts.get(name, Counts())) for name in names}}

    def last_streams(self, last: int) -> list[StreamRecord]:
        """The last streams, oldest first."""
        return _tail(self._streams, last)

    def last_requests(self, last: int) -> list[dict[str, Any]]:
        """The last request bodies, oldest first."""
        return _tail(self._requests, last)


def _tail(items: deque[T], count: int) -> list[T]:
    return list(items)[-count:] if count else []
