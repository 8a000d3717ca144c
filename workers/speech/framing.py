"""Cuts a sentence's sound into frames of one length; made again, it has the same frames."""

from common.speech.audio import FORMATS, Format
from common.speech.stream import Frame
from workers.speech.samples import Encoder
from workers.speech.voice import Sound


class Framing:
    """The frames of one sentence in a format; the first `made` of them exist already and are left out.

    `form`: its rate and frame length, where they differ from the format's defaults.
    """

    def __init__(
        self, audio_format: str, attempt: int, start: int, end: int, made: int, form: Format | None = None
    ) -> None:
        self._format = audio_format
        self._form = form or FORMATS[audio_format]
        self._size = self._form.frame_bytes
        self._attempt = attempt
        self._place = start, end
        self._made = made
        self._number = 0
        self._rest = b""
        self._encoder: Encoder | None = None

    def add(self, sound: Sound) -> list[Frame]:
        """Return the frames that this piece completes."""
        self._encoder = self._encoder or Encoder(self._format, sound.rate, self._form.rate)
        return self._fill(self._encoder.feed(sound.pcm))

    def close(self) -> list[Frame]:
        """Return the last frames of the sentence; the final one is marked as such, and may be empty."""
        frames = self._fill(self._encoder.close() if self._encoder else b"")
        if self._number < self._made:  # a voice is not always as long
            self._number, self._rest = self._made, b""
        return [*frames, self._frame(self._rest, last=True)]

    def _fill(self, data: bytes) -> list[Frame]:
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest, frames = data[whole:], []
        for start in range(0, whole, self._size):
            frame = self._frame(data[start : start + self._size])
            if frame.number >= self._made:
                frames.append(frame)
        return frames

    def _frame(self, data: bytes, *, last: bool = False) -> Frame:
        self._number += 1
        return Frame(self._attempt, *self._place, self._number - 1, last, data)
