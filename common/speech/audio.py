"""The audio formats that are sent, and the arithmetic of their bytes. All are mono."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FRAME_MS = 200
"""How much audio is sent in one piece: ten packets of telephony."""

_UNKNOWN = 0xFFFFFFFF
_PCM = 1


@dataclass(frozen=True, slots=True)
class Format:
    """A format of audio: its `rate` in samples a second, bytes per sample, and the length of a frame."""

    rate: int
    width: int
    frame_ms: int = FRAME_MS

    @property
    def frame_bytes(self) -> int:
        """Return the size of a full frame, in bytes."""
        return self.rate * self.frame_ms // 1000 * self.width

    def seconds(self, size: int) -> float:
        """Return the duration of this many bytes."""
        return size / (self.rate * self.width)


FORMATS = {
    "pcm16": Format(24_000, 2),
    "wav": Format(24_000, 2),  # the same samples after a header
    "g711_ulaw": Format(8_000, 1),
    "g711_alaw": Format(8_000, 1),
}


AGORAS = Format(16_000, 2, 40)
"""The format that Agora's engine means by `pcm16`.

Source: https://docs.agora.io/en/conversational-ai/develop/custom-llm (audio modality)
"""
Rate = Literal[8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
"""The sample rates that are offered."""


def format_of(speech: Mapping[str, str]) -> Format:
    """Return the format in which a turn is spoken, as its start says."""
    usual = FORMATS[speech.get("format", "pcm16")]
    return Format(
        int(speech.get("rate", usual.rate)), usual.width, int(speech.get("frame_ms", usual.frame_ms))
    )


def wav_header(size: int | None = None, rate: int = FORMATS["wav"].rate) -> bytes:
    """Return the header of a WAV file with this many bytes of samples; None: up to the file's end."""
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
