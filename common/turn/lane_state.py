"""The state of a lane as the log tells it: attempts, offsets, the end that counts."""

from dataclasses import dataclass, field, replace
from typing import Any

from common.errors import turn_error
from common.events import Delta, Extra, LaneEvent, LaneFinished, LaneStarted, ToolPart
from common.names import Lane
from common.text.growing_text import GrowingText
from common.text.sentences import Sentences

_IN_PLACE_OF_TEXT = ("refusal", "function_call", "images")


class ToolCallState:
    """One tool call as it grows. `rest`: what its model's server says of it besides."""

    __slots__ = ("_arguments", "id", "name", "rest")

    def __init__(
        self, id: str = "", name: str = "", arguments: str = "", rest: dict[str, Any] | None = None
    ) -> None:
        self.id = id
        self.name = name
        self.rest = with_more({}, rest or {})
        self._arguments = GrowingText(arguments)

    @property
    def arguments(self) -> str:
        """All of them until now."""
        return str(self._arguments)

    @property
    def size(self) -> int:
        """The number of characters of arguments."""
        return len(self._arguments)

    def add(self, arguments: str) -> None:
        """Let the arguments go on."""
        self._arguments.append(arguments)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ToolCallState):
            return NotImplemented
        mine, others = (self.id, self.name, self.rest), (other.id, other.name, other.rest)
        return mine == others and self._arguments == other._arguments

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ToolCall({self.id!r}, {self.name!r}, {self.arguments!r}, {self.rest!r})"

    def whole(self) -> dict[str, Any]:
        """The call as a message holds it, with all that its server said: a second round needs it."""
        if self.rest.get("type") == "custom":
            body = {"name": self.name, "input": self.arguments}
            return with_more({"id": self.id, "type": "custom", "custom": body}, self.rest)
        body = {"name": self.name, "arguments": self.arguments or "{}"}
        return with_more({"id": self.id, "type": "function", "function": body}, self.rest)


@dataclass(slots=True)
class LaneState:
    """One lane of one turn. Whatever is void, repeated or late changes nothing here.

    `most_chars`: the text ends there, whatever its writer goes on with; 0 is no bound.
    """

    lane: Lane
    most_chars: int = 0
    attempt: int = 0
    worker: str = ""
    text: GrowingText = field(default_factory=GrowingText)
    sentences: Sentences = field(default_factory=Sentences)
    calls: dict[int, ToolCallState] = field(default_factory=dict)
    extras: list[dict[str, Any]] = field(default_factory=list)
    gives: bool = False  # something for the client that is neither text nor a call: a refusal, sound
    dropped: bool = False  # what was in it is not kept
    finished: LaneFinished | None = None
    cut_off: bool = False  # it was to go on behind `most_chars`
    relocated: set[int] = field(default_factory=set)  # attempts that ended by asking for the next

    @property
    def over(self) -> bool:
        """Return True if nothing more will come of this lane."""
        return self.finished is not None

    @property
    def failed(self) -> bool:
        """Return True if the lane ended without an answer: broken off, or empty."""
        if self.finished is None:
            return False
        return self.finished.reason in ("error", "cancelled") or not self.answers

    @property
    def speaks(self) -> bool:
        """Return True if there is anything to hear: text that is not blank, or a tool call."""
        return bool(self.calls) or self.text.solid > 0

    @property
    def stopped_short(self) -> bool:
        """Return True if a filter or its length ended it: that too is an answer of the model's own."""
        return self.finished is not None and self.finished.reason in ("length", "content_filter")

    @property
    def answers(self) -> bool:
        """Return True if it has anything for the client: words, a call, a refusal, or why not."""
        return self.speaks or self.gives or self.stopped_short or self.dropped

    @property
    def own_reason(self) -> str:
        """Why it ended, in OpenAI's words: of calls in the older form some servers tell by the newer word."""
        reason = self.finished.reason if self.finished else ""
        if self.calls and reason in ("stop", "function_call"):
            return "tool_calls"
        return "stop" if reason == "function_call" and not self.gives else reason

    @property
    def no_answer(self) -> dict[str, Any]:
        """The error of a lane that failed and doesn't say why."""
        if self.finished and self.finished.reason not in ("error", "cancelled"):
            return turn_error("upstream_empty", "the model's answer was empty")
        return turn_error("upstream_error", "the model gave no answer")

    def apply(self, event: LaneEvent) -> None:
        """Let one event of this lane count, if it does."""
        if self.finished is not None:
            return
        if isinstance(event, LaneStarted):
            self._start(event)
        elif event.attempt != self.attempt:
            return  # a zombie's, or of an attempt that has not begun
        elif isinstance(event, Delta):
            self._add(event)
        elif isinstance(event, ToolPart):
            self._add_tool_part(event)
        elif isinstance(event, Extra):
            if event.number == len(self.extras):
                self.extras.append(event.choice)
                self.gives = self.gives or gives(event.choice)
        elif event.reason == "handed_over":
            self.relocated.add(event.attempt)
        elif event.at <= len(self.text) or self.cut_off:
            self.finished = replace(event, reason="length") if self._breaks_off(event) else event
            self.sentences.close()

    def _start(self, event: LaneStarted) -> None:
        if event.attempt > self.attempt:
            self.attempt, self.worker = event.attempt, event.worker
            # Calls are released whole, at the end: those of a broken attempt were never heard.
            self.calls = {}

    def _add(self, event: Delta) -> None:
        known = len(self.text) - event.at
        # A gap (known < 0) is left to the writer, who puts back what its server lost.
        if 0 <= known < len(event.text):
            new = event.text[known:]
            if self.most_chars and len(self.text) + len(new) > self.most_chars:
                new, self.cut_off = new[: self.most_chars - len(self.text)], True
            self.text.append(new)
            self.sentences.feed(new)

    def _breaks_off(self, finished: LaneFinished) -> bool:
        """Return True if the writer's end lies behind ours."""
        return self.cut_off and finished.reason == "stop"

    def _add_tool_part(self, event: ToolPart) -> None:
        call = self.calls.setdefault(event.index, ToolCallState())
        call.id = call.id or event.id
        call.name = call.name or event.name
        if event.rest:
            join_more(call.rest, event.rest)
        known = call.size - event.at
        if 0 <= known < len(event.arguments):
            call.add(event.arguments[known:])


def with_more(rest: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return the other fields of a call with more added, as an object of its own."""
    joined: dict[str, Any] = {}
    join_more(joined, rest)
    join_more(joined, more)
    return joined


def join_more(rest: dict[str, Any], more: dict[str, Any]) -> None:
    """Add more to what a call has besides: objects are joined, however deep, all else is replaced."""
    for key, value in more.items():
        if isinstance(value, dict):
            if not isinstance(rest.get(key), dict):
                rest[key] = {}  # never the other's own: it may be an event's
            join_more(rest[key], value)
        else:
            rest[key] = value


def gives(choice: dict[str, Any]) -> bool:
    """Return True if a chunk's choice has something in place of text. Thoughts and notes don't count."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return False
    if isinstance(delta.get("audio"), dict) or any(delta.get(name) for name in _IN_PLACE_OF_TEXT):
        return True
    return bool(choice.get("index")) and any(delta.get(name) for name in ("content", "tool_calls"))
