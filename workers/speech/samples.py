"""Converts a voice's samples to the bytes of a format: resampling and G.711.

G.711: https://www.itu.int/rec/T-REC-G.711
"""

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from common.speech.audio import FORMATS

Samples = NDArray[np.float32]

_ZEROS = 16  # of the filter, to each side
_ROLL_OFF = 0.94  # of the lower of both rates' bands
_BETA = 8.0  # of its window: about 80 dB


class Resampler:
    """Changes the rate of samples that come in pieces, wherever they are cut.

    A block of input gives a block of output by one matrix product: the filter's taps, once for each place
    that an output sample can have between input samples.
    """

    def __init__(self, rate: int, to_rate: int) -> None:
        self._taps, self._step, self._reach = _filter(rate, to_rate)
        self._ratio = to_rate / rate
        self._held = np.zeros(self._reach, np.float32)
        self._taken = self._given = 0

    def feed(self, samples: Samples) -> Samples:
        """Return the output that these samples complete."""
        self._taken += len(samples)
        return self._give(samples)

    def close(self) -> Samples:
        """Return the rest of the output; no samples may follow."""
        due = round(self._taken * self._ratio) - self._given
        rest = self._give(np.zeros(len(self._taps) + self._step, np.float32))
        return rest[: max(0, due)]

    def _give(self, samples: Samples) -> Samples:
        held = np.concatenate((self._held, samples))
        width = len(self._taps)
        blocks = max(0, (len(held) - width) // self._step + 1)
        self._held = held[blocks * self._step :]
        if not blocks:
            return np.zeros(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(held, width)[:: self._step][:blocks]
        out: Samples = (windows @ self._taps).ravel()
        self._given += len(out)
        return out


@cache
def _filter(rate: int, to_rate: int) -> tuple[Samples, int, int]:
    """Return the taps of a block's output samples, the block's length in input samples, and the reach."""
    common = gcd(rate, to_rate)
    step, count = rate // common, to_rate // common
    band = min(1.0, to_rate / rate) * _ROLL_OFF
    reach = int(np.ceil(_ZEROS / band))
    at = np.arange(step + 2 * reach)[:, None] - reach - np.arange(count)[None, :] * (step / count)
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (at / reach) ** 2, 0, 1))) / np.i0(_BETA)
    taps = band * np.sinc(band * at) * np.where(np.abs(at) <= reach, window, 0)
    return (taps / taps.sum(axis=0)).astype(np.float32), step, reach


class Encoder:
    """Encodes a voice's 16-bit samples into a format, piece by piece.

    `to_rate`: a rate other than its default.
    """

    def __init__(self, audio_format: str, rate: int, to_rate: int = 0) -> None:
        to_rate = to_rate or FORMATS[audio_format].rate
        self._resampler = Resampler(rate, to_rate) if rate != to_rate else None
        self._table = {"g711_ulaw": ulaw_table, "g711_alaw": alaw_table}.get(audio_format)

    def feed(self, pcm: bytes) -> bytes:
        """Return the bytes that these samples (little-endian) complete."""
        if self._resampler is None:
            return self._encode(np.frombuffer(pcm, "<i2"))
        return self._rounded(self._resampler.feed(np.frombuffer(pcm, "<i2").astype(np.float32)))

    def close(self) -> bytes:
        """Return the remaining bytes."""
        return self._rounded(self._resampler.close()) if self._resampler else b""

    def _rounded(self, samples: Samples) -> bytes:
        return self._encode(np.clip(np.rint(samples), -32768, 32767).astype("<i2"))

    def _encode(self, samples: NDArray[np.int16]) -> bytes:
        return (
            samples.tobytes() if self._table is None else self._table()[samples.astype(np.uint16)].tobytes()
        )


def _all_samples() -> NDArray[np.int32]:
    """Return every 16-bit sample, in the order of its bits read as an unsigned number."""
    return np.arange(65_536, dtype=np.uint16).astype(np.int16).astype(np.int32)


@cache
def ulaw_table() -> NDArray[np.uint8]:
    """Return the µ-law byte of each 16-bit sample."""
    samples = _all_samples()
    size = np.minimum(np.abs(samples), 32_635) + 132
    segment = np.log2(size).astype(np.int32) - 7
    mantissa = (size >> (segment + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    table: NDArray[np.uint8] = (~(sign | segment << 4 | mantissa) & 0xFF).astype(np.uint8)
    return table


@cache
def alaw_table() -> NDArray[np.uint8]:
    """Return the A-law byte of each 16-bit sample."""
    samples = _all_samples() >> 3
    size = np.where(samples >= 0, samples, -samples - 1)
    segment = np.maximum(np.log2(np.maximum(size, 1)).astype(np.int32) - 4, 0)
    mantissa = (size >> np.maximum(segment, 1)) & 0x0F
    mask = np.where(samples >= 0, 0xD5, 0x55)
    table: NDArray[np.uint8] = ((segment << 4 | mantissa) ^ mask).astype(np.uint8)
    return table
