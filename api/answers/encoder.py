"""The base of all forms of an answer: walks a turn's outputs and turns each into a client's bytes."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from api.answers.audio_feed import AudioFeed
from api.answers.cursor import START, Place, write_cursor
from api.turns.live import LiveTurn
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled, TurnEnding


class AnswerEncoder(ABC):
    """Encodes one turn's answer for one client as server-sent events, from a place on.

    A form of answer is a subclass: a handler for each kind of output, and the whole answer. What lies before
    the place is walked too, so that events stand where they stood, but makes no bytes.
    """

    def __init__(self, live: LiveTurn, after: Place = START) -> None:
        self._live = live
        self._after = after
        self._chars = 0  # of the text, as far as it is told
        self._frames = 0

    @property
    def place(self) -> Place:
        """The place of the answer after what was encoded."""
        return Place(self._chars, self._frames)

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that the answer ended with, if it did."""
        ending = self._live.fold.ending
        return ending.error if ending else None

    def encode(self, outputs: Iterable[Output]) -> bytes:
        """Return the events that these outputs bring about."""
        return b"".join(map(self._encode_one, outputs))

    @abstractmethod
    def whole(self) -> dict[str, Any]:
        """Return the answer in one piece. Its turn has ended, and `finish` or `stream` has seen it."""

    async def stream(self, audio: AudioFeed) -> AsyncGenerator[bytes, None]:
        """Yield the answer's events as they come. `audio` is where forms with sound hear it."""
        if events := self.on_start():
            yield events
        async with aclosing(self._live.follow()) as batches:
            async for outputs in batches:
                if events := self.encode(outputs):
                    yield events

    async def finish(self, audio: AudioFeed) -> None:
        """Wait for the answer's end."""
        async with aclosing(self._live.follow()) as batches:
            async for _ in batches:
                pass

    def on_start(self) -> bytes:
        """Return the events that go before all outputs; most forms have none."""
        return b""

    @abstractmethod
    def on_text(self, output: TextReleased) -> bytes:
        """Return the events of a text."""

    @abstractmethod
    def on_tool_call(self, output: ToolCalled) -> bytes:
        """Return the events of a whole tool call."""

    @abstractmethod
    def on_passed_through(self, output: PassedThrough) -> bytes:
        """Return the events of what else the full model sent."""

    @abstractmethod
    def on_ending(self, output: TurnEnding) -> bytes:
        """Return the events that end the answer."""

    def _encode_one(self, output: Output) -> bytes:
        match output:
            case TextReleased():
                return self.on_text(output)
            case ToolCalled():
                return self.on_tool_call(output)
            case PassedThrough():
                return self.on_passed_through(output)
            case TurnEnding():
                return self.on_ending(output)

    def _event(self, data: bytes, name: bytes = b"") -> bytes:
        """Return an event in its place, unless the client has had it. This runs for every token."""
        if self._chars <= self._after.chars and self._frames <= self._after.frames:
            return b""
        cursor = write_cursor(self._live.turn.turn, self._chars, self._frames)
        kind = b"event: %b\n" % name if name else b""
        return b"id: %b\n%bdata: %b\n\n" % (cursor, kind, data)
