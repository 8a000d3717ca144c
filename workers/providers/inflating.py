"""Decompresses, in bounded pieces, bodies that a server has compressed without being asked to."""

import zlib
from collections.abc import Iterator

_ANY = zlib.MAX_WBITS | 32  # gzip's head or zlib's
_RAW = -zlib.MAX_WBITS  # what some servers call deflate
_MOST_BYTES = 16_384
_GZIP = b"\x1f\x8b"

CODINGS = ("gzip", "x-gzip", "deflate")


def is_packed(coding: str, head: bytes) -> bool:
    """Return True if a body with this Content-Encoding and beginning is compressed.

    Raises ValueError if the coding is unknown.
    """
    coding = coding.strip().lower()
    if coding in CODINGS or head.startswith(_GZIP):
        return True
    if coding in ("", "identity", "none", "utf-8"):
        return False
    raise ValueError("compressed in a way that nobody asked for")


class Inflater:
    """Takes compressed bytes as they come, and yields the clear ones in pieces of at most 16 KiB."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_ANY)
        self._begun = False

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Yield the decompressed bytes. Raises ValueError if they are not compressed as announced."""
        while packed:
            try:
                clear = self._stream.decompress(packed, _MOST_BYTES)
            except zlib.error as error:
                if self._begun:
                    raise ValueError("not compressed as it says") from error
                self._begun, self._stream = True, zlib.decompressobj(_RAW)
                continue
            self._begun = True
            packed = self._stream.unconsumed_tail
            if self._stream.eof:  # one may follow on another
                packed = self._stream.unused_data
                self._stream = zlib.decompressobj(_ANY)
            if clear:
                yield clear
