"""One attempt at speaking a turn: follow its log, and turn each released sentence into sound.

Unlike the models' lanes this one writes nothing to the log: the fold alone decides what is heard as text.
The sound goes into a stream of its own (`common/speech/stream.py`), which is deleted soon after its turn.
"""

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import Any

from common.log.reader import LogReader
from common.log.stream import read_turn
from common.names import JobRef, SessionRef, TurnRef
from common.process.bugs import about
from common.queue import job_queue
from common.settings import Settings
from common.speech import stream
from common.speech.stream import Began, Over, Reason, Spoken
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable, insist
from common.text.language import language_of
from common.text.speakable import spoken_part
from common.turn.version import UnknownFold
from workers.leases import HeldLane, LaneLeases
from workers.speech.framing import Framing
from workers.speech.speakable import in_usual_forms
from workers.speech.speaking import SpokenTurn
from workers.speech.voice import Utterance, Voice, VoiceError

logger = logging.getLogger(__name__)

_RETRY_S = 0.2


class SpeechRunner:
    """Runs the speech jobs that the queue hands to this worker."""

    def __init__(
        self, settings: Settings, stores: Stores, reader: LogReader, voice: Voice, running: LaneLeases
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._reader = reader
        self._voice = voice
        self._running = running

    async def run_speech(
        self, ctx: dict[str, Any], tenant: str, session: str, turn: str, lane: Any, attempt: int
    ) -> None:
        """Run one job. A worker that may not go on leaves the turn to the sweep."""
        job = JobRef(TurnRef(SessionRef(tenant, session), turn), lane, attempt)
        with self._running.hold(job) as held:
            try:
                speaking = await insist(lambda: self._begin(job, held), until=lambda: held.stop is not None)
            except UnknownFold:
                logger.warning("left a turn to a worker of its version", extra={"turn": turn})
                return
            if speaking:
                await self._run(speaking, held)
        if held.stop == "drain":
            with suppress(StoreUnavailable):  # else its lease lapses
                await job_queue.enqueue_next_attempt(self._stores, job, self._settings.lane_lease_ms)
        elif held.stop != "lost":
            await self._let_go(job)

    async def _begin(self, job: JobRef, held: HeldLane) -> SpokenTurn | None:
        """Begin the attempt and read how far others came; return None if nothing is left to do."""
        turn = job.turn
        log = await read_turn(self._stores, turn)
        if log is None:  # the session was deleted
            return None

        def build(pipe: Pipeline) -> None:
            pipe.zscore(keys.LEASES, str(job))
            stream.append(pipe, turn, Began(job.attempt))
            pipe.xrange(keys.audio(turn))

        lease, *_, spoken = await self._stores.on_queue.run(build)
        speaking = SpokenTurn(job, log, stream.decode_all(spoken), held)
        return speaking if lease is not None and not speaking.is_over else None

    async def _run(self, speaking: SpokenTurn, held: HeldLane) -> None:
        """Speak until everything is spoken or the lane is stopped, then write how it ended."""
        if held.stop is None:
            held.work = asyncio.create_task(self._speak(speaking))
            try:
                await asyncio.wait({held.work})
            finally:  # also where the job itself is cancelled
                held.work.cancel()
                await asyncio.gather(held.work, return_exceptions=True)
        if held.stop in (None, "cancelled"):
            await self._append(speaking, Over(held.job.attempt, _reason(held)))

    async def _speak(self, speaking: SpokenTurn) -> None:
        session = speaking.job.turn.session
        self._reader.follow(session, speaking.apply)
        self._reader.read_from(session, speaking.last_id)
        try:
            async for start, end in speaking.sentences():
                await self._say(speaking, start, end)
        finally:
            self._reader.leave(session, speaking.apply)

    async def _say(self, speaking: SpokenTurn, start: int, end: int) -> None:
        """Turn one sentence into sound; of one that was begun before, leave out the frames that exist."""
        text = speaking.text[start:end]
        spoken = in_usual_forms(spoken_part(speaking.text, start, end))
        words = Utterance(spoken, _language(text, speaking.language), speaking.voice)
        made = speaking.frames_of(start, end)
        framing = Framing(speaking.format, speaking.job.attempt, start, end, made, speaking.form)
        try:
            if words.text:
                async with aclosing(self._voice.speak(words)) as sounds:
                    async for sound in sounds:
                        await self._append(speaking, *framing.add(sound))
        except VoiceError as error:
            logger.warning("a sentence stays unspoken", extra={"code": error.code})
        await self._append(speaking, *framing.close())

    async def _append(self, speaking: SpokenTurn, *entries: Spoken) -> None:
        """Append until it succeeds: repeating is safe, so a store that is away only delays it."""
        while entries:
            try:
                await self._stores.on_queue.run(lambda pipe: stream.append(pipe, speaking.job.turn, *entries))
                return
            except StoreUnavailable as error:
                logger.warning("could not hand over audio", extra={"error": error.reason})
                await asyncio.sleep(_RETRY_S)

    async def _let_go(self, job: JobRef) -> None:
        await insist(lambda: self._stores.on_queue.run(lambda pipe: job_queue.finish_job(pipe, job)))


def _language(text: str, conversation: str) -> str:
    """Return the sentence's language: Chinese characters alone are Japanese in a Japanese conversation."""
    language = language_of(text, conversation)
    return conversation if (language, conversation) == ("zh", "ja") else language


def _reason(held: HeldLane) -> Reason:
    """Return how the speaking ended: `stopped`, `failed` or `done`."""
    if held.stop:
        return "stopped"
    if held.work and (bug := held.work.exception()):
        logger.error("speech broke", extra={**about(bug), "turn": held.job.turn.turn})
        return "failed"
    return "done"
