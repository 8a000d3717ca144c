"""What a turn's lanes cost in tokens, by their own events: these mean the same to every version."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from common.events import Delta, LaneFinished, LaneStarted, ToolPart, TurnStarted
from common.language import text_of
from common.recording import RecordedTurn

_BYTES_A_TOKEN = 4  # of UTF-8, about, in English, Russian and Chinese alike
_MOST = 1_000_000_000  # whatever a model's server says
_TEXT = -1  # the lane's text, beside its calls by their index


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of a lane. `estimated`: so many of both that no model's server has told; `chars`: its text."""

    prompt: int
    completion: int
    estimated: int
    chars: int


@dataclass(slots=True)
class Attempt:
    """One try at a lane: how much it wrote, and what its end says that it cost."""

    wrote_bytes: int = 0
    over: bool = False
    usage: dict[str, Any] | None = None
    reached: dict[int, int] = field(default_factory=dict)

    def take(self, event: Delta | ToolPart | LaneFinished) -> None:
        if isinstance(event, Delta):
            self._write(_TEXT, event.at, event.text)
        elif isinstance(event, ToolPart):
            self._write(event.index, event.at, event.arguments)
        elif not self.over:
            self.over, self.usage = True, event.usage

    def _write(self, part: int, at: int, text: str) -> None:
        """Add what is new of a piece: one whose reply was lost is written twice."""
        reached = self.reached.get(part, at)
        self.wrote_bytes += len(text[max(0, reached - at) :].encode())
        self.reached[part] = max(reached, at + len(text))

    def cost(self, asked: int) -> tuple[int, int, int]:
        """Its tokens of prompt and completion, and how many of both are estimated."""
        usage = self.usage or {"completion_tokens": estimate(self.wrote_bytes), "estimated": True}
        prompt, completion = _tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens")
        if not usage.get("estimated"):
            return prompt, completion, 0
        if completion:  # a server that was left before it answered may never have been asked
            prompt = prompt or asked
        return prompt, completion, prompt + completion


Lanes = dict[str, dict[int, Attempt]]
"""The attempts at each lane that began, by their numbers."""


def lanes_of(turn: RecordedTurn) -> Lanes:
    """The turn's attempts, as the log has them."""
    lanes: Lanes = {}
    for _, event in turn.events:
        if isinstance(event, LaneStarted) and event.lane in turn.started.lanes:
            lanes.setdefault(event.lane, {}).setdefault(event.attempt, Attempt())
        elif isinstance(event, Delta | ToolPart | LaneFinished):
            attempt = lanes.get(event.lane, {}).get(event.attempt)
            if attempt:
                attempt.take(event)
    return lanes


def is_going(lanes: Lanes) -> bool:
    """Whether a lane has begun and not ended: what it cost is yet to be told."""
    return not all(attempts[max(attempts)].over for attempts in lanes.values())


def costs_of(started: TurnStarted, lanes: Lanes) -> dict[str, Cost]:
    """What the lanes cost, with the attempts of workers that died."""
    costs = {}
    for lane, attempts in lanes.items():
        asked = _asked(started, lane)
        each = [attempt.cost(asked) for attempt in attempts.values()]
        prompt, completion, estimated = map(sum, zip(*each, strict=True))
        chars = max(attempt.reached.get(_TEXT, 0) for attempt in attempts.values())
        costs[lane] = Cost(prompt, completion, estimated, chars)
    return costs


def estimate(text_bytes: int) -> int:
    """About how many tokens a text of so many bytes has."""
    return -(-text_bytes // _BYTES_A_TOKEN)


def _asked(started: TurnStarted, lane: str) -> int:
    """About how many tokens the lane's model is asked: messages, prompt and tools."""
    request = started.request
    texts = [text_of(message.get("content")) for message in request.get("messages") or ()]
    texts.append(started.lanes[lane].get("prompt") or "")
    tools = orjson.dumps(request["tools"]) if lane == "full" and request.get("tools") else b""
    return estimate(sum(len(text.encode()) for text in texts) + len(tools))


def _tokens(usage: dict[str, Any], name: str) -> int:
    told = usage.get(name)
    return min(max(told, 0), _MOST) if isinstance(told, int) else 0
