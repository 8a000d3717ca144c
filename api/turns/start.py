"""The start of a turn, one step after the other: from a door's request to the turn that lives here."""

import logging
from dataclasses import dataclass

from api.limits.admission import Admissions
from api.requests.idempotency import DuplicateTurn, StartedBefore, StartUnknown
from api.requests.turn_request import TurnRequest
from api.turns.live import LiveTurn
from api.turns.recall import Recall, TurnContext
from api.turns.registry import LiveTurns
from api.turns.starter import PlannedTurn, TurnStarter
from api.turns.transcription import Transcriber
from common.errors import FastReplyError
from common.log.reader import LogReader
from common.settings import Settings
from common.store.redis import Pipeline, Stores, StoreUnavailable, answered_within

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AdmittedTurn:
    """A turn that its tenant's limits have let in; `headers` tell its client where the tenant stands."""

    context: TurnContext
    headers: dict[str, str]


class TurnStart:
    """Takes a request through the steps: plan, transcribe, recall, admit, commit."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        reader: LogReader,
        starter: TurnStarter,
        recall: Recall,
        admissions: Admissions,
        turns: LiveTurns,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._reader = reader
        self.starter = starter
        self._recall = recall
        self._admissions = admissions
        self._turns = turns

    async def run(self, request: TurnRequest, transcriber: Transcriber | None = None) -> LiveTurn:
        """Start a turn and follow it; a retry joins the turn that it has started before.

        `transcriber`: the request holds recorded speech that it is to write down.
        Raises BadRequest, Conflict, RateLimited, Overloaded, StoreUnavailable, and what `attach` raises.
        """
        comes_back = request.idempotency is not None and request.idempotency.is_explicit
        self._admissions.check_sizes(request)
        planned = self.starter.plan(request)
        try:
            if transcriber:
                planned = await self._transcribe(planned, transcriber)
            while True:
                context = await self._recall.recall(planned)
                admitted = await self._admit(context)
                try:
                    live = await self._turns.open_by(planned.turn, self._commit(admitted))
                except DuplicateTurn:  # another was first, or it was this very start: `recall` finds it
                    planned = planned.renamed()
                else:
                    live.resumes = comes_back
                    return live
        except StartedBefore as before:
            earlier = before.turn
        except StoreUnavailable as error:
            logger.warning("could not start a turn", extra={"error": error.reason})
            raise
        return await self._turns.attach(earlier, resumes=comes_back)

    async def _transcribe(self, planned: PlannedTurn, transcriber: Transcriber) -> PlannedTurn:
        """Write recorded speech down. That is costly, so a retry and a turn that may not start are spared it.

        It takes seconds, so what is recalled now only counts for this; the turn itself recalls anew.
        """
        await self._recall.recall(planned)
        await self._admissions.check(planned.turn, planned.started)
        messages = await transcriber.write_down(planned.request.body["messages"])
        planned = planned.with_messages(messages)
        self._admissions.check_sizes(planned.request)
        return planned

    async def _admit(self, context: TurnContext) -> AdmittedTurn:
        planned = context.planned
        return AdmittedTurn(context, await self._admissions.admit(planned.turn, planned.started))

    async def _commit(self, admitted: AdmittedTurn) -> LiveTurn:
        """Make the turn exist; what it was let in with is given back where it certainly does not."""
        try:
            live = await self._write(admitted.context)
        except StartUnknown:
            raise  # it may be in the log
        except (DuplicateTurn, FastReplyError):  # it is not in the log
            await self._admissions.release(admitted.context.planned.turn)
            raise
        live.limit_headers = admitted.headers
        return live

    async def _write(self, context: TurnContext) -> LiveTurn:
        planned = context.planned

        def beside(pipe: Pipeline) -> None:
            self._turns.followers.hold(pipe, [planned.turn])
            self.starter.store_credentials(pipe, planned)

        live = LiveTurn(self._stores, planned.turn, planned.started, self._settings.lane_lease_ms)
        # Before the start, so that its first wake-up is heard.
        self._reader.follow(planned.turn.session, live.apply, live.on_log_deleted)
        try:
            async with answered_within(self._settings.redis_timeout_s):
                entry = await self.starter.commit(planned, context.claim, beside=beside)
        except BaseException:
            self._reader.leave(planned.turn.session, live.apply)
            raise
        live.begin(entry)
        self._turns.keep(live, entry)
        return live
