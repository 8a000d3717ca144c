"""A spoken answer as chunks: each sentence's transcript, then its sound, as OpenAI's audio models stream.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion (audio in the delta)
"""

import base64
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from api.answers.chunks import ChunkWriter
from api.turns.live import LiveTurn
from api.turns.spoken_past import audio_id
from common.errors import turn_error
from common.speech.audio import format_of, wav_header
from common.speech.stream import TTL_MS, Frame, Over, Reason
from common.turn.outputs import Output, TextReleased, TurnEnding

_CUT_SHORT = ("interrupted", "superseded")
_UNSPOKEN = turn_error("speech_failed", "the answer could not be spoken to its end", "server_error")


class SpokenAnswer:
    """Brings together what a turn releases and what is spoken of it; the order follows from both alone.

    A sentence's sound comes after its transcript, other releases where they stand in the text.
    """

    def __init__(self, live: LiveTurn, writer: ChunkWriter) -> None:
        self.text = ""
        self.audio = bytearray()
        self.over = False  # the answer's last event is out
        self.error: dict[str, Any] | None = None
        self._live = live
        self._writer = writer
        self._format = live.started.speech["format"]
        self._rate = format_of(live.started.speech).rate
        self._told = 0  # characters of the text that were told in transcripts
        self._others: deque[tuple[int, Output]] = deque()  # with the place in the text where they stand
        self._frames: deque[Frame] = deque()
        self._ending: TurnEnding | None = None
        self._spoken: Reason | None = None  # how the speaking ended

    @property
    def waits(self) -> bool:
        """Whether only speech is still awaited."""
        return self._ending is not None and not self.over

    @property
    def id(self) -> str:
        return audio_id(self._live.turn.turn)

    @property
    def expires_at(self) -> int:
        """Until when the audio is kept at least, s on the log server's clock."""
        ending_ms = self._ending.at_ms if self._ending else 0
        return self._live.created_s + (ending_ms + TTL_MS) // 1000

    def release(self, releases: Sequence[Output]) -> bytes:
        """The events that these releases bring about."""
        for release in releases:
            if isinstance(release, TextReleased):
                self.text += release.text
            elif isinstance(release, TurnEnding):
                self._ending = release
                if release.reason in _CUT_SHORT:
                    return self._close(release)
            else:
                self._others.append((len(self.text), release))
        return self._go_on()

    def hear(self, spoken: Sequence[Frame | Over]) -> bytes:
        """The events that this brings about."""
        for entry in spoken:
            if isinstance(entry, Frame):
                self._frames.append(entry)
            else:
                self._spoken = entry.reason
        return self._go_on()

    def give_up(self) -> bytes:
        """No more speech is waited for: the rest goes out as a transcript alone, with an error."""
        self._spoken = "failed"
        return self._go_on()

    def _go_on(self) -> bytes:
        events = []
        while not self.over and self._frames and len(self.text) >= self._frames[0].end:
            events.append(self._play(self._frames.popleft()))
        if not self.over and self._spoken and self._ending:
            if self._spoken != "stopped":
                events.append(self._tell(len(self.text)))
            unspoken = _UNSPOKEN if self._spoken == "failed" else None
            events.append(self._close(replace(self._ending, error=self._ending.error or unspoken)))
        return b"".join(events)

    def _play(self, frame: Frame) -> bytes:
        head = self._tell(frame.end, before=frame.start) if frame.end > self._told else b""
        if not frame.data:
            return head
        data = wav_header(rate=self._rate) + frame.data if self._opens_wav() else frame.data
        self.audio += frame.data
        return head + self._delta({"data": base64.b64encode(data).decode()}, frames=1)

    def _opens_wav(self) -> bool:
        return self._format == "wav" and not self.audio

    def _tell(self, upto: int, before: int | None = None) -> bytes:
        """The transcript up to there, after what stands before that sentence."""
        events = []
        while self._others and self._others[0][0] <= (self._told if before is None else before):
            events.append(self._writer.write([self._others.popleft()[1]]))
        if text := self.text[self._told : upto]:
            events.append(self._delta({"transcript": text}, chars=len(text)))
        self._told = max(self._told, upto)
        return b"".join(events)

    def _close(self, ending: TurnEnding) -> bytes:
        self.over, self.error = True, ending.error
        others = [release for _, release in self._others]
        last = self._delta({"expires_at": self.expires_at}, frames=1) if self.audio else b""
        return self._writer.write(others) + last + self._writer.write([ending])

    def _delta(self, part: dict[str, Any], *, chars: int = 0, frames: int = 0) -> bytes:
        return self._writer.add({"audio": {"id": self.id, **part}}, chars=chars, frames=frames)

    def whole(self) -> dict[str, Any]:
        """The answer's audio as one object."""
        header = wav_header(len(self.audio), self._rate) if self._format == "wav" else b""
        return {
            "id": self.id,
            "data": base64.b64encode(header + self.audio).decode(),
            "transcript": self.text[: self._told],
            "expires_at": self.expires_at,
        }
