"""A turn as server-sent events made for speech: one whole sentence each, then the calls, then the end.

A sentence is told as it is spoken: its words, without Markdown's marks.
"""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from api.answers.chunks import finish_reason, whole_call
from api.answers.cursor import START, Place
from api.turns.live import LiveTurn
from common.errors import presented
from common.text.speakable import spoken_part
from common.turn.outputs import Output, TextReleased, ToolCalled, TurnEnding
from common.turn.sentence_splitter import SentenceSplitter


class SentenceWriter:
    """Writes the events of one answer for one client, from a place on: what lies before it is passed over."""

    def __init__(self, live: LiveTurn, after: Place = START) -> None:
        self._live = live
        self._after = after
        self._cutter = SentenceSplitter(after.chars, whole=True)
        self._lanes: deque[tuple[int, TextReleased]] = deque()  # with the place in the text where each begins
        self._calls: list[dict[str, Any]] = []
        self._frames = 0
        self._told = after.chars

    @property
    def place(self) -> Place:
        """Where the answer stands, told or not."""
        return Place(len(self._cutter.text), self._frames)

    def write(self, releases: list[Output]) -> bytes:
        """The events that these releases bring about."""
        events = []
        for release in releases:
            if isinstance(release, TextReleased):
                self._lanes.append((len(self._cutter.text), release))
                self._cutter.feed(release)
            elif isinstance(release, ToolCalled):
                self._calls.append(whole_call(release))
            elif isinstance(release, TurnEnding):
                self._cutter.close()
                events += [self._sentences(), self._end(release)]
        return b"".join([self._sentences(), *events])

    def _sentences(self) -> bytes:
        events = []
        while sentence := self._cutter.next():
            start, self._told = sentence
            said = self._said_at(start)
            if words := spoken_part(self._cutter.text, *sentence):
                events.append(self._event("sentence", {"text": words, "lane": said.lane, "ms": said.at_ms}))
        return b"".join(events)

    def _said_at(self, start: int) -> TextReleased:
        """What was let out at this place of the text."""
        while len(self._lanes) > 1 and self._lanes[1][0] <= start:
            self._lanes.popleft()
        return self._lanes[0][1]

    def _end(self, ending: TurnEnding) -> bytes:
        """The calls in one event, the error, the end. The last place is the whole text's."""
        self._told = len(self._cutter.text)
        events = []
        if self._calls:
            name = self._live.started.reply["calls_event"]
            events.append(self._frame(name, {"tool_calls": self._calls}))
        if ending.error:
            events.append(self._frame("error", {"error": presented(ending.error)}))
        end = {
            "reason": ending.reason,
            "finish_reason": finish_reason(ending),
            "degraded": ending.degraded,
            "ms": ending.at_ms,
            "usage": self._live.usage,
        }
        return b"".join([*events, self._frame("end", end)])

    def _frame(self, name: str, value: dict[str, Any]) -> bytes:
        self._frames += 1
        return self._event(name, value)

    def _event(self, name: str, value: dict[str, Any]) -> bytes:
        """An event, unless the client has had it."""
        here = Place(self._told, self._frames)
        if self._after.covers(here):
            return b""
        cursor = here.cursor(self._live.turn.turn)
        return f"id: {cursor}\nevent: {name}\ndata: ".encode() + orjson.dumps(value) + b"\n\n"


async def sentences(
    live: LiveTurn, writer: SentenceWriter, first: bytes = b""
) -> AsyncGenerator[bytes, None]:
    """A turn's sentences as they come, for an EventStream. `first`: lines that go before the first event."""
    async with aclosing(live.follow()) as batches:
        async for releases in batches:
            if written := writer.write(releases):
                yield first + written
                first = b""


def spoken_answer(live: LiveTurn) -> dict[str, Any]:
    """The answer of a turn that has ended, in one piece: what is to be said, and the calls."""
    replies, calls = [], []
    cutter, ending = SentenceSplitter(whole=True), live.fold.ending
    assert ending is not None, "the turn goes on"
    for release in live.outputs:
        if isinstance(release, TextReleased):
            cutter.feed(release)
        elif isinstance(release, ToolCalled):
            calls.append(whole_call(release))
    cutter.close()
    while sentence := cutter.next():
        if words := spoken_part(cutter.text, *sentence):
            replies.append({"type": "text", "text": words})
    event = {"event": live.started.reply["calls_event"], "tool_calls": calls} if calls else None
    return {
        "id": live.turn.turn,
        "object": "llm_request.answer",
        "replies": replies,
        "event": event,
        "finish_reason": finish_reason(ending),
        "degraded": ending.degraded,
        "usage": live.usage,
    }
