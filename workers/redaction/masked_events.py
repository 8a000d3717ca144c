"""Masks personal data in a turn's events. Pure.

A text that is spread over many events is masked as a whole and cut again in the same places, so that each
piece keeps its place and its length.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from common.events import (
    Delta,
    Event,
    Extra,
    LaneEvent,
    LaneFinished,
    LaneStarted,
    Retrieved,
    TimerFired,
    ToolPart,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from common.redaction.masking import SEAM, blank, mask, mask_json
from common.text.growing_text import GrowingText
from common.turn.fold import Fold
from common.turn.lane_state import LaneState, gives
from workers.redaction.masked_values import Path, Values, last_said, mask_messages


@dataclass(slots=True)
class _Text:
    """A text that comes in pieces with their offsets; some pieces come twice."""

    text: GrowingText = field(default_factory=GrowingText)

    def add(self, at: int, piece: str) -> None:
        known = len(self.text) - at
        if 0 <= known < len(piece):
            self.text.append(piece[known:])


@dataclass(slots=True)
class Masks:
    """A turn's masked texts. `own`: its events; `heard`: their fold; `digit`: what masks digits."""

    own: list[Event]
    heard: Fold | None
    digit: str
    texts: dict[str, str] = field(default_factory=dict)
    calls: dict[Path, str] = field(default_factory=dict)
    extras: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    values: Values = field(init=False)

    def __post_init__(self) -> None:
        self.values = Values(self.digit)
        lanes: dict[str, LaneState] = {}
        asked = ""
        calls: dict[Path, _Text] = defaultdict(_Text)
        for event in self.own:
            if isinstance(event, LaneEvent):
                lanes.setdefault(event.lane, LaneState(event.lane)).apply(event)
            if isinstance(event, TurnStarted):
                asked = last_said(event.request.get("messages") or [])
            if isinstance(event, ToolPart):
                calls[_call(event)].add(event.at, event.arguments)
        self.texts = {name: _mask_answer(str(lane.text), asked, self.digit) for name, lane in lanes.items()}
        self.calls = {call: mask_json(str(text.text)) for call, text in calls.items()}
        self.extras = {name: _mask_extras(lane.extras, self.values) for name, lane in lanes.items()}
        if self.heard and all(self.heard.spoken.values()):
            self._mask_seam(self.heard)

    def _mask_seam(self, fold: Fold) -> None:
        """Mask what shows only where the full's text follows the draft's."""
        opening = fold.full_gate.opening.left_out
        begin = opening[0][1] if opening and opening[0][0] == 0 else 0
        heard, rest = fold.draft.text[: fold.spoken["draft"]].rstrip(), fold.full.text[begin:]
        begin += len(rest) - len(rest.lstrip())
        for gap in ("", " "):
            joined = mask(heard + gap + rest.lstrip(), self.digit)
            self.texts["draft"] = _overlay(self.texts["draft"], str(fold.draft.text), joined[: len(heard)], 0)
            said = joined[len(heard) + len(gap) :]
            self.texts["full"] = _overlay(self.texts["full"], str(fold.full.text), said, begin)

    def of(self, event: Event) -> Event:
        """Return an event as it is kept."""
        match event:
            case TurnStarted():
                caller = self.values.change(event.caller, (), lambda _, text: mask(text, self.digit))
                return replace(event, request=self._values(event.request), caller=caller)
            case Delta():
                return replace(event, text=self._cut(self.texts[event.lane], event.at, event.text))
            case ToolPart():
                arguments = self._cut(self.calls[_call(event)], event.at, event.arguments)
                rest = self.values.change(event.rest, (), lambda _, text: mask(text, self.digit))
                name = mask(event.name, self.digit)
                return replace(
                    event, id=self.values.name(event.id), name=name, arguments=arguments, rest=rest
                )
            case Extra():
                counted = self.extras[event.lane]
                void = {"index": event.choice.get("index", 0), "delta": {}}
                return replace(event, choice=counted[event.number] if event.number < len(counted) else void)
            case Retrieved():
                return replace(event, passages=[self._passage(passage) for passage in event.passages])
            case TimerFired():
                return replace(event, phrase=mask(event.phrase, self.digit))
            case TurnEnded():
                return replace(event, record="redacted")
            case LaneStarted() | LaneFinished() | TurnInterrupted():  # they hold no words
                return event
        assert_never(event)

    def _cut(self, masked: str, at: int, clear: str) -> str:
        """Return a piece of a masked text; characters outside of the text that counted are all masked."""
        piece = masked[at : at + len(clear)]
        return piece + blank(clear[len(piece) :], self.digit)

    def _passage(self, passage: dict[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = self.values.change(passage, (), lambda _, text: mask(text, self.digit))
        return changed

    def _values(self, request: dict[str, Any]) -> dict[str, Any]:
        texts = mask_messages(request.get("messages") or [], self.digit)

        def change(path: Path, text: str) -> str:
            if path in texts:
                return texts[path]
            return mask_json(text) if path[-1] == "arguments" else mask(text, self.digit)

        changed: dict[str, Any] = self.values.change(request, (), change)
        return changed


def _mask_answer(text: str, asked: str, digit: str) -> str:
    """Mask an answer together with its question, which may make it personal ("what is my PIN?")."""
    whole = mask(f"{asked}\n{SEAM}{text}", digit)
    return whole[len(whole) - len(text) :]


def _call(part: ToolPart) -> Path:
    return part.lane, part.attempt, part.index


def _overlay(masked: str, clear: str, other: str, at: int) -> str:
    """Add to a masked text what another masking of the part from `at` on has masked."""
    if other == clear[at : at + len(other)]:
        return masked
    both = [o if o != c else m for m, c, o in zip(masked[at:], clear[at:], other, strict=False)]
    return masked[:at] + "".join(both) + masked[at + len(both) :]


def _mask_extras(extras: list[dict[str, Any]], values: Values) -> list[dict[str, Any]]:
    """Mask extras; texts at the same place in each are masked as one, as reasoning comes word by word."""
    kept = [values.change(extra, (extra.get("index"),), lambda _, text: text) for extra in extras]
    texts: dict[Path, list[str]] = defaultdict(list)

    def collect(path: Path, text: str) -> str:
        texts[path].append(text)
        return text

    for extra in kept:
        values.change(extra, (extra.get("index"),), collect)
    pieces = {path: _cut_again(mask("".join(found), values.digit), found) for path, found in texts.items()}
    masked = [
        values.change(extra, (extra.get("index"),), lambda path, _: next(pieces[path])) for extra in kept
    ]
    for extra, clear in zip(masked, extras, strict=True):
        if gives(clear) and not gives(extra):
            extra["delta"][
                "audio"
            ] = {}  # the content goes, but not that it was there: the fold depends on it
    return masked


def _cut_again(whole: str, pieces: list[str]) -> Iterator[str]:
    at = 0
    for piece in pieces:
        yield whole[at : at + len(piece)]
        at += len(piece)
