"""A live turn on this replica: folds its events, drives what the fold asks for, and keeps what was released.

Folding and driving never wait for a client; clients `follow` the outputs at their own pace.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any

from common import driver
from common.errors import turn_error
from common.events import Entry, TimerFired, TurnEnded, TurnStarted
from common.log import stream
from common.names import TurnRef
from common.process.bugs import about
from common.store.redis import Stores, StoreUnavailable
from common.turn.commands import Command, EndTurn, FireTimer
from common.turn.cost import no_usage
from common.turn.fold import Fold
from common.turn.outputs import Output, TextReleased
from common.turn.turn_log import FoldingTurn

logger = logging.getLogger(__name__)

_RETRY_S = 0.5


class LiveTurn:
    """One turn. Call `begin` with its first entries, then `apply` with what follows.

    `queued`: the jobs that it begins with have just been put. Raises UnknownFold.
    """

    def __init__(
        self, stores: Stores, turn: TurnRef, started: TurnStarted, lane_lease_ms: int, *, queued: bool = True
    ) -> None:
        self.turn = turn
        self.started = started
        self.outputs: list[Output] = []
        self.fold = Fold(started)
        self.usage: dict[str, Any] = {}  # all lanes' together, as it was known at the ending
        self.closed = asyncio.Event()  # the ending stands in the log: nothing is left to do
        self.ended_elsewhere = False  # another wrote it
        self.followers = 0
        self.resumes = False  # a client of it has said, or shown, that it comes back
        self.limit_headers: dict[str, str] = {}  # where its tenant stood when it was let in
        self._stores = stores
        self._folding: FoldingTurn | None = None  # from its first entry on
        self._bells: set[asyncio.Event] = set()
        self._lease_ms = lane_lease_ms
        self._ordered = set(self.fold.commands() if queued else ())  # what was set going
        self._acts: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for: FireTimer | None = None
        self._writes_end = False
        self._told_of_bug = False
        self._broken = False  # by a bug: it ends as it stands

    def begin(self, entry: Entry, *later: Entry) -> None:
        """The turn's first entry is in the log, and what came after it until now."""
        self._folding = FoldingTurn.at_start(self.fold, entry)
        self.apply(list(later))

    def apply(self, entries: list[Entry]) -> None:
        """Fold what came after the turn's start; earlier and repeated entries are passed over."""
        if self._folding is None or self._broken:
            return  # the log is yet to be read, from the turn's start on; or nothing more counts
        try:
            self._apply(self._folding, entries)
        except Exception as bug:
            self._break(bug)

    def _apply(self, folding: FoldingTurn, entries: list[Entry]) -> None:
        count = len(self.outputs)
        for entry in entries:
            outputs = folding.feed(entry)
            if outputs is None:
                continue
            if isinstance(entry.event, TimerFired):
                self._timer_for = None  # should it have come a moment too early, it is set again
            self._publish(outputs)
            if (bug := self.fold.broken_by) and not self._told_of_bug:
                self._told_of_bug = True
                logger.error("a fold broke: its turn is ended", extra={**about(bug), "turn": self.turn.turn})
            if isinstance(entry.event, TurnEnded) and entry.event.turn == self.turn.turn:
                self.ended_elsewhere = not self._writes_end
                self._close()
        if len(self.outputs) > count:
            self._notify()
        self._drive()

    def on_log_deleted(self) -> None:
        """The session was deleted: nothing more can come, so the turn ends here."""
        if self._broken:
            return
        try:
            if self.fold.ending is None:
                self._publish(self.fold.break_off(turn_error("session_deleted", "the session was deleted")))
                self._notify()
            self._drive()
        except Exception as bug:
            self._break(bug)

    async def follow(self) -> AsyncGenerator[list[Output], None]:
        """Yield all outputs, from the first, in batches as large as the reader is slow."""
        bell, done = asyncio.Event(), 0
        self._bells.add(bell)
        self.followers += 1
        try:
            while True:
                bell.clear()
                batch = self.outputs[done:]
                done += len(batch)
                if batch:
                    yield batch
                elif self.fold.ending:
                    return
                else:
                    await bell.wait()
        finally:
            self._bells.discard(bell)
            self.followers -= 1

    async def interrupt(self, by: str, heard: int = -1) -> bool:
        """Stop the turn, if it hasn't ended, and write how much of it was heard, if that is known.

        False where there is no log to write it to. Raises StoreUnavailable.
        """
        if self.fold.ending and heard < 0:
            return True
        return await driver.interrupt(self._stores, self.turn, by, heard)

    async def catch_up(self) -> None:
        """Fold all that the log has by now. Raises StoreUnavailable."""
        if self._folding and not self.closed.is_set():
            self.apply(await stream.read_after(self._stores, self.turn.session, self._folding.last_id))

    def stop(self) -> None:
        """Leave the turn to others: no more timers or acts."""
        if self._timer:
            self._timer.cancel()
        for task in self._acts:
            task.cancel()

    @property
    def start_ms(self) -> int:
        """The time when the turn started, on the log server's clock."""
        return self._folding.start_ms if self._folding else 0

    @property
    def created_s(self) -> int:
        """The time when the turn started, in seconds on the log server's clock."""
        return self.start_ms // 1000

    @property
    def text(self) -> str:
        """The text that was released so far."""
        return "".join(release.text for release in self.outputs if isinstance(release, TextReleased))

    def _publish(self, released: list[Output]) -> None:
        self.outputs += released
        if self.fold.ending and not self.usage:
            self.usage = self.fold.usage()["sum"]

    def _notify(self) -> None:
        for bell in self._bells:
            bell.set()

    # Driving.

    def _drive(self) -> None:
        """Set going what the fold asks for and hasn't been told of."""
        if self.closed.is_set():
            return
        # A lane whose attempt begins after it was told to stop is told again, now by its worker's name.
        for command in self.fold.commands():
            if command not in self._ordered:
                self._ordered.add(command)
                self._perform(partial(self._carry_out, command))
        self._watch_clock()

    async def _carry_out(self, command: Command) -> None:
        ends = isinstance(command, EndTurn)
        if ends and self.closed.is_set():
            return  # it stands in the log, though the reply to it was lost
        self._writes_end = self._writes_end or ends
        await driver.perform(self._stores, self.turn, self.fold, command, self._lease_ms)
        if ends:
            self._close()

    def _close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self.closed.set()

    def _perform(self, act: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._until_done(act))
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)

    async def _until_done(self, act: Callable[[], Awaitable[None]]) -> None:
        """Acts are idempotent, so a store that is away only delays them. A bug ends the turn."""
        while True:
            try:
                return await act()
            except StoreUnavailable as error:
                logger.warning(
                    "could not drive a turn", extra={"turn": self.turn.turn, "error": error.reason}
                )
                await asyncio.sleep(_RETRY_S)
            except Exception as bug:
                if not self._broken:
                    self._break(bug)
                else:  # not even its ending can be written: the sweep finds it when its lease lapses
                    logger.error("a turn can't be ended", extra={**about(bug), "turn": self.turn.turn})
                    self._close()
                return None

    def _break(self, bug: Exception) -> None:
        """This turn has met a bug: it ends with an error, for its clients and in the log."""
        logger.error("a turn broke: it is ended", extra={**about(bug), "turn": self.turn.turn})
        self._broken = True
        if self._timer:
            self._timer.cancel()
        error = turn_error("internal_error", "the turn could not go on", "server_error")
        if self.fold.ending is None:
            self.outputs += self.fold.break_off(error)
        self.usage = self.usage or no_usage()["sum"]
        self._notify()
        if not self.closed.is_set():
            self._perform(lambda: self._end_broken(error))

    async def _end_broken(self, error: dict[str, Any]) -> None:
        await driver.end_by_force(self._stores, self.turn, self.started.tell, error, self.fold)
        self._close()

    def _watch_clock(self) -> None:
        timer, wait_ms = driver.next_timer(self._stores, self.start_ms, self.fold) or (None, 0)
        if timer == self._timer_for:
            return
        self._timer_for = timer
        if self._timer:
            self._timer.cancel()
        if timer is None:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(
            max(0.0, wait_ms / 1000), self._perform, partial(self._carry_out, timer)
        )

    def reset_timer(self) -> None:
        """The log's clock was stepped: set the timer anew."""
        self._timer_for = None
        if not self.closed.is_set() and not self._broken:
            self._watch_clock()
