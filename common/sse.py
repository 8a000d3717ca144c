"""Server-sent events as bytes: reading them, wherever the network cuts.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from dataclasses import dataclass

MAX_EVENT_BYTES = 4 * 1_048_576  # a peer that never ends its line must not fill our memory


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its data, and the id and name that came with it (empty where none did)."""

    data: bytes
    id: str = ""
    name: str = ""


class SSEParser:
    """Turns chunks of bytes into events. Raises ValueError on an event over 4 MiB."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._id = ""
        self._name = ""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that this chunk completes."""
        events: list[ServerEvent] = []
        # Bytes, not text lines: str.splitlines would also cut at U+2028 inside a model's JSON.
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line:
                self._field(line)
            elif self._data:
                events.append(ServerEvent(b"\n".join(self._data), self._id, self._name))
                self._data, self._size, self._name = [], 0, ""
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError("a server-sent event is larger than 4 MiB")
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"id":
            self._id = value.decode("utf-8", "replace")
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
