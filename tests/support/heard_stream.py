"""What one client hears: the bytes of a stream, read as strictly as a picky client would."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx


class Stream:
    """One streamed answer, read as far as the test wants to."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.data: list[str] = []  # of the events
        self.ids: list[str] = []
        self.heartbeats = 0
        self._pieces = response.iter_raw()
        self._rest = b""
        self._open: list[str] = []  # lines of an event that has not ended

    # Reading.

    def read(self) -> "Stream":
        """Read to the end."""
        while self._read_some():
            pass
        assert not self._rest and not self._open, "the stream ended inside an event"
        return self

    def read_until_said(self, lane: str, characters: int = 1) -> "Stream":
        """Read until a lane has said so much."""
        return self._read_until(lambda: len(self.said(lane)) >= characters, f"the {lane} was not heard")

    def read_until_heartbeat(self) -> "Stream":
        """Read until a comment has come."""
        return self._read_until(lambda: self.heartbeats > 0, "no heartbeat came")

    def _read_until(self, check: Any, problem: str) -> "Stream":
        while not check():
            assert self._read_some(), f"{problem}: {self.data}"
        return self

    def _read_some(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take(line.decode())
        return True

    def _take(self, line: str) -> None:
        assert not self.done, "something came after the end"
        if line.startswith(":"):
            assert not self._open, "a comment stands inside an event"
            self.heartbeats += 1
        elif line:
            self._open.append(line)
        else:
            # OpenAI's client takes an empty line after a comment for an event of no data.
            assert len(self._open) == 2, f"an event is its id and its data: {self._open}"
            place, data = self._open
            assert place.startswith("id: ")
            assert data.startswith("data: ")
            self.ids.append(place.removeprefix("id: "))
            self.data.append(data.removeprefix("data: "))
            self._open = []

    # What was heard.

    @property
    def done(self) -> bool:
        """Whether the end has come."""
        return "[DONE]" in self.data

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events' JSON, without the last one, which is none."""
        return [json.loads(data) for data in self.data if data != "[DONE]"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks that hold a choice."""
        return [event for event in self.events if event.get("choices")]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The error events."""
        return [event["error"] for event in self.events if "error" in event]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in self.chunks)

    def said(self, lane: str) -> str:
        """What a lane said; only where lanes are marked."""
        mine = [chunk for chunk in self.chunks if chunk.get("fast_reply", {}).get("lane") == lane]
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in mine)

    @property
    def lanes(self) -> list[str]:
        """Who spoke, in turns."""
        marks = [lane for chunk in self.chunks if (lane := chunk.get("fast_reply", {}).get("lane"))]
        return [lane for place, lane in enumerate(marks) if marks[place - 1 : place] != [lane]]

    @property
    def finish(self) -> str:
        """The one finish reason."""
        (reason,) = [reason for chunk in self.chunks if (reason := chunk["choices"][0]["finish_reason"])]
        return str(reason)

    @property
    def ending(self) -> dict[str, Any]:
        """The mark of the ending; only where lanes are marked."""
        (mark,) = [mark for chunk in self.chunks if "ended" in (mark := chunk.get("fast_reply", {}))]
        return dict(mark)

    @property
    def session(self) -> str:
        return self.headers["x-session-id"]

    def assert_whole(self, draft: str, full: str) -> None:
        """The draft up to some place, one space, the whole full; nothing twice, and a good end.

        A draft that was broken off in its sentence is heard so, by a mark at the seam.
        """
        self.assert_well_ended()
        assert self.said("full").removeprefix("…").lstrip(" ") == full
        head = self.text.removesuffix(full)
        assert head + full == self.text
        assert draft.startswith(head.rstrip(" ").removesuffix("…"))
        assert head == "" or (head.endswith(" ") and not head.endswith("  "))

    def assert_well_ended(self, finish: str = "stop") -> None:
        """One ending, no error."""
        assert self.status == 200
        assert self.errors == []
        assert self.finish == finish
        assert self.done

    def assert_failed(self, code: str) -> None:
        """One error, and the ending all the same."""
        assert self.status == 200
        assert [error["code"] for error in self.errors] == [code]
        assert set(self.errors[0]) == {"message", "type", "param", "code"}
        assert self.finish == "error"
        assert self.done


@contextmanager
def open_stream(
    client: httpx.Client, path: str, body: Any, headers: dict[str, str] | None = None
) -> Iterator[Stream]:
    """Ask for a streamed answer."""
    with client.stream("POST", path, json=body, headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield Stream(response)
