"""Server-sent events as bytes: reading them, wherever the network cuts.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from dataclasses import dataclass

MAX_EVENT_BYTES = 2 * 1_048_576  # a peer that never ends its line must not fill our memory

_MARK = b"\xef\xbb\xbf"  # a byte order mark may stand before the stream, and is no part of it


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its data, and the id and name that came with it (empty where none did)."""

    data: bytes
    id: str = ""
    name: str = ""


class SSEParser:
    """Turns chunks of bytes into events. Raises ValueError on an event over 2 MiB.

    Its work is linear in the bytes, however they are cut.
    """

    def __init__(self) -> None:
        self._head: bytes | None = b""  # the stream's first bytes, until it is known whether they are a mark
        self._after_cr = False  # a line's end may be CR, LF or both, also where the network cuts between
        self._line: list[bytes] = []  # what has come of the last line
        self._data: list[bytes] = []
        self._size = 0
        self._id = ""
        self._name = ""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that this chunk completes."""
        events: list[ServerEvent] = []
        chunk = self._begin(chunk)
        if self._after_cr and chunk:
            chunk, self._after_cr = chunk.removeprefix(b"\n"), False
        if not chunk:
            return events
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # Bytes, not text lines: str.splitlines would also cut at U+2028 inside a model's JSON.
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._line:
                line = b"".join((*self._line, line))
                self._size -= sum(map(len, self._line))
                self._line = []
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        if rest:
            self._line.append(rest)
            self._size += len(rest)
        if self._size > MAX_EVENT_BYTES:
            raise ValueError("a server-sent event is larger than 2 MiB")
        return events

    def end(self) -> list[ServerEvent]:
        """Return the event that the stream's end cuts off. The standard drops it; some servers end so."""
        return self.feed(b"\n\n")

    def _begin(self, chunk: bytes) -> bytes:
        """Drop a byte order mark."""
        if self._head is None:
            return chunk
        head = self._head + chunk
        if len(head) < len(_MARK) and _MARK.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_MARK)

    def _dispatch(self, events: list[ServerEvent]) -> None:
        if self._data:
            events.append(ServerEvent(b"\n".join(self._data), self._id, self._name))
            self._data, self._size = [], 0
        self._name = ""

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
