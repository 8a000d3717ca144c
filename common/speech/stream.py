"""The short-lived stream of a turn's speech: its entries, and which of them count.

A sentence is a part of the released text, from character `start` to `end`. It is spoken in frames, numbered
from 0, all but the last as long as the format's frame; so a frame that is made again is identical.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

from common.events import place
from common.names import JobRef, TurnRef
from common.store import keys
from common.store.redis import Pipeline, Stores

logger = logging.getLogger(__name__)

TTL_MS = 60_000
"""How long audio is kept after its end, for a client that reconnects."""
AGAIN = 0
"""The attempt that speaks a turn once more on request: nobody can break in."""
_PAUSE_TTL_MS = 600_000  # longer than any pause in mid-turn

Reason = Literal["done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Began:
    """An attempt at speaking begins: from here on lower attempts are void."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a sentence; the `last` one may be short, or empty."""

    attempt: int
    start: int
    end: int
    number: int
    last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more is spoken: all was said, or the caller broke in, or no worker could go on."""

    attempt: int
    reason: Reason


Spoken = Began | Frame | Over

_KINDS: dict[bytes, type[Spoken]] = {b"began": Began, b"frame": Frame, b"over": Over}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def append(pipe: Pipeline, turn: TurnRef, *entries: Spoken) -> None:
    """Queue entries for a turn's stream on the queue server, and wake its followers."""
    for entry in entries:
        facts = asdict(entry)
        data = facts.pop("data", b"")
        pipe.xadd(keys.audio(turn), {_NAMES[type(entry)]: orjson.dumps(facts), b"data": data})
    pipe.pexpire(keys.audio(turn), TTL_MS if isinstance(entries[-1], Over) else _PAUSE_TTL_MS)
    pipe.publish(keys.spoke(turn), b"")


async def last_ms(stores: Stores, job: JobRef) -> int | None:
    """Return the time of this attempt's last entry, if it is the stream's last. Raises StoreUnavailable."""
    latest: list[Any] = await stores.queue.xrevrange(keys.audio(job.turn), count=1)
    if not any(entry.attempt == job.attempt for entry in decode_all(latest)):
        return None
    return place(latest[0][0].decode())[0]


def decode(fields: dict[bytes, bytes]) -> Spoken:
    """Return the entry in these fields of the stream. Raises ValueError if it is broken."""
    (name,) = fields.keys() - {b"data"}
    try:
        facts: dict[str, Any] = orjson.loads(fields[name])
        if name == b"frame":
            facts["data"] = fields[b"data"]
        entry = _KINDS[name](**facts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a broken entry of speech: {type(error).__name__}") from None
    numbers = [value for key, value in facts.items() if key not in ("data", "reason")]
    if not all(isinstance(value, int) for value in numbers):
        raise ValueError("a broken entry of speech: no number")
    return entry


def decode_all(raw: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Spoken]:
    """Return the entries of an XRANGE reply without broken ones: a sentence ends at a lost frame."""
    entries = []
    for entry_id, fields in raw:
        try:
            entries.append(decode(fields))
        except ValueError:
            logger.error("passed over a broken entry of speech", extra={"entry": entry_id.decode()})
    return entries


class SpeechState:
    """The state of a turn's stream, entry by entry: where it stands, and which entries count."""

    def __init__(self) -> None:
        self.attempt = 0
        self.done = 0  # the end of the last sentence that is whole
        self.sentence: tuple[int, int] | None = None  # one that has begun and is not complete
        self.number = 0  # of its next frame
        self.over: Over | None = None

    def apply(self, entry: Spoken) -> Frame | Over | None:
        """Apply an entry, and return it if it counts: a void, repeated or late one changes nothing."""
        if self.over or entry.attempt < self.attempt:
            return None
        self.attempt = entry.attempt
        if isinstance(entry, Over):
            self.over = entry
            return entry
        return entry if isinstance(entry, Frame) and self._goes_on(entry) else None

    def _goes_on(self, frame: Frame) -> bool:
        sentence = (frame.start, frame.end)
        if self.sentence != sentence:
            # An incomplete one is broken off only if the server lost the rest of it.
            if frame.number or frame.start < max(self.done, self.sentence[1] if self.sentence else 0):
                return False
        elif frame.number != self.number:
            return False
        self.sentence, self.number = sentence, frame.number + 1
        if frame.last:
            self.sentence, self.number, self.done = None, 0, frame.end
        return True
