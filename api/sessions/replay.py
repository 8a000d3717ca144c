"""A session's events once more, at their own pace or any other."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import orjson

from api.sessions.streams import RETRY, event_frame
from common.errors import BadRequest, NotFound
from common.events import Entry, TurnStarted, place
from common.names import SessionRef, valid_turn
from common.records.session_replay import SessionFold, describe, parse_speed
from common.sessions.sessions import Sessions
from common.turn.outputs import Output

_SLICE = 16  # events folded without a break: each may cost as much as a live turn's
_MOST = 100  # events in one write
_LONGEST_OFFSET = 10  # digits; a longer number is a turn's id


@dataclass(frozen=True, slots=True)
class Begin:
    """The place where a replay begins: an entry, a turn, or a time in ms after the session's start."""

    entry: tuple[int, int] | None = None
    turn: str | None = None
    offset_ms: int = 0

    def base_ms(self, entry: Entry, first_ms: int) -> int | None:
        """The time from which offsets count, if the replay begins with this entry; else None."""
        if self.turn:
            is_here = isinstance(entry.event, TurnStarted) and entry.event.turn == self.turn
        else:
            is_here = place(entry.id) >= (self.entry or (first_ms + self.offset_ms, 0))
        if not is_here:
            return None
        return entry.ms if self.turn or self.entry else first_ms + self.offset_ms


def read_speed(text: str) -> float:
    """A speed as a query has it; infinite for `max`. Raises BadRequest."""
    try:
        return parse_speed(text)
    except ValueError as error:
        raise BadRequest(str(error), param="speed") from None


def read_begin(text: str) -> Begin:
    """Return where to begin, as a query has it. Raises BadRequest."""
    if not text:
        return Begin()
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_OFFSET:
        return Begin(offset_ms=int(text))
    if valid_turn(text):
        return Begin(turn=text)
    return Begin(entry=read_entry_id("from", text))


def read_entry_id(param: str, text: str) -> tuple[int, int]:
    """An entry's id. Raises BadRequest with the parameter's name."""
    millis, dash, number = text.partition("-")
    parts = (millis, number)
    if dash and all(p.isascii() and p.isdigit() and len(p) <= 20 and int(p) < 2**63 for p in parts):
        return int(millis), int(number)
    raise BadRequest(f"{param} is no event's id", param=param)


class Replay:
    """One client's replay. Everything is timed against its start, so that errors don't add up."""

    def __init__(
        self,
        sessions: Sessions,
        session: SessionRef,
        *,
        speed: float,
        begin: Begin,
        after: tuple[int, int] | None,
    ) -> None:
        self._sessions = sessions
        self._session = session
        self._speed = speed
        self._begin = begin
        self._after = after
        self._first_ms: int | None = None  # the session's start
        self._base_ms: int | None = None  # where offsets count from
        self._played = self._play()
        self._next: tuple[Entry, bytes] | None = None

    async def open(self) -> bool:
        """Go to where it begins; whether there is anything to send. Raises NotFound, StoreUnavailable."""
        self._next = await anext(self._played, None)
        if self._base_ms is None and self._begin.turn:
            raise NotFound("there is no such turn in the session", code="turn_not_found", param="from")
        return self._next is not None

    async def batches(self) -> AsyncGenerator[bytes, None]:
        """The events as bytes, each at its time, and `end` after the last. Raises StoreUnavailable."""
        loop, batch, last_ms = asyncio.get_running_loop(), list[bytes](), 0
        base_ms = self._base_ms or 0
        yield RETRY
        start_s, start_ms = loop.time(), max(base_ms, self._after[0] if self._after else 0)
        while self._next:
            entry, frame = self._next
            due_s = start_s + (entry.ms - start_ms) / 1000 / self._speed
            if batch and (due_s > loop.time() or len(batch) == _MOST):
                yield b"".join(batch)
                batch = []
            if (wait_s := due_s - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            batch.append(frame)
            last_ms = entry.ms - base_ms
            self._next = await anext(self._played, None)
        yield b"".join([*batch, b'event: end\ndata: {"ms":%d}\n\n' % last_ms])

    async def _play(self) -> AsyncGenerator[tuple[Entry, bytes], None]:
        """The events to be sent. All are folded: what one lets out follows from those before it."""
        fold = SessionFold()
        async for page in self._sessions.entries(self._session):
            for number, entry in enumerate(page):
                if number % _SLICE == 0:
                    await asyncio.sleep(0)  # the tokens of this replica's live turns go first
                released = fold.feed(entry)
                if self._is_wanted(entry):
                    yield entry, self._frame(entry, released)

    def _is_wanted(self, entry: Entry) -> bool:
        if self._first_ms is None:
            self._first_ms = entry.ms
        if self._base_ms is None:
            self._base_ms = self._begin.base_ms(entry, self._first_ms)
        return self._base_ms is not None and (self._after is None or place(entry.id) > self._after)

    def _frame(self, entry: Entry, released: list[tuple[str, Output]] | None) -> bytes:
        data = {
            "ms": entry.ms - (self._base_ms or 0),
            "event": entry.event,
            "released": None if released is None else [describe(*one) for one in released],
        }
        return event_frame(entry, orjson.dumps(data))
