"""The turns that live on this replica: found, followed, gone on with, let go."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress

from api.turns.followers import Followers
from api.turns.leases import TurnLeases
from api.turns.live import LiveTurn
from common.errors import FastReplyError, Gone, NotFound, Unavailable
from common.events import Entry
from common.log import stream
from common.log.reader import LogReader
from common.names import TurnRef
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable
from common.turn.turn_log import TurnLog
from common.turn.version import UnknownFold

logger = logging.getLogger(__name__)

_RETRY_S = 0.1
_LOOKS = 5
_MOST_COST = 2  # processes that a turn may cost


class LiveTurns:
    """Finds turns, goes on with other replicas', and keeps them until their endings are written."""

    def __init__(self, settings: Settings, stores: Stores, reader: LogReader, sessions: Sessions) -> None:
        self._settings = settings
        self._stores = stores
        self._reader = reader
        self._sessions = sessions
        self._live: dict[str, LiveTurn] = {}
        self.followers = Followers(stores, settings.turn_lease_ms)
        self.leases = TurnLeases(settings, stores, self.followers, self._live)
        self._opening: dict[str, asyncio.Task[LiveTurn]] = {}
        self._minded: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """The number of turns that live on this replica."""
        return len(self._live)

    async def attach(self, turn: TurnRef, *, resumes: bool = True) -> LiveTurn:
        """The turn, for a client that is to follow it: other replicas hear so. Raises what `find` does.

        `resumes`: that shows a client that comes back when its connection breaks.
        """
        live = await self.find(turn)
        live.resumes = live.resumes or resumes
        if not live.closed.is_set():
            await self.followers.begin(turn)
        return live

    async def find(self, turn: TurnRef) -> LiveTurn:
        """The turn, live here from now on if it goes on. Raises NotFound, Gone, Unavailable."""
        if live := self._live.get(str(turn)):
            return live
        return await asyncio.shield(self._opening.get(str(turn)) or self.open_by(turn, self._open(turn)))

    def open_by(self, turn: TurnRef, work: Coroutine[None, None, LiveTurn]) -> "asyncio.Task[LiveTurn]":
        """Start or open a turn by this work, so that who asks for it meanwhile gets the same one."""
        key = str(turn)
        task = self._opening[key] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._opened(key, task))
        return task

    def _opened(self, key: str, task: "asyncio.Task[LiveTurn]") -> None:
        del self._opening[key]
        if not task.cancelled():
            task.exception()  # whoever asked may have gone

    async def _open(self, turn: TurnRef) -> LiveTurn:
        try:
            log = await self._sessions.turn(turn)
            if log is None:
                raise await self._why_missing(turn)
            if log.ended and log.ended.record == "none":
                raise Gone("what was said in the turn is not kept", code="turn_dropped", param="turn")
            return await self._read(turn, log)
        except UnknownFold:
            message = "the turn was written by another version of this server"
            raise Unavailable(message, code="turn_of_another_version") from None

    async def _read(self, turn: TurnRef, log: TurnLog) -> LiveTurn:
        """Return the live turn of this log, which is as it was a moment ago."""
        live = LiveTurn(self._stores, turn, log.started, self._settings.lane_lease_ms, queued=False)
        if not log.ended:
            await self._take_over(turn)
            self._reader.follow(turn.session, live.apply, live.on_log_deleted)
        live.begin(*log.entries)
        if not log.ended:
            self.keep(live, log.entries[-1])
            self._mind(self._stop_unfollowed(live, self._settings.resume_grace_s))
        elif live.fold.ending is None:
            message = "the log has lost a part of the turn"  # and who wrote it could not put it back
            raise Gone(message, code="turn_incomplete", param="turn")
        return live

    async def _take_over(self, turn: TurnRef) -> None:
        """Drive the turn from now on, unless it has just cost two who folded it. Raises Unavailable."""

        def build(pipe: Pipeline) -> None:
            pipe.hdel(keys.FOLDING, f"{turn}|sweep")
            self.leases.hold(pipe, [turn])

        for _ in range(_LOOKS):
            (mark,) = await self._stores.on_queue.run(lambda pipe: pipe.hget(keys.FOLDING, str(turn)))
            if mark is None or int(mark.partition(b":")[0]) < _MOST_COST:
                await self._stores.on_queue.run(build)
                return
            await asyncio.sleep(_RETRY_S)  # mostly the sweep is at it, and about to be done
        raise Unavailable("the turn can't be gone on with now; try again", code="turn_unavailable")

    async def _why_missing(self, turn: TurnRef) -> FastReplyError:
        """Return the error for a turn that isn't in its session's log."""
        if not await stream.was_cut(self._stores, turn.session):
            async for _ in self._sessions.entries(turn.session):
                return NotFound("there is no such turn", code="turn_not_found", param="turn")
        return Gone("the turn is no longer kept", code="turn_gone", param="turn")

    def keep(self, live: LiveTurn, last: Entry) -> None:
        """Go on with a turn after the last entry that it has taken."""
        self._reader.read_from(live.turn.session, last.id)
        self._live[str(live.turn)] = live
        self._mind(self._let_go(live))

    def client_left(self, live: LiveTurn, *, sent_away: bool = False) -> None:
        """A client went away before the end: the turn is stopped, unless it is to go on. After a grace, where
        the client may come back, as one whose key has ended does with another.
        """
        comes_back = sent_away or live.resumes or live.fold.policy.on_disconnect == "resume"
        self._mind(self._grant_grace(live, self._settings.resume_grace_s if comes_back else 0))

    async def _grant_grace(self, live: LiveTurn, grace_s: float) -> None:
        if not live.followers and not live.closed.is_set():
            try:
                await self.followers.end(live.turn, int(grace_s * 1000))
            except StoreUnavailable:
                logger.warning("could not tell that a client left; it counts until its lease ends")
        await self._stop_unfollowed(live, grace_s)

    async def _stop_unfollowed(self, live: LiveTurn, grace_s: float) -> None:
        """Stop the turn, unless it is to go on or somebody, here or elsewhere, follows it after the grace."""
        if live.fold.policy.on_disconnect == "continue":
            return
        wait_s = grace_s
        try:
            while not await _within(live.closed, wait_s):
                if live.followers:
                    return
                wait_s = await self.followers.elsewhere_s(live.turn)
                if not wait_s:
                    await live.interrupt("disconnect")
                    return
        except StoreUnavailable:
            logger.warning("could not stop a turn without a client; its deadline will")

    def close(self) -> None:
        """Let go of every turn; the sweep or another replica goes on with them."""
        for live in self._live.values():
            live.stop()
        for task in self._minded:
            task.cancel()

    async def _let_go(self, live: LiveTurn) -> None:
        await live.closed.wait()
        self._reader.leave(live.turn.session, live.apply)
        del self._live[str(live.turn)]

        def forget(pipe: Pipeline) -> None:
            self.followers.forget(pipe, live.turn)
            if live.ended_elsewhere:  # our word that we drive it may have come after that
                pipe.zrem(keys.LEASES, str(live.turn))

        with suppress(StoreUnavailable):  # else it goes by its time
            await self._stores.on_queue.run(forget)

    def _mind(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._minded.add(task)
        task.add_done_callback(self._minded.discard)


async def _within(event: asyncio.Event, time_s: float) -> bool:
    """Return True if the event comes in time."""
    try:
        await asyncio.wait_for(event.wait(), time_s)
    except TimeoutError:
        return False
    return True
