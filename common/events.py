"""The events of a session's log and their bytes. `docs/wire-format.md` is the source of truth."""

from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import orjson

from common.names import Lane

WIRE_VERSION = 1

FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "function_call",
    "content_filter",
    "cancelled",
    "handed_over",
    "error",
]


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A turn begins: what was asked, how the lanes are to share it, who is asked on which lane.

    `reply`: how its client wants to be answered (`usage`, `lanes`), for whoever goes on with the stream;
    `remembered`: how many of the request's messages came from the session's own memory;
    `tell`: whether a webhook is told when the turn has ended;
    `speech`: the `voice` and `format` in which the answer is spoken, empty where it isn't;
    `caller`: who asks, as the platform names them;
    `record`: what is kept of it after its end, `full`, `redacted` or `none`.
    """

    turn: str
    profile: str
    request: dict[str, Any]
    policy: dict[str, Any]
    lanes: dict[str, dict[str, Any]]
    drafting: str
    wire: int
    fold: int
    reply: dict[str, Any] = field(default_factory=dict)
    remembered: int = 0
    tell: bool = False
    speech: dict[str, str] = field(default_factory=dict)
    caller: dict[str, str] = field(default_factory=dict)
    record: str = "full"


@dataclass(frozen=True, slots=True)
class LaneStarted:
    """An attempt begins; from here on lower attempts of the lane are void."""

    turn: str
    lane: Lane
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True)
class Delta:
    """Text of a lane: `at` is its offset there, in characters; `ms` counts from the turn's start."""

    turn: str
    lane: Lane
    attempt: int
    at: int
    text: str
    ms: int


@dataclass(frozen=True, slots=True)
class ToolPart:
    """A part of a tool call: `index` says which call, `at` the offset in its arguments.

    `rest`: what the call has besides, and its `type` where it is no function's; of two the later counts.
    """

    turn: str
    lane: Lane
    attempt: int
    index: int
    at: int
    id: str
    name: str
    arguments: str
    ms: int
    rest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extra:
    """Other content of a chunk than text and tool calls (logprobs, reasoning, other choices), as it came.

    `number` counts the lane's extras from 0.
    """

    turn: str
    lane: Lane
    attempt: int
    number: int
    choice: dict[str, Any]
    ms: int


@dataclass(frozen=True, slots=True)
class LaneFinished:
    """An attempt ends. `handed_over` (it is relocated) asks for the next one; other reasons end the lane.

    `at`: how long the lane's text is; an end whose text isn't there yet doesn't count.
    """

    turn: str
    lane: Lane
    attempt: int
    at: int
    reason: FinishReason
    usage: dict[str, Any] | None
    error: dict[str, Any] | None
    ms: int


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages of the tenant's knowledge for a turn; of several such events the first counts.

    Each of `passages` has `id`, `document`, `title`, `text`, `score`; `error`: why there are none, a code.
    """

    turn: str
    collection: str
    passages: list[dict[str, Any]]
    error: str | None
    ms: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A time that the fold had named has come."""

    turn: str
    number: int
    due: str
    phrase: str


@dataclass(frozen=True, slots=True)
class TurnInterrupted:
    """Somebody stopped the turn, or said after its end how much of it was heard.

    `by` client, disconnect, sweep, next_turn or deleted; `heard` in released characters, -1 unknown.
    """

    turn: str
    by: str
    heard: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The ending, as the fold saw it; the first one of a turn counts.

    `record`: what was kept, once the turn's words were masked (`redacted`) or dropped (`none`).
    """

    turn: str
    reason: str
    released: int
    usage: dict[str, Any]
    hash: str
    degraded: bool
    error: dict[str, Any] | None
    record: str = "full"


Event = (
    TurnStarted
    | LaneStarted
    | Delta
    | ToolPart
    | Extra
    | LaneFinished
    | Retrieved
    | TimerFired
    | TurnInterrupted
    | TurnEnded
)

LaneEvent = LaneStarted | Delta | ToolPart | Extra | LaneFinished
"""The events of one lane."""

FORCED = frozenset({"turn_parked", "turn_deadline", "internal_error"})
"""Codes of endings that may not follow from what the log says before them."""


def was_forced(ended: TurnEnded) -> bool:
    """Return True if an event ends its turn whatever the fold says."""
    return ended.error is not None and ended.error.get("code") in FORCED


KINDS: dict[str, type[Event]] = {
    "turn.started": TurnStarted,
    "lane.started": LaneStarted,
    "delta": Delta,
    "tool": ToolPart,
    "extra": Extra,
    "lane.finished": LaneFinished,
    "retrieved": Retrieved,
    "timer.fired": TimerFired,
    "turn.interrupted": TurnInterrupted,
    "turn.ended": TurnEnded,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def _plain(hint: Any) -> tuple[type, ...]:
    """The types that a field may have, as far as JSON tells them apart."""
    origin = get_origin(hint)
    if origin is UnionType:
        return tuple(kind for part in get_args(hint) for kind in _plain(part))
    if origin is Literal:
        return (str,)
    return (NoneType,) if hint is None else (origin or hint,)


def _fields_of(kind: type[Event]) -> dict[str, tuple[type, ...]]:
    hints = get_type_hints(kind)
    return {each.name: _plain(hints[each.name]) for each in fields(kind)}


_FIELDS = {name: _fields_of(kind) for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in its place: the stream's id of it, and that id's time, ms on the log server's clock."""

    id: str
    event: Event

    @property
    def ms(self) -> int:
        return int(self.id.partition("-")[0])


def place(entry_id: str) -> tuple[int, int]:
    """An entry's place in its log, to be compared."""
    millis, _, number = entry_id.partition("-")
    return int(millis), int(number)


def kind_of(event: Event) -> str:
    """The name of an event's kind."""
    return _NAMES[type(event)]


def encode(event: Event) -> dict[str, bytes]:
    """The fields of an event's stream entry: one, named by the kind, holding JSON."""
    return {kind_of(event): orjson.dumps(event)}


def decode(entry_id: bytes, fields_: dict[bytes, bytes]) -> Entry | None:
    """The entry's event; None for a kind that we don't know. Raises ValueError on a broken entry."""
    ((name, body),) = fields_.items()
    kind = name.decode()
    known = _FIELDS.get(kind)
    if known is None:
        return None
    values = orjson.loads(body)
    try:
        if len(values) > len(known):  # a later version may add fields
            values = {key: value for key, value in values.items() if key in known}
        for key, value in values.items():
            if not isinstance(value, known[key]):
                raise TypeError(f"{key} is a {type(value).__name__}")
        return Entry(entry_id.decode(), KINDS[kind](**values))
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"a broken {kind}: {error}") from None
