"""Counts the tokens of a turn's lanes, by their own events, which mean the same to every fold version.

What a client is told and what its tenant is charged follow from this one count.
"""

from dataclasses import dataclass, field
from typing import Any

from common.events import Delta, Event, Extra, LaneFinished, LaneStarted, Retrieved, ToolPart, TurnStarted
from common.turn.token_counts import DETAILS, NAMES, asked_bytes, bytes_of, estimate, sound_usage

_TEXT = -1  # the lane's text, beside its calls by their index


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of a lane. `estimated`: so many of both that no model's server has told; `chars`: its text."""

    prompt: int
    completion: int
    estimated: int
    chars: int
    details: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_usage(self) -> dict[str, Any]:
        """The cost in OpenAI's words; `estimated` where no server has told all of it."""
        counts = (self.prompt, self.completion, self.prompt + self.completion)
        usage: dict[str, Any] = {**dict(zip(NAMES, counts, strict=True)), **self.details}
        return {**usage, "estimated": True} if self.estimated else usage


@dataclass(slots=True)
class Attempt:
    """One try at a lane: how much it wrote, and what its end says that it cost."""

    wrote_bytes: int = 0
    over: bool = False
    usage: dict[str, Any] | None = None
    reached: dict[int, int] = field(default_factory=dict)
    _last_extra: int = -1

    def count(self, event: Delta | ToolPart | Extra | LaneFinished) -> None:
        if isinstance(event, Delta):
            self._write(_TEXT, event.at, event.text)
        elif isinstance(event, ToolPart):
            self._write(event.index, event.at, event.arguments)
        elif isinstance(event, Extra):
            self._think(event)
        elif not self.over:
            self.over = True
            # What a worker of an earlier version has guessed is not what a server has told.
            guessed = isinstance(event.usage, dict) and event.usage.get("estimated")
            self.usage = None if guessed else sound_usage(event.usage)

    def _write(self, part: int, at: int, text: str) -> None:
        """Add what is new of a piece: one whose reply was lost is written twice."""
        reached = self.reached.get(part, at)
        self.wrote_bytes += bytes_of(text[max(0, reached - at) :])
        self.reached[part] = max(reached, at + len(text))

    def _think(self, event: Extra) -> None:
        """Thoughts cost as text does."""
        if event.number > self._last_extra:
            self._last_extra = event.number
            delta = event.choice.get("delta")
            said = delta.values() if isinstance(delta, dict) else ()
            self.wrote_bytes += sum(bytes_of(text) for text in said if isinstance(text, str))

    def cost(self, asked: int) -> tuple[int, int, int]:
        """Its tokens of prompt and completion, and how many of both are estimated.

        A total told alone is believed: only how it is shared between both is ours.

        A 0 where there was something is no count; and a server that was left before it said anything may
        never have been asked.
        """
        usage, wrote = self.usage or {}, estimate(self.wrote_bytes)
        prompt, completion, estimated = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), 0
        if total := usage.get("total_tokens", 0):
            if not prompt and not completion:
                completion = min(wrote, total)
            # What is told of both, though it be more, goes before a total.
            prompt = prompt or max(total - completion, 0)
            completion = completion or max(total - prompt, 0)
        if not completion:
            completion = wrote
            estimated += wrote
        if not prompt and completion:
            prompt = asked
            estimated += asked
        return prompt, completion, estimated


Lanes = dict[str, dict[int, Attempt]]
"""The attempts at each lane that began, by their numbers."""


def no_usage() -> dict[str, Any]:
    """The usage of a turn of which nobody knows what it has cost."""
    return {"sum": dict.fromkeys(NAMES, 0)}


class Costs:
    """The costs of a turn so far. Feed it the turn's events in log order."""

    def __init__(self, started: TurnStarted) -> None:
        self.lanes: Lanes = {}
        self._started = started
        self._found_bytes = 0  # passages that the full was shown besides

    def count(self, event: Event) -> None:
        """Count an event of the turn, if it counts."""
        if isinstance(event, LaneStarted) and event.lane in self._started.lanes:
            self.lanes.setdefault(event.lane, {}).setdefault(event.attempt, Attempt())
        elif isinstance(event, Delta | ToolPart | Extra | LaneFinished):
            if attempt := self.lanes.get(event.lane, {}).get(event.attempt):
                attempt.count(event)
        elif isinstance(event, Retrieved) and not self._found_bytes:
            texts = [str(passage.get("text") or "") for passage in event.passages]
            self._found_bytes = sum(map(bytes_of, texts))

    def count_late(self, event: Event, *, shadow: bool) -> None:
        """Count an event behind the turn's end: what a server told then, and a draft in the shadow.

        What a lane that was stopped says after that is counted for nobody.
        """
        goes_on = shadow and getattr(event, "lane", None) == "draft"
        if isinstance(event, LaneFinished) or goes_on:
            self.count(event)

    def of_lanes(self) -> dict[str, Cost]:
        """Return the cost of each lane that began, with the attempts of workers that died."""
        return {lane: self._cost(lane, list(attempts.values())) for lane, attempts in self.lanes.items()}

    def usage(self) -> dict[str, Any]:
        """The same in OpenAI's words, by lane, and the sum of all."""
        costs = self.of_lanes()
        names = {name: sum(cost.as_usage()[name] for cost in costs.values()) for name in NAMES}
        total = {**names, **_sum_details([cost.details for cost in costs.values()])}
        return {**{lane: cost.as_usage() for lane, cost in costs.items()}, "sum": total}

    def _cost(self, lane: str, attempts: list[Attempt]) -> Cost:
        asked = asked_bytes(self._started, lane) + (self._found_bytes if lane == "full" else 0)
        each = [attempt.cost(estimate(asked)) for attempt in attempts]
        prompt, completion, estimated = map(sum, zip(*each, strict=True))
        chars = max(attempt.reached.get(_TEXT, 0) for attempt in attempts)
        return Cost(prompt, completion, estimated, chars, _sum_details([a.usage or {} for a in attempts]))


def is_going(lanes: Lanes) -> bool:
    """Return True if a lane has begun and not ended, so that its cost is not final."""
    return not all(attempts[max(attempts)].over for attempts in lanes.values())


def _sum_details(usages: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """The details that servers have told, such as cached and reasoning tokens, put together."""
    total: dict[str, dict[str, int]] = {}
    for place in DETAILS:
        for usage in usages:
            for name, count in (usage.get(place) or {}).items():
                counts = total.setdefault(place, {})
                counts[name] = counts.get(name, 0) + count
    return total
