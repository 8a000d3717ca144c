"""The forms in which audio goes out, and their bytes' arithmetic. All of one channel."""

import struct
from dataclasses import dataclass

FRAME_MS = 200
"""So much audio goes out in one piece: ten packets of telephony."""

_UNKNOWN = 0xFFFFFFFF
_PCM = 1


@dataclass(frozen=True, slots=True)
class Format:
    """A form of audio: its `rate` in samples a second, and bytes a sample."""

    rate: int
    width: int

    @property
    def frame_bytes(self) -> int:
        """How long a full frame is."""
        return self.rate * self.width * FRAME_MS // 1000

    def seconds(self, size: int) -> float:
        """How long so many bytes sound."""
        return size / (self.rate * self.width)


FORMATS = {
    "pcm16": Format(24_000, 2),
    "wav": Format(24_000, 2),  # the same samples after a header
    "g711_ulaw": Format(8_000, 1),
    "g711_alaw": Format(8_000, 1),
}


def wav_header(size: int | None = None) -> bytes:
    """The header of a WAV file of so many bytes of 24 kHz samples; None: as many as come until its end."""
    form = FORMATS["wav"]
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
