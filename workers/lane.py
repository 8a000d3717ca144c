"""One attempt at one lane: pick the job up, ask the model, write what it says, write how it ended."""

import asyncio
import logging
from contextlib import aclosing
from typing import Any

from common import keys, log, queue
from common.events import Entry, LaneStarted, TurnStarted
from common.fold import Fold, UnknownFold
from common.keys import JobRef, SessionRef, TurnRef
from common.log import decode_entries, read_turn
from common.profiles import Profiles
from common.settings import Settings
from common.stores import Pipe, Stores
from common.watchdog import Watchdog
from workers.prompts import body_for
from workers.providers.base import Finish, Other, Provider, ToolPiece, UpstreamError, Usage
from workers.publisher import LaneWriter, Publisher
from workers.running import Held, RunningLanes

logger = logging.getLogger(__name__)

_USAGE_WAIT_S = 1.0
_FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter")
_FIRST_PAGE = 64


class LaneRunner:
    """Runs the attempts that the queue hands to this worker."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        profiles: Profiles,
        provider: Provider,
        publisher: Publisher,
        running: RunningLanes,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._profiles = profiles
        self._provider = provider
        self._publisher = publisher
        self._running = running

    async def run_lane(
        self, ctx: dict[str, Any], tenant: str, session: str, turn: str, lane: Any, attempt: int
    ) -> None:
        """The job. Always returns: what goes wrong is written to the log, never left to the queue."""
        job = JobRef(TurnRef(SessionRef(tenant, session), turn), lane, attempt)
        with self._running.hold(job) as held:
            try:
                picked = await self._pick_up(job, held)
            except UnknownFold:
                logger.warning("left a turn to a worker of its version", extra={"turn": turn})
                return  # its lease lapses, and the sweep of such a worker gives it another attempt
            if picked is None:
                return
            writer, started = picked
            try:
                await self._work(held, writer, started)
            finally:
                self._publisher.close(writer)
        if held.stop != "lost":
            await self._let_go(job)

    async def _pick_up(self, job: JobRef, held: Held) -> tuple[LaneWriter, TurnStarted] | None:
        """Begin the attempt in the log; what the log says up to there decides whether it is still of use."""
        begun = LaneStarted(job.turn.turn, job.lane, job.attempt, "", self._running.worker)
        entries, cancelled, leased = await self._begin(job, begun)
        if not entries:  # the session was deleted
            await self._let_go(job)
            return None
        started = entries[0].event
        assert isinstance(started, TurnStarted)
        fold = Fold(started)
        for entry in entries[1:]:
            fold.feed(entry.event, entry.ms - entries[0].ms)
        state = fold.lanes[job.lane]
        if state.attempt == job.attempt and state.worker != begun.worker:
            return None  # this very attempt runs elsewhere: its lease is not ours to drop
        if not leased or state.over or state.attempt != job.attempt:
            await self._let_go(job)
            return None
        writer = self._publisher.open(begun, job, entries[0].ms, state)
        if cancelled or not fold.wants(job.lane):
            held.end("cancelled")
        return writer, started

    async def _begin(self, job: JobRef, begun: LaneStarted) -> tuple[list[Entry], bool, bool]:
        """Append `lane.started` and read the turn; is the job marked to stop, is its lease ours."""
        stores, session = self._stores, job.turn.session

        def ask_queue(pipe: Pipe) -> None:
            pipe.exists(keys.cancelled(job))
            pipe.zscore(keys.LEASES, str(job))

        def ask_log(pipe: Pipe) -> None:
            log.append(pipe, session, begun)
            pipe.time()
            pipe.xrevrange(keys.log(session), count=_FIRST_PAGE)

        # Side by side; where both are one server, its batcher makes them one round trip.
        on_queue, on_log = await asyncio.gather(stores.on_queue.run(ask_queue), stores.on_log.run(ask_log))
        replies = [*on_queue, *on_log]
        marked, lease, entry_id, time, page = replies
        self._stores.log_clock.take(time)
        if entry_id is None:
            return [], False, False
        entries = decode_entries(page[::-1])
        for place, entry in enumerate(entries):
            if isinstance(entry.event, TurnStarted) and entry.event.turn == job.turn.turn:
                return entries[place:], bool(marked), lease is not None
        return await read_turn(self._stores, job.turn), bool(marked), lease is not None

    async def _work(self, held: Held, writer: LaneWriter, started: TurnStarted) -> None:
        """Speak until the end, or until somebody stops it; then write how it ended."""
        result = _Result()
        if held.stop is None:
            held.work = asyncio.create_task(self._speak(writer, started, result))
            gone = asyncio.create_task(writer.gone.wait())
            try:
                await asyncio.wait((held.work, gone), return_when=asyncio.FIRST_COMPLETED)
                if not held.work.done():
                    held.end("lost")
            finally:  # also where the job itself is cancelled: no stream outlives it
                gone.cancel()
                held.work.cancel()
                await asyncio.gather(held.work, gone, return_exceptions=True)
            if not held.work.cancelled() and (bug := held.work.exception()):
                logger.error(
                    "a lane broke", exc_info=bug, extra={"turn": held.job.turn.turn, "lane": held.job.lane}
                )
                result.error = UpstreamError("internal_error", "the lane broke")
        await self._write_end(held, writer, result)

    async def _write_end(self, held: Held, writer: LaneWriter, result: "_Result") -> None:
        if held.stop == "lost":
            return  # whoever owns the lane now writes its end
        usage = result.usage or _estimate(writer)
        if held.stop == "cancelled":
            reason, error = "cancelled", None
        elif held.stop == "drain":
            reason, error = "handed_over", None
        elif result.error:
            reason, error = "error", result.error.as_event()
        else:
            reason, error = result.reason, None
        await writer.finish(reason, usage, error)
        logger.info(
            "lane finished",
            extra={
                "turn": held.job.turn.turn,
                "lane": held.job.lane,
                "attempt": held.job.attempt,
                "ending": reason,
                "code": error["code"] if error else None,
                "tokens": usage.get("completion_tokens"),
            },
        )
        if held.stop == "drain":
            await queue.replace(self._stores, held.job, self._settings.lane_lease_ms)

    async def _speak(self, writer: LaneWriter, started: TurnStarted, result: "_Result") -> None:
        """Ask the model and write down what it says."""
        job = writer.job
        profile = self._profiles.get(started.profile)
        upstream = profile.upstream(job.lane) if profile else None
        if upstream is None:
            result.error = UpstreamError("unknown_profile", "this worker doesn't know the turn's profile")
            return
        body = body_for(started, job.lane, writer.state.text)
        heard = False
        try:
            async with (
                Watchdog() as watchdog,
                aclosing(self._provider.stream(upstream, body)) as pieces,
            ):
                watchdog.expect_within(self._settings.first_token_timeout_s)
                async for piece in pieces:
                    _write(writer, piece, result)
                    heard = True
                    watchdog.expect_within(
                        _USAGE_WAIT_S if result.reason else self._settings.next_token_timeout_s
                    )
        except TimeoutError:
            if not result.reason:  # after the answer's end only its usage is missing
                code = "upstream_stalled" if heard else "upstream_first_token_timeout"
                result.error = UpstreamError(code, "the model's server fell silent")
        except UpstreamError as error:
            if not result.reason:
                result.error = error

    async def _let_go(self, job: JobRef) -> None:
        await self._stores.on_queue.run(
            lambda pipe: (pipe.zrem(keys.LEASES, str(job)), pipe.delete(keys.cancelled(job)))
        )


class _Result:
    """How a model's answer ended, as far as it is known."""

    def __init__(self) -> None:
        self.reason = ""
        self.usage: dict[str, Any] | None = None
        self.error: UpstreamError | None = None


def _write(writer: LaneWriter, piece: Any, result: _Result) -> None:
    if isinstance(piece, str):
        writer.say(piece)
    elif isinstance(piece, ToolPiece):
        writer.call(piece.index, piece.id, piece.name, piece.arguments)
    elif isinstance(piece, Other):
        writer.add(piece.choice)
    elif isinstance(piece, Finish):
        # An older word for the same: the model wants its function called.
        reason = "tool_calls" if piece.reason == "function_call" else piece.reason
        result.reason = reason if reason in _FINISH_REASONS else "stop"
    elif isinstance(piece, Usage):
        result.usage = piece.tokens


def _estimate(writer: LaneWriter) -> dict[str, Any]:
    """Where the server didn't say what a broken-off answer cost: servers send about a token a piece."""
    return {
        "prompt_tokens": 0,
        "completion_tokens": writer.pieces,
        "total_tokens": writer.pieces,
        "estimated": True,
    }
