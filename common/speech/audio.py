"""The forms in which audio goes out, and their bytes' arithmetic. All of one channel."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FRAME_MS = 200
"""So much audio goes out in one piece: ten packets of telephony."""

_UNKNOWN = 0xFFFFFFFF
_PCM = 1


@dataclass(frozen=True, slots=True)
class Format:
    """A form of audio: its `rate` in samples a second, bytes a sample, and how long a frame is."""

    rate: int
    width: int
    frame_ms: int = FRAME_MS

    @property
    def frame_bytes(self) -> int:
        """Return how long a full frame is."""
        return self.rate * self.frame_ms // 1000 * self.width

    def seconds(self, size: int) -> float:
        """Return how long so many bytes sound."""
        return size / (self.rate * self.width)


FORMATS = {
    "pcm16": Format(24_000, 2),
    "wav": Format(24_000, 2),  # the same samples after a header
    "g711_ulaw": Format(8_000, 1),
    "g711_alaw": Format(8_000, 1),
}


AGORAS = Format(16_000, 2, 40)
"""What Agora's engine takes for `pcm16`.

Source: https://docs.agora.io/en/conversational-ai/develop/custom-llm (audio modality)
"""
Rate = Literal[8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
"""Those that samples can be had at."""


def format_of(speech: Mapping[str, str]) -> Format:
    """Return the form that a turn is spoken in, as its start says it."""
    usual = FORMATS[speech.get("format", "pcm16")]
    return Format(
        int(speech.get("rate", usual.rate)), usual.width, int(speech.get("frame_ms", usual.frame_ms))
    )


def wav_header(size: int | None = None, rate: int = FORMATS["wav"].rate) -> bytes:
    """Return the header of a WAV file of so many bytes of samples; None: as many as come until its end."""
    form = Format(rate, FORMATS["wav"].width)
    whole = _UNKNOWN if size is None else size + 36
    data = _UNKNOWN if size is None else size
    facts = (16, _PCM, 1, form.rate, form.rate * form.width, form.width, form.width * 8)
    return b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", whole, b"WAVE"),
            struct.pack("<4sIHHIIHH", b"fmt ", *facts),
            struct.pack("<4sI", b"data", data),
        )
    )
