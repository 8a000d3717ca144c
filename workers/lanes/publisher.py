"""The publisher: one per worker process, through which all its lanes append to their logs.

It commits in groups: what has come while the last pipeline was in flight goes into the next, merged to one
entry a lane. At low load that is a token an entry, under load it is many, with no timer in the way.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Any

from redis.exceptions import NoPermissionError

from common.events import Delta, Event, Extra, LaneEvent, LaneFinished, LaneStarted, ToolPart
from common.log.stream import append, read_turn
from common.names import JobRef
from common.store import keys
from common.store.redis import Stores, StoreUnavailable
from common.text.growing_text import GrowingText
from common.turn.lane_state import LaneState, with_more
from common.turn.turn_log import TurnLog

logger = logging.getLogger(__name__)

_RETRY_S = 0.2
_LOOK_S = 1.0
_KEEP_S, _KEEP = 20.0, 1_000  # attempts that are over are kept for so long, and so many


class LaneWriter:
    """One attempt's pen: keeps what it wrote until the attempt is over, in case the server loses it."""

    def __init__(self, publisher: "Publisher", started: LaneStarted, job: JobRef, start_ms: int) -> None:
        self.job = job
        self.started = started
        self.state = LaneState(job.lane)
        self.fenced = asyncio.Event()  # the session was deleted, or a later attempt owns the lane
        self._pending: list[Event] = []
        self._unsaid: list[
            str
        ] = []  # texts of the delta that comes next: one by one they'd be copied each time
        self._unsaid_at: dict[str, Any] = {}  # its other fields
        self.kept: list[ToolPart | Extra] = []
        self.ended: LaneFinished | None = None
        self.pieces = 0
        self._publisher = publisher
        self._start_ms = start_ms
        self._committed: asyncio.Future[None] | None = None

    def _here(self) -> dict[str, Any]:
        """The fields that each of this attempt's events has."""
        turn, job = self.job.turn.turn, self.job
        return {
            "turn": turn,
            "lane": job.lane,
            "attempt": job.attempt,
            "ms": self._publisher.ms_since(self._start_ms),
        }

    def append_text(self, text: str) -> None:
        """Append text to the lane."""
        self.pieces += 1
        if not self._unsaid:
            self._unsaid_at = {"at": len(self.state.text), **self._here()}
        self._unsaid.append(text)
        self.state.text.append(text)
        self._publisher.wake(self)

    def append_tool_call(
        self, index: int, call_id: str, name: str, arguments: str, rest: dict[str, Any] | None = None
    ) -> None:
        """Append a part of a tool call."""
        known = self.state.calls.get(index)
        at = known.size if known else 0
        part = ToolPart(
            index=index, at=at, id=call_id, name=name, arguments=arguments, rest=rest or {}, **self._here()
        )
        self.state.apply(part)
        self._keep(part)

    def append_extra(self, choice: dict[str, Any]) -> None:
        """Append whatever else a chunk held."""
        extra = Extra(number=len(self.state.extras), choice=choice, **self._here())
        self.state.apply(extra)
        self._keep(extra)

    async def finish(
        self, reason: Any, usage: dict[str, Any] | None, error: dict[str, Any] | None = None
    ) -> None:
        """Append the attempt's end and wait until it stands in the log, or the log is gone."""
        self._committed = asyncio.get_running_loop().create_future()
        at = len(self.state.text)
        self.ended = LaneFinished(at=at, reason=reason, usage=usage, error=error, **self._here())
        self._add(self.ended)
        self._publisher.wake(self)
        gone = asyncio.ensure_future(self.fenced.wait())
        await asyncio.wait((self._committed, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()

    @property
    def whole(self) -> bool:
        """Return True once all that was said stood in the log."""
        return not self.fenced.is_set() and self._committed is not None and self._committed.done()

    def take_pending(self) -> list[Event]:
        """Return the events of the next commit and clear them."""
        self._put_unsaid()
        events, self._pending = self._pending, []
        return events

    def committed(self) -> None:
        """Note that all events that were taken stand in the log."""
        waits = self._pending or self._unsaid
        if self._committed and not waits and not self._committed.done():
            self._committed.set_result(None)

    def missing(self, known: LaneState) -> list[Event]:
        """Return the events of this attempt that a log lacks which says `known` of the lane, pending ones
        too.
        """
        self._pending, self._unsaid = [], []
        events: list[Event] = []
        if known.attempt < self.job.attempt:
            events.append(self.started)
        at = len(known.text)
        if at < len(self.state.text):
            events.append(Delta(at=at, text=self.state.text[at:], **self._here()))
        events += [part for part in self.kept if not _stands(part, known)]
        return [*events, *([self.ended] if self.ended else [])]

    def _keep(self, part: ToolPart | Extra) -> None:
        self.kept.append(part)
        self._add(part)
        self._publisher.wake(self)

    def _add(self, event: Event) -> None:
        self._put_unsaid()
        self._pending.append(event)

    def _put_unsaid(self) -> None:
        if self._unsaid:
            self._pending.append(Delta(text="".join(self._unsaid), **self._unsaid_at))
            self._unsaid = []


def _keeps_words(log: TurnLog) -> bool:
    """Return True if the turn's words stay in its log. Nothing of a rewritten turn may come back."""
    return log.started.record == "full" and (log.ended is None or log.ended.record == "full")


def _stands(part: ToolPart | Extra, known: LaneState) -> bool:
    """Return True if a log that says `known` has this part."""
    if isinstance(part, Extra):
        return part.number < len(known.extras)
    call = known.calls.get(part.index)
    if call is None or part.at + len(part.arguments) > call.size:
        return False
    return with_more(call.rest, part.rest) == call.rest


Written = tuple[LaneWriter, list[Event]]
"""What one writer has for the next commit."""


class Publisher:
    """Appends for every writer of this process, in groups."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._waiting: dict[LaneWriter, None] = {}
        self._open: set[LaneWriter] = set()
        self._bell = asyncio.Event()
        # With which connection, and which server's data, the log was checked for losses.
        self._checked = (0, "")
        self._lineage = ""  # of the server's data: another after each promotion
        self._closed: deque[tuple[float, LaneWriter]] = deque()  # and when
        self._to_wake: set[str] = set()
        self._hinting: asyncio.Task[None] | None = None

    @property
    def speaking(self) -> int:
        """The number of writers that have not told how their attempt ended."""
        return sum(writer.ended is None for writer in self._open)

    def open(self, started: LaneStarted, job: JobRef, start_ms: int, known: LaneState) -> LaneWriter:
        """A writer for an attempt whose `lane.started` stands in the log, which says `known` of the lane."""
        writer = LaneWriter(self, started, job, start_ms)
        writer.state.text = GrowingText(str(known.text))
        writer.state.attempt = job.attempt
        writer.state.extras = list(known.extras)
        self._open.add(writer)
        return writer

    def close(self, writer: LaneWriter) -> None:
        """The attempt is over; what it kept is let go a little later, should the server lose it."""
        if writer in self._open and writer.ended and writer.whole:
            self._closed.append((monotonic(), writer))
        self._forget_old()
        self._open.discard(writer)
        self._waiting.pop(writer, None)

    def _forget_old(self) -> None:
        old_s = monotonic() - _KEEP_S
        while self._closed and (self._closed[0][0] < old_s or len(self._closed) > _KEEP):
            self._closed.popleft()

    def doubt(self) -> None:
        """Compare what was written with the log: it may be lost, or another may have taken over."""
        self._checked = (self._checked[0], "?")
        self._bell.set()

    def wake(self, writer: LaneWriter) -> None:
        """This writer has something to commit."""
        self._waiting[writer] = None
        self._bell.set()

    def ms_since(self, start_ms: int) -> int:
        """Milliseconds since a turn's start, on the log server's clock."""
        return self._stores.log_clock.since(start_ms)

    async def run(self) -> None:
        """Commit until cancelled; a store that is away delays and loses nothing."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commit_on())
            tasks.create_task(self._watch_lineage())

    async def _watch_lineage(self) -> None:
        """Look now and then whether another server's data has taken the place of what we wrote to.

        A replica that is promoted may lack the last of it, and a connection that is kept doesn't show it.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            self._forget_old()
            if not (self._open or self._closed):
                continue
            try:
                lineage = str(
                    (await self._stores.append_connection.info("replication")).get("master_replid", "")
                )
            except StoreUnavailable as error:
                if isinstance(error.cause, NoPermissionError):
                    return  # then a new connection alone tells
                continue
            if self._lineage and lineage != self._lineage:
                logger.warning("the log's server was replaced")
                self._bell.set()
            elif not self._lineage:
                self._checked = (self._checked[0], lineage)
            self._lineage = lineage

    async def _commit_on(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            waiting, self._waiting = self._waiting, {}
            batch = [(writer, events) for writer in waiting if (events := writer.take_pending())]
            try:
                await self._commit(batch)
            except StoreUnavailable as error:
                logger.warning("could not append; trying on", extra={"error": error.reason})
                await self._recover(batch)

    async def _recover(self, batch: list[Written]) -> None:
        """Append the batch again once the store is back, and what it may have lost of any open lane."""
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                await self._commit(batch)
                return
            except StoreUnavailable:
                continue

    async def _commit(self, batch: list[Written]) -> None:
        """Append a batch and wake its readers, in one round trip where log and queue share a server."""
        await self._append(batch)
        while self._checked != (now := (self._stores.append_connection.connects, self._lineage)):
            if self._checked[0]:
                # Another connection, or server: whatever was lost before (a restart, a failover) is put back.
                writers = (*self._open, *(writer for _, writer in self._closed))
                lost = [(writer, await self._find_missing(writer)) for writer in writers]
                lost = [(writer, events) for writer, events in lost if events]
                await self._append(lost)
                batch = [*batch, *lost]
            self._checked = now
        for writer, _ in batch:
            writer.committed()
        if not self._stores.shared:
            self._hint(keys.wake(writer.job.turn.session) for writer, _ in batch)

    async def _append(self, batch: list[Written]) -> None:
        if not batch:
            return
        pipe = self._stores.append_connection.pipeline(transaction=False)
        for writer, events in batch:
            for event in events:
                append(pipe, writer.job.turn.session, event)
        if self._stores.shared:
            for channel in dict.fromkeys(keys.wake(writer.job.turn.session) for writer, _ in batch):
                pipe.publish(channel, b"")
        replies = await pipe.execute()
        place = 0
        for writer, events in batch:
            if None in replies[place : place + len(events)]:
                writer.fenced.set()
            place += len(events)

    async def _find_missing(self, writer: LaneWriter) -> list[Event]:
        turn, known = writer.job.turn, LaneState(writer.job.lane)
        log = await read_turn(self._stores, turn)
        for entry in log.own if log else ():
            event = entry.event
            if not isinstance(event, LaneEvent):
                continue
            if event.lane == known.lane:
                known.apply(event)
        begun_elsewhere = known.attempt == writer.job.attempt and known.worker != writer.started.worker
        if log is None or known.attempt > writer.job.attempt or begun_elsewhere:
            writer.fenced.set()
            return []
        if writer not in self._open and not _keeps_words(log):
            return []
        if known.over:  # all of it stands, though its reply may have been lost
            writer.take_pending()
            writer.committed()
            return []
        return writer.missing(known)

    def _hint(self, channels: Iterable[str]) -> None:
        """Wake readers by a queue server of its own, in the background: the log must not wait for it."""
        self._to_wake.update(channels)
        if self._hinting is None:
            self._hinting = asyncio.create_task(self._send_hints())

    async def _send_hints(self) -> None:
        try:
            while self._to_wake:
                channels, self._to_wake = self._to_wake, set()
                pipe = self._stores.queue.pipeline(transaction=False)
                for channel in channels:
                    pipe.publish(channel, b"")
                await pipe.execute()
        except StoreUnavailable:
            self._to_wake.clear()  # readers look again by themselves
        finally:
            self._hinting = None
