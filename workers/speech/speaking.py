"""A turn while it is spoken: its released text, cut into sentences, and how far the speech has come."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from common.events import Entry, Event, TurnInterrupted, TurnStarted
from common.names import JobRef
from common.speech.audio import format_of
from common.speech.stream import AGAIN, SpeechState, Spoken
from common.text.growing_text import GrowingText
from common.text.language import language_of_messages
from common.turn.aloud import REST_MS, is_spoken
from common.turn.outputs import TextReleased
from common.turn.sentence_splitter import SentenceSplitter
from common.turn.turn_log import FoldingTurn, TurnLog
from workers.leases import HeldLane

_LOST_S = 5.0  # the log says nothing more this long after the turn's deadline


class SpokenTurn:
    """One turn. `spoken`: the entries of its speech so far; `held` is stopped if the caller breaks in."""

    def __init__(self, job: JobRef, log: TurnLog, spoken: Sequence[Spoken], held: HeldLane) -> None:
        """Fold the turn so far. Raises UnknownFold."""
        started = log.started
        self.job = job
        self.voice = started.speech.get("voice", "")
        self.format = started.speech.get("format", "pcm16")
        self.form = format_of(started.speech)
        self.language = language_of_messages(started.request["messages"])
        self._turn = FoldingTurn.begin(log)
        self._fold = self._turn.fold
        self._held = held
        self._bell = asyncio.Event()
        self._bug: Exception | None = None
        self._speech = SpeechState()
        for entry in spoken:
            self._speech.apply(entry)
        begun = self._speech.sentence
        self._cutter = SentenceSplitter(begun[1] if begun else self._speech.done, whole=is_spoken(started))
        self.apply(log.later)

    @property
    def last_id(self) -> str:
        """The id of the last entry that was folded."""
        return self._turn.last_id

    @property
    def text(self) -> GrowingText:
        """All released text."""
        return self._cutter.text

    @property
    def is_over(self) -> bool:
        """True if this attempt has nothing left to do: all is spoken, or a later attempt has taken over."""
        return self._speech.over is not None or self._speech.attempt > self.job.attempt

    def frames_of(self, start: int, end: int) -> int:
        """Return how many frames of this sentence existed before this attempt."""
        return self._speech.number if self._speech.sentence == (start, end) else 0

    def apply(self, entries: Sequence[Entry]) -> None:
        """Fold new entries of the session's log. An error is raised to the reader of `sentences`."""
        try:
            self._take(entries)
        except Exception as bug:
            self._bug = self._bug or bug
            self._bell.set()

    def _take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            outputs = self._turn.feed(entry)
            if outputs is None:
                continue
            for release in outputs:
                if isinstance(release, TextReleased):
                    self._cutter.feed(release)
            if self._breaks_in(entry.event):
                self._held.end("cancelled")
        if self._fold.ending:
            self._cutter.close()
        self._bell.set()

    def _breaks_in(self, event: Event) -> bool:
        """Return True if the caller wants to hear no more; the text may have ended long before."""
        if self.job.attempt == AGAIN:
            return False
        if isinstance(event, TurnStarted):
            return self._fold.policy.barge_in
        return isinstance(event, TurnInterrupted) and event.turn == self.job.turn.turn

    async def sentences(self) -> AsyncIterator[tuple[int, int]]:
        """Yield the places of sentences to be spoken, from where the speech stands, as they are released."""
        if begun := self._speech.sentence:
            while len(self.text) < begun[1] and not self._fold.ending:
                await self._more()
            yield begun
        while True:
            if sentence := self._cutter.next():
                yield sentence
            elif self._fold.ending:
                return
            else:
                await self._more()

    async def _more(self) -> None:
        """Wait for more text; only for a moment if the text may end here."""
        if self._bug:
            raise self._bug
        self._bell.clear()
        rests = self._cutter.rests
        try:
            async with asyncio.timeout(
                REST_MS / 1000 if rests else self._fold.policy.deadline_ms / 1000 + _LOST_S
            ):
                await self._bell.wait()
        except TimeoutError:
            if rests:
                self._cutter.rest()
            else:
                self._held.end("cancelled")  # the session was deleted: its turn can't end any more
