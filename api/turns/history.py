"""The memory of a session: what its last turn asked, and what the caller heard of the answer.

Pure: it follows from the log's entries alone, so every replica remembers the same.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from api.turns.merging import MergedChoice
from api.turns.unanswered import carried_on
from common.events import TurnInterrupted
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled
from common.turn.tool_history import THOUGHTS, without_thoughts
from common.turn.turn_log import TurnLog

Message = dict[str, Any]

_SYSTEM = ("system", "developer")
# Not Gemini's `extra_content`: its signatures stand in the calls, and here it may call words thoughts.
_BESIDE = (*THOUGHTS, "provider_specific_fields")
_MOST_BESIDE = 262_144  # bytes: more would be copied into the next turn's start, and is left out


@dataclass(frozen=True, slots=True)
class History:
    """One turn as the next one remembers it. `asked`: its messages, with what it remembered itself.

    `known`: whether it is known what was said; else it is not known either that nobody answered.
    `beside`: what stood beside its calls, thoughts and signatures: models want it back with their results.
    """

    asked: list[Message]
    said: str = ""
    calls: tuple[Message, ...] = ()
    known: bool = True
    beside: Message = field(default_factory=dict)

    def before(self, own: list[Message], most: int, most_bytes: int = 0) -> tuple[list[Message], int]:
        """The session's messages with a client's `own` at their end, and how many were remembered.

        At most so many as `most` without system messages, and so many bytes; the client's own system message
        takes their place.
        """
        results = {message.get("tool_call_id") for message in own if message["role"] == "tool"}
        answered = [call for call in self.calls if call["id"] in results]
        past = [*self.asked, *self._answer(answered)]
        if not answered:
            past = without_thoughts(past)  # they are over with their round of tools
        system = [] if any(map(_is_system, own)) else [m for m in past if _is_system(m)]
        talk = [m for m in past if not _is_system(m)]
        if most_bytes:
            system = system if _size(system) <= most_bytes else []
            most = min(most, _fitting(talk, most_bytes - _size(system)))
        talk = _latest(talk, most, whole_exchange=bool(answered))
        lead = next((place for place, m in enumerate(own) if not _is_system(m)), len(own))
        talk, newest = carried_on(talk, own[lead:]) if self.known else (talk, own[lead:])
        return [*system, *own[:lead], *talk, *newest], len(system) + len(talk)

    def _answer(self, calls: list[Message]) -> list[Message]:
        """The assistant's message, with these calls. Model servers refuse calls that nothing answers."""
        if calls:
            return [{"role": "assistant", "content": self.said or None, **self.beside, "tool_calls": calls}]
        return [{"role": "assistant", "content": self.said}] if self.said else []


def read_history(log: TurnLog) -> History:
    """Return what there is to remember of a turn. Raises UnknownFold."""
    _, releases = log.fold_with_outputs()
    told = [stop.heard for stop in log.events(TurnInterrupted) if stop.heard >= 0]
    heard = told[-1] if told else None  # also of a turn that was over: the caller was still listening
    calls = tuple(release.call.whole() for release in releases if isinstance(release, ToolCalled))
    beside = _beside(releases) if calls else {}
    return History(log.started.request["messages"], _said(releases, heard), calls, beside=beside)


def _beside(releases: list[Output]) -> Message:
    """Return what the full's message held besides words and calls, of what models may want back."""
    merged = MergedChoice()
    for release in releases:
        if isinstance(release, PassedThrough) and not release.choice.get("index"):
            merged.add(release.choice)
    beside = {key: value for key, value in merged.message().items() if key in _BESIDE}
    return beside if _size([beside]) <= _MOST_BESIDE else {}


def _said(releases: list[Output], heard: int | None) -> str:
    """The lanes' words up to where the caller heard them. A filler is heard, but says nothing."""
    words, left = list[str](), heard
    for release in releases:
        if isinstance(release, TextReleased):
            text = release.text[:left]
            left = None if left is None else left - len(text)
            if release.lane != "filler":
                words.append(text)
    return "".join(words).strip()


def _size(messages: list[Message]) -> int:
    return sum(len(orjson.dumps(message)) for message in messages)


def _fitting(talk: list[Message], most_bytes: int) -> int:
    """Return how many of the last messages fit into this many bytes."""
    for count, message in enumerate(reversed(talk)):
        most_bytes -= len(orjson.dumps(message))
        if most_bytes < 0:
            return count
    return len(talk)


def _is_system(message: Message) -> bool:
    return message["role"] in _SYSTEM


def _latest(talk: list[Message], most: int, *, whole_exchange: bool) -> list[Message]:
    """The last messages, from one of the user's on; nothing that answers what was cut off.

    `whole_exchange`: never less than from the user's last one, which tools are still at work on.
    """
    users = [place for place, message in enumerate(talk) if message["role"] == "user"]
    begin = next((place for place in users if place >= len(talk) - most), len(talk))
    if whole_exchange and begin == len(talk):
        begin = users[-1] if users else len(talk) - 1
    return talk[begin:]
