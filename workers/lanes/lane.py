"""One attempt at one lane: pick the job up, ask the model, write what it says, write how it ended."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from common import driver
from common.events import LaneFinished, LaneStarted, Retrieved, TurnStarted
from common.log import stream
from common.log.stream import decode_entries, read_turn
from common.names import JobRef, SessionRef, TurnRef
from common.process.bugs import about
from common.queue import job_queue
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable, insist
from common.tenants import latency
from common.tenants.directory import Directory
from common.turn.commands import FireTimer
from common.turn.fold import Fold
from common.turn.outputs import CUT, TOLD
from common.turn.turn_log import FoldingTurn, TurnLog
from common.turn.version import UnknownFold
from workers.knowledge.retrieval import Retrieval, citations
from workers.lanes.failures import RefusedDrafts
from workers.lanes.generation import Generation, GenerationResult
from workers.lanes.publisher import LaneWriter, Publisher
from workers.lanes.relearning import Relearned
from workers.lanes.upstream_resolver import UpstreamResolver
from workers.leases import HeldLane, LaneLeases
from workers.prompts import with_passages
from workers.providers.base import Provider, UpstreamError

logger = logging.getLogger(__name__)

_LOOK_S = 0.02  # so often the full looks what the draft has said, under `continue`
_LATE_MS = 50
_LOST_MS = 5_000  # what the log still doesn't say then, it will not say
_FIRST_PAGE = 64


class LaneRunner:
    """Runs the attempts that the queue hands to this worker."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        directory: Directory,
        provider: Provider,
        publisher: Publisher,
        running: LaneLeases,
        retrieval: Retrieval | None = None,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._directory = directory
        self._provider = provider
        self._publisher = publisher
        self._running = running
        self._retrieval = retrieval
        self._relearned, self._refused = Relearned(), RefusedDrafts()
        self._servers = UpstreamResolver(settings, stores, directory)

    async def run_lane(
        self, ctx: dict[str, Any], tenant: str, session: str, turn: str, lane: Any, attempt: int
    ) -> None:
        """The job. Always returns: what goes wrong is written to the log, never left to the queue."""
        job = JobRef(TurnRef(SessionRef(tenant, session), turn), lane, attempt)
        with self._running.hold(job) as held:
            try:
                # While a store is away the job waits here, with its lease renewed: nobody has died.
                picked = await insist(lambda: self._pick_up(job, held), until=lambda: held.stop is not None)
            except UnknownFold:
                logger.warning("left a turn to a worker of its version", extra={"turn": turn})
                return  # its lease lapses, and the sweep of such a worker gives it another attempt
            if picked is None:
                if held.stop == "cancelled":
                    await self._let_go(job)
                return
            try:
                await self._work(held, picked)
            finally:
                self._publisher.close(picked.writer)
        if held.stop != "lost":
            await self._let_go(job)

    async def _pick_up(self, job: JobRef, held: HeldLane) -> "_Picked | None":
        """Begin the attempt in the log; what the log says up to there decides whether it is still of use."""
        begun = LaneStarted(job.turn.turn, job.lane, job.attempt, self._running.worker)
        log, cancelled, leased = await self._begin(job, begun)
        if log is None:  # the session was deleted
            await self._let_go(job)
            return None
        turn = log.fold_to_end()
        fold = turn.fold
        state = fold.lanes[job.lane]
        if state.attempt == job.attempt and state.worker != begun.worker:
            return None  # this very attempt runs elsewhere: its lease is not ours to drop
        if state.over or state.attempt != job.attempt:  # it began too late, or another has taken its place
            await self._write_off(job, self._publisher.ms_since(log.start_ms))
            return None
        if not leased:
            await self._let_go(job)
            return None
        writer = self._publisher.open(begun, job, log.start_ms, state)
        if cancelled or not fold.wants(job.lane):
            held.end("cancelled")
        retrieved = next(iter(log.events(Retrieved)), None)
        return _Picked(writer, turn, retrieved)

    async def _begin(self, job: JobRef, begun: LaneStarted) -> tuple[TurnLog | None, bool, bool]:
        """Append `lane.started` and read the turn; is the job marked to stop, is its lease ours."""
        stores, session = self._stores, job.turn.session

        def ask_queue(pipe: Pipeline) -> None:
            pipe.exists(*self._stops(job))
            pipe.zscore(keys.LEASES, str(job))
            self._running.upstreams.read_state(pipe)

        def ask_log(pipe: Pipeline) -> None:
            stream.append(pipe, session, begun)
            pipe.time()
            pipe.xrevrange(keys.log(session), count=_FIRST_PAGE)

        # Side by side; where both are one server, its batcher makes them one round trip.
        asked_ms = stores.log_clock.asked_at()
        on_queue, on_log = await asyncio.gather(stores.on_queue.run(ask_queue), stores.on_log.run(ask_log))
        marked, lease, busy, broken = on_queue
        entry_id, time, page = on_log
        self._running.upstreams.set_state(busy, broken)
        self._stores.log_clock.set_from(time, asked_ms)
        if entry_id is None:
            return None, False, False
        log = TurnLog.find(decode_entries(page[::-1]), job.turn.turn)
        return log or await read_turn(self._stores, job.turn), bool(marked), lease is not None

    def _stops(self, job: JobRef) -> list[str]:
        """The marks that stop this job: its own, and for a draft its tenant's switch."""
        switch = [keys.full_only(job.turn.session.tenant)] if job.lane == "draft" else []
        return [keys.cancelled(job), *switch]

    async def _work(self, held: HeldLane, picked: "_Picked") -> None:
        """Speak until the end, or until somebody stops it; then write how it ended."""
        answer, writer = GenerationResult(), picked.writer
        if held.stop is None:
            held.work = asyncio.create_task(self._speak(picked, answer))
            gone = asyncio.create_task(writer.fenced.wait())
            try:
                await asyncio.wait((held.work, gone), return_when=asyncio.FIRST_COMPLETED)
                if not held.work.done():
                    held.end("lost")
            finally:  # also where the job itself is cancelled: no stream outlives it
                gone.cancel()
                held.work.cancel()
                await asyncio.gather(held.work, gone, return_exceptions=True)
            if not held.work.cancelled() and (bug := held.work.exception()):
                facts = {"turn": held.job.turn.turn, "lane": held.job.lane}
                logger.error("a lane broke", extra={**about(bug), **facts})
                answer.error = UpstreamError("internal_error", "the lane broke")
        await self._write_end(held, writer, answer)

    async def _write_end(self, held: HeldLane, writer: LaneWriter, answer: GenerationResult) -> None:
        if held.stop == "lost":
            return  # whoever owns the lane now writes its end
        usage = answer.usage
        if held.stop == "cancelled":
            reason, error = "cancelled", None
        elif held.stop == "drain":
            reason, error = "handed_over", None
        elif answer.error:
            reason, error = "error", answer.error.as_event()
        else:
            reason, error = answer.reason, None
        await writer.finish(reason, usage, error)
        if held.stop is None:
            answer.failures.warn(held.job, answered=error is None)
        logger.info(
            "lane finished",
            extra={
                "turn": held.job.turn.turn,
                "lane": held.job.lane,
                "attempt": held.job.attempt,
                "ending": reason,
                "code": error["code"] if error else None,
                "tokens": (usage or {}).get("completion_tokens"),
            },
        )
        if held.stop == "drain":
            with suppress(StoreUnavailable):  # else its lease lapses; the log says that it was handed over
                await job_queue.enqueue_next_attempt(self._stores, held.job, self._settings.lane_lease_ms)

    async def _speak(self, picked: "_Picked", answer: GenerationResult) -> None:
        """Ask the lane's models; a full that hears the draft only when it is known what that has said."""
        job, started, writer = picked.writer.job, picked.started, picked.writer
        try:
            upstreams = await self._servers.resolve(
                job.turn, started.profile, job.lane, started.lanes[job.lane]
            )
        except UpstreamError as error:
            answer.error = error
            return
        retrieved = await self._retrieve(picked) if job.lane == "full" else None
        if retrieved and retrieved.passages:
            started = with_passages(started, retrieved.passages)
        picked_ms = self._publisher.ms_since(picked.start_ms)
        hears_draft = job.lane == "full" and picked.fold.join.full_hears_draft
        before = await self._draft_said(picked) if hears_draft else ""
        asked_ms = self._publisher.ms_since(picked.start_ms)
        first_by_ms: list[int] = []

        def on_first() -> None:  # the wait for the draft is not the model's
            first_by_ms.append(self._publisher.ms_since(picked.start_ms) - asked_ms + picked_ms)

        most_chars = picked.fold.policy.draft.max_chars if job.lane == "draft" else 0
        asker = Generation(
            self._settings,
            self._provider,
            self._running.upstreams,
            writer,
            answer,
            on_first,
            most_chars,
            self._relearned,
            self._refused,
        )
        await asker.run(upstreams, started, before)
        if retrieved and answer.error is None:
            _cite(writer, started, retrieved)
        if job.lane == "full" and job.attempt == 1 and first_by_ms:
            await self._note_pace(picked, first_by_ms[0])

    async def _retrieve(self, picked: "_Picked") -> Retrieved | None:
        """Return the passages for the turn's answer; an earlier attempt may have found them."""
        if picked.retrieved or self._retrieval is None:
            return picked.retrieved
        return await self._retrieval.retrieve(picked.writer.job.turn, picked.started, picked.start_ms)

    async def _note_pace(self, picked: "_Picked", first_by_ms: int) -> None:
        tenant, profile = picked.writer.job.turn.session.tenant, picked.started.profile
        try:
            await latency.note(self._stores, tenant, profile, first_by_ms)
        except StoreUnavailable as error:  # the answer is whole all the same
            logger.warning("could not note a model's pace", extra={"error": error.reason})

    async def _draft_said(self, picked: "_Picked") -> str:
        """Follow the turn until the fold has let the draft come to its end; what of it is heard."""
        fold = picked.fold
        wait_ms = fold.join.listen_ms(fold) + fold.join.finish_ms(fold) + _LOST_MS
        lost_ms = self._publisher.ms_since(picked.start_ms) + wait_ms
        while not fold.full_speaks and fold.ending is None:
            if self._publisher.ms_since(picked.start_ms) > lost_ms:
                break  # the session was deleted
            await asyncio.sleep(_LOOK_S)
            try:
                await self._look(picked)
            except StoreUnavailable as error:
                logger.warning("could not follow the draft", extra={"error": error.reason})
        return fold.draft.text[: fold.spoken["draft"]]

    async def _look(self, picked: "_Picked") -> None:
        """Fold what has come since, and fire what the turn's driver is late to fire."""
        fold, turn, after = picked.fold, picked.writer.job.turn, picked.turn.last_id
        for entry in decode_entries(await self._stores.log.xrange(keys.log(turn.session), min=f"({after}")):
            picked.turn.feed(entry)
        for due in fold.dues():
            # Mostly the driver does that; it is safe to do twice, and this model waits for it.
            late_ms = -driver.wait_ms(self._stores, picked.start_ms, due)
            if due.due in (CUT.due, TOLD.due) and late_ms > _LATE_MS:
                await driver.perform(self._stores, turn, fold, FireTimer(due), self._settings.lane_lease_ms)

    async def _write_off(self, job: JobRef, ms: int) -> None:
        """End an attempt that no fold counts: whoever reads the log need not wait for more of it."""
        ended = LaneFinished(job.turn.turn, job.lane, job.attempt, 0, "cancelled", None, None, ms)
        await insist(lambda: stream.append_now(self._stores, job.turn.session, ended))
        await self._let_go(job)

    async def _let_go(self, job: JobRef) -> None:
        await insist(lambda: self._stores.on_queue.run(lambda pipe: job_queue.finish_job(pipe, job)))


@dataclass(frozen=True, slots=True)
class _Picked:
    """A job that has begun: its writer, and the turn up to there, to be followed."""

    writer: LaneWriter
    turn: FoldingTurn
    retrieved: Retrieved | None

    @property
    def fold(self) -> Fold:
        return self.turn.fold

    @property
    def started(self) -> TurnStarted:
        return self.turn.fold.started

    @property
    def start_ms(self) -> int:
        return self.turn.start_ms


def _cite(writer: LaneWriter, started: TurnStarted, retrieved: Retrieved) -> None:
    """Tell the client what the answer rests on, if it wants to know and no earlier attempt has told it."""
    mine = citations(retrieved)["delta"]  # a model's server may have some of its own
    told = any(extra.get("delta") == mine for extra in writer.state.extras)
    if retrieved.passages and started.lanes["full"]["knowledge"]["citations"] and not told:
        writer.append_extra(citations(retrieved))
