"""A spoken answer as chunks: each sentence's transcript, then its sound, as OpenAI's audio models stream.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion (audio in the delta)
"""

import asyncio
import base64
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from api.answers.audio_feed import AudioFeed
from api.answers.chunks import ChunkEncoder
from api.answers.completion import whole_answer
from api.answers.cursor import START, Place
from api.answers.encoder import AnswerEncoder
from api.turns.live import LiveTurn
from api.turns.spoken_past import audio_id
from common.errors import turn_error
from common.process.bugs import about
from common.speech.audio import format_of, wav_header
from common.speech.stream import TTL_MS, Frame, Over, Reason
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled, TurnEnding

logger = logging.getLogger(__name__)

T = TypeVar("T")
_CUT_SHORT = ("interrupted", "superseded")
_UNSPOKEN = turn_error("speech_failed", "the answer could not be spoken to its end", "server_error")
_AHEAD = 16  # batches that may wait for a slow client


class AudioChunkEncoder(AnswerEncoder):
    """Brings together a turn's outputs and what is spoken of them; the order follows from both alone.

    A sentence's sound comes after its transcript, other outputs where they stand in the text.
    """

    def __init__(self, live: LiveTurn, after: Place = START) -> None:
        super().__init__(live, after)
        self.over = False  # the answer's last event is out
        self._chunks = ChunkEncoder(live, after)  # makes the bytes, and holds the place
        self._text = ""
        self._audio = bytearray()
        self._error: dict[str, Any] | None = None
        self._format = live.started.speech["format"]
        self._rate = format_of(live.started.speech).rate
        self._told = 0  # characters of the text that were told in transcripts
        self._others: deque[tuple[int, Output]] = deque()  # with the place in the text where they stand
        self._sound: deque[Frame] = deque()
        self._ending: TurnEnding | None = None
        self._spoken: Reason | None = None  # how the speaking ended

    @property
    def place(self) -> Place:
        """The place of the answer after what was told."""
        return self._chunks.place

    @property
    def error(self) -> dict[str, Any] | None:
        """The error of the model's answer, or of its speaking."""
        return self._error

    @property
    def expires_at(self) -> int:
        """Until when the audio is kept at least, s on the log server's clock."""
        ending_ms = self._ending.at_ms if self._ending else 0
        return self._live.created_s + (ending_ms + TTL_MS) // 1000

    def encode(self, outputs: Iterable[Output]) -> bytes:
        """Return the events that these outputs bring about."""
        return super().encode(outputs) + self._advance()

    def hear(self, spoken: Sequence[Frame | Over]) -> bytes:
        """Return the events that this sound brings about."""
        for entry in spoken:
            if isinstance(entry, Frame):
                self._sound.append(entry)
            else:
                self._spoken = entry.reason
        return self._advance()

    def give_up(self) -> bytes:
        """Wait for no more sound: the rest goes out as a transcript alone, with an error."""
        self._spoken = "failed"
        return self._advance()

    def whole(self) -> dict[str, Any]:
        """Return the completion object, with the sound where there is any."""
        whole = whole_answer(self._live)
        if self._audio:
            header = wav_header(len(self._audio), self._rate) if self._format == "wav" else b""
            audio = {
                "id": audio_id(self._live.turn.turn),
                "data": base64.b64encode(header + self._audio).decode(),
                "transcript": self._text[: self._told],
                "expires_at": self.expires_at,
            }
            whole["choices"][0]["message"] |= {"content": None, "audio": audio}
        return whole

    async def stream(self, audio: AudioFeed) -> AsyncGenerator[bytes, None]:
        """Yield the events as text and sound come; behind the text, wait `audio.wait_s` for sound."""
        steps: asyncio.Queue[Callable[[], bytes]] = asyncio.Queue(_AHEAD)
        pumps = (
            asyncio.create_task(_pump(self._live.follow(), self.encode, steps, _raise)),
            asyncio.create_task(
                _pump(audio.follow(self._live.turn), self.hear, steps, lambda _: self.give_up())
            ),
        )
        try:
            while not self.over:
                waits_for_sound = self._ending is not None
                try:
                    async with asyncio.timeout(audio.wait_s if waits_for_sound else None):
                        step = await steps.get()
                except TimeoutError:
                    step = self.give_up
                if events := step():
                    yield events
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def finish(self, audio: AudioFeed) -> None:
        """Wait until all was said and spoken."""
        async with aclosing(self.stream(audio)) as events:
            async for _ in events:
                pass

    def on_text(self, output: TextReleased) -> bytes:
        """Add the text; it is told as it is spoken."""
        self._text += output.text
        return b""

    def on_tool_call(self, output: ToolCalled) -> bytes:
        """Keep the call for its place in the text."""
        self._others.append((len(self._text), output))
        return b""

    def on_passed_through(self, output: PassedThrough) -> bytes:
        """Keep it for its place in the text."""
        self._others.append((len(self._text), output))
        return b""

    def on_ending(self, output: TurnEnding) -> bytes:
        """End at once where the turn was cut short, else when all is spoken."""
        self._ending = output
        return self._close(output) if output.reason in _CUT_SHORT else b""

    def _advance(self) -> bytes:
        """Return what can be told by now."""
        events = []
        while not self.over and self._sound and len(self._text) >= self._sound[0].end:
            events.append(self._play(self._sound.popleft()))
        if not self.over and self._spoken and self._ending:
            if self._spoken != "stopped":
                events.append(self._tell(len(self._text)))
            unspoken = _UNSPOKEN if self._spoken == "failed" else None
            events.append(self._close(replace(self._ending, error=self._ending.error or unspoken)))
        return b"".join(events)

    def _play(self, frame: Frame) -> bytes:
        head = self._tell(frame.end, before=frame.start) if frame.end > self._told else b""
        if not frame.data:
            return head
        opens_wav = self._format == "wav" and not self._audio
        data = wav_header(rate=self._rate) + frame.data if opens_wav else frame.data
        self._audio += frame.data
        return head + self._delta({"data": base64.b64encode(data).decode()}, frames=1)

    def _tell(self, upto: int, before: int | None = None) -> bytes:
        """Return the transcript up to there, after what stands before that sentence."""
        events = []
        while self._others and self._others[0][0] <= (self._told if before is None else before):
            events.append(self._chunks.encode([self._others.popleft()[1]]))
        if text := self._text[self._told : upto]:
            events.append(self._delta({"transcript": text}, chars=len(text)))
        self._told = max(self._told, upto)
        return b"".join(events)

    def _close(self, ending: TurnEnding) -> bytes:
        self.over, self._error = True, ending.error
        others = [output for _, output in self._others]
        last = self._delta({"expires_at": self.expires_at}, frames=1) if self._audio else b""
        return self._chunks.encode(others) + last + self._chunks.encode([ending])

    def _delta(self, part: dict[str, Any], *, chars: int = 0, frames: int = 0) -> bytes:
        delta = {"audio": {"id": audio_id(self._live.turn.turn), **part}}
        return self._chunks.encode_delta(delta, chars=chars, frames=frames)


async def _pump(
    batches: AsyncGenerator[T, None],
    take: Callable[[T], bytes],
    steps: "asyncio.Queue[Callable[[], bytes]]",
    on_bug: Callable[[Exception], bytes],
) -> None:
    """Hand on what comes; what breaks it is a step of its own, so that nobody waits for what can't come."""
    try:
        async with aclosing(batches) as each:
            async for batch in each:
                await steps.put(lambda batch=batch: take(batch))  # type: ignore[misc]
    except Exception as bug:
        logger.error("a spoken answer broke", extra=about(bug))
        await steps.put(lambda bug=bug: on_bug(bug))  # type: ignore[misc]


def _raise(bug: Exception) -> bytes:
    raise bug
