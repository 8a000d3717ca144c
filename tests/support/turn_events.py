"""Turns for tests: short ways to write events and to hear what a fold says."""

from collections.abc import Iterable, Sequence
from typing import Any

from common.events import (
    Delta,
    Entry,
    Event,
    Extra,
    LaneFinished,
    LaneStarted,
    TimerFired,
    ToolPart,
    TurnStarted,
)
from common.turn.fold import Fold
from common.turn.outputs import Due, Output, TextReleased, TurnEnding
from common.turn.policy import Policy
from common.turn.turn_log import TurnLog
from common.turn.version import FOLD_VERSION

TURN = "aaaaaaaaaaaa"

Timed = tuple[int, Event]
"""An event, and when it comes: milliseconds from the turn's start."""


def started(
    *,
    draft: bool | dict[str, Any] = True,
    turn: str = TURN,
    release: str = "token",
    late: bool = False,
    aloud: bool = False,
    **policy: Any,
) -> TurnStarted:
    """The first event of a turn, with a policy of these parts.

    `draft`: whether there is one, or its part of the policy. `late`: it is only a hedge.
    `aloud`: the answer is spoken.
    """
    policy["handoff"] = {"join": "append", **policy.get("handoff", {})}
    policy["draft"] = {"release": release, **(draft if isinstance(draft, dict) else {})}
    lanes: dict[str, dict[str, Any]] = {"full": {"model": "full", "prompt": ""}}
    if draft is not False:
        hedge = {"late": True} if late else {}
        lanes = {"draft": {"model": "draft", "prompt": "", **hedge}, **lanes}
    return TurnStarted(
        turn=turn,
        profile="fast-reply",
        request={"messages": [{"role": "user", "content": "Hi"}]},
        policy=Policy.model_validate(policy).model_dump(mode="json"),
        lanes=lanes,
        drafting="on" if draft else "off",
        wire=1,
        fold=FOLD_VERSION,
        reply={"calls_event": "asked"} if aloud else {},
    )


def begin(lane: Any, attempt: int = 1, worker: str = "w") -> LaneStarted:
    return LaneStarted(TURN, lane, attempt, f"{worker}{attempt}")


def say(lane: Any, at: int, text: str, attempt: int = 1) -> Delta:
    return Delta(TURN, lane, attempt, at, text, 0)


def call(index: int, at: int, arguments: str, name: str = "f", attempt: int = 1) -> ToolPart:
    return ToolPart(TURN, "full", attempt, index, at, f"call_{index}", name, arguments, 0)


def extra(number: int, choice: dict[str, Any], attempt: int = 1) -> Extra:
    return Extra(TURN, "full", attempt, number, choice, 0)


def end(
    lane: Any, reason: Any = "stop", attempt: int = 1, usage: Any = None, error: Any = None, at: int = 0
) -> LaneFinished:
    return LaneFinished(TURN, lane, attempt, at, reason, usage, error, 0)


def fold_all(first: TurnStarted, events: Iterable[Event]) -> tuple[Fold, list[Output]]:
    """The fold after these events, and all that it let out."""
    fold = Fold(first)
    releases: list[Output] = []
    for number, event in enumerate(events):
        releases += fold.feed(event, number)
    return fold, releases


def heard(releases: Iterable[Output]) -> str:
    """The text that was let out."""
    return "".join(r.text for r in releases if isinstance(r, TextReleased))


def spoken(releases: Iterable[Output]) -> list[tuple[str, str]]:
    """Who said what, in order, neighbours of one lane put together."""
    parts: list[tuple[str, str]] = []
    for release in releases:
        if isinstance(release, TextReleased):
            if parts and parts[-1][0] == release.lane:
                parts[-1] = (release.lane, parts[-1][1] + release.text)
            else:
                parts.append((release.lane, release.text))
    return parts


def endings(releases: Iterable[Output]) -> list[TurnEnding]:
    return [r for r in releases if isinstance(r, TurnEnding)]


def fire(due: Due, phrase: str = "") -> TimerFired:
    """What a driver writes when this time has come."""
    return TimerFired(TURN, due.number, due.due, phrase)


def log_of(entries: Sequence[Entry]) -> TurnLog:
    """Return the turn that these entries begin with."""
    log = TurnLog.of(entries)
    assert log
    return log
