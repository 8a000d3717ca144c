"""A turn as server-sent events made for speech: one whole sentence each, then the calls, then the end.

A sentence is told as it is spoken: its words, without Markdown's marks.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from api.answers.completion import ending_of, finish_reason, whole_calls
from api.answers.cursor import START, Place
from api.answers.encoder import AnswerEncoder
from api.turns.live import LiveTurn
from common.errors import presented
from common.text.speakable import spoken_part
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled, TurnEnding
from common.turn.sentence_splitter import SentenceSplitter


class SentenceEncoder(AnswerEncoder):
    """Events `sentence`, one for all calls, `error` and `end`."""

    def __init__(self, live: LiveTurn, after: Place = START) -> None:
        super().__init__(live, after)
        self._splitter = SentenceSplitter(after.chars, whole=True)
        self._texts: deque[tuple[int, TextReleased]] = deque()  # with the place in the text where each begins
        self._calls: list[dict[str, Any]] = []
        self._chars = after.chars  # up to the end of the last sentence

    @property
    def place(self) -> Place:
        """The place of the answer, told or not."""
        return Place(len(self._splitter.text), self._frames)

    def encode(self, outputs: Iterable[Output]) -> bytes:
        """Return the events that these outputs bring about."""
        return super().encode(outputs) + self._sentences()

    def whole(self) -> dict[str, Any]:
        """Return what is to be said, and the calls."""
        splitter, ending = SentenceSplitter(whole=True), ending_of(self._live)
        for output in self._live.outputs:
            if isinstance(output, TextReleased):
                splitter.feed(output)
        splitter.close()
        calls = whole_calls(self._live)
        event = {"event": self._live.started.reply["calls_event"], "tool_calls": calls} if calls else None
        return {
            "id": self._live.turn.turn,
            "object": "llm_request.answer",
            "replies": [{"type": "text", "text": words} for _, _, words in _sentences_of(splitter) if words],
            "event": event,
            "finish_reason": finish_reason(ending),
            "degraded": ending.degraded,
            "usage": self._live.usage,
        }

    def on_text(self, output: TextReleased) -> bytes:
        """Add the text; `encode` tells the sentences that end in it."""
        self._texts.append((len(self._splitter.text), output))
        self._splitter.feed(output)
        return b""

    def on_tool_call(self, output: ToolCalled) -> bytes:
        """Leave the call for the end."""
        self._calls.append(output.call.whole())
        return b""

    def on_passed_through(self, output: PassedThrough) -> bytes:
        """Leave out what can't be said."""
        return b""

    def on_ending(self, output: TurnEnding) -> bytes:
        """Return the last sentences, the calls in one event, the error, the end."""
        self._splitter.close()
        events = [self._sentences()]
        self._chars = len(self._splitter.text)  # the last place is the whole text's
        if self._calls:
            name = self._live.started.reply["calls_event"]
            events.append(self._frame(name, {"tool_calls": self._calls}))
        if output.error:
            events.append(self._frame("error", {"error": presented(output.error)}))
        end = {
            "reason": output.reason,
            "finish_reason": finish_reason(output),
            "degraded": output.degraded,
            "ms": output.at_ms,
            "usage": self._live.usage,
        }
        return b"".join([*events, self._frame("end", end)])

    def _sentences(self) -> bytes:
        events = []
        for start, end, words in _sentences_of(self._splitter):
            self._chars, said = end, self._said_at(start)
            if words:
                sentence = {"text": words, "lane": said.lane, "ms": said.at_ms}
                events.append(self._json_event("sentence", sentence))
        return b"".join(events)

    def _said_at(self, start: int) -> TextReleased:
        """Return what was let out at this place of the text."""
        while len(self._texts) > 1 and self._texts[1][0] <= start:
            self._texts.popleft()
        return self._texts[0][1]

    def _frame(self, name: str, value: dict[str, Any]) -> bytes:
        self._frames += 1
        return self._json_event(name, value)

    def _json_event(self, name: str, value: dict[str, Any]) -> bytes:
        return self._event(orjson.dumps(value), name.encode())


def _sentences_of(splitter: SentenceSplitter) -> Iterator[tuple[int, int, str]]:
    """Yield where each further sentence begins and ends, and what of it is spoken."""
    while sentence := splitter.next():
        yield *sentence, spoken_part(splitter.text, *sentence)
