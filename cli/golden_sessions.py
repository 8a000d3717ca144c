"""Golden sessions: recordings that the fold must always fold to what was heard.

A recording only has a hash of what was heard. `keep` adds the text itself, as lines of a kind that other
readers skip, so that a difference can be shown where it begins.
"""

import gzip
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import orjson

from common.events import TurnEnded
from common.records.recording import RecordedTurn, SessionTurns, read_line
from common.records.replay import RecordedReplay, replay_as_recorded
from common.turn.version import FOLD_VERSION, UnknownFold

KEPT = "golden.heard"
_SHOWN = 60  # characters on each side of a difference

Said = list[tuple[str, str]]
"""Who said what, one after the other."""


def assert_unchanged(path: Path) -> None:
    """Fold each turn of a file with the fold of today. Raises AssertionError that says what differs."""
    _, found = compare(path)
    assert not found, "\n\n".join([f"{path} is heard otherwise than it was recorded", *found])


def compare(path: Path) -> tuple[int, list[str]]:
    """Return the number of turns in a file, and a text for each that is heard differently.

    Raises OSError, ValueError.
    """
    lines = _read(path)
    kept, turns = _kept(lines), _turns(lines)
    if not turns:
        return 0, ["no turn in it"]
    return len(turns), [found for turn in turns if (found := _difference(turn, kept.get(turn.started.turn)))]


def keep(path: Path) -> None:
    """Store in a recording what is heard of it now. Raises OSError, ValueError."""
    lines = [line for line in _read(path) if orjson.loads(line)["kind"] != KEPT]
    for turn in _turns(lines):
        heard = {"turn": turn.started.turn, "said": _said(_fold(turn))}
        lines.append(orjson.dumps({"id": "0-0", "kind": KEPT, "event": heard}))
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _read(path: Path) -> list[bytes]:
    packed = path.read_bytes()
    return (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed).splitlines()


def _kept(lines: Iterable[bytes]) -> dict[str, Said]:
    events = [value["event"] for line in lines if (value := orjson.loads(line))["kind"] == KEPT]
    return {event["turn"]: [(lane, text) for lane, text in event["said"]] for event in events}


def _turns(lines: Iterable[bytes]) -> list[RecordedTurn]:
    turns = SessionTurns()
    for line in lines:
        if entry := read_line(line):
            turns.feed(entry)
    return turns.all()


def _fold(turn: RecordedTurn) -> RecordedReplay:
    """Fold a turn with the fold of today, whichever it was recorded with. Raises UnknownFold."""
    return replay_as_recorded(replace(turn, started=replace(turn.started, fold=FOLD_VERSION)))


def _said(folded: RecordedReplay) -> Said:
    """Return what was said, with neighbours of one lane joined."""
    parts: Said = []
    for piece in folded.said:
        before = parts.pop()[1] if parts and parts[-1][0] == piece.lane else ""
        parts.append((piece.lane, before + piece.text))
    return parts


def _difference(turn: RecordedTurn, kept: Said | None) -> str:
    """Describe how a turn is heard differently than it was; empty if it is not."""
    name = f"turn {turn.started.turn}"
    if turn.ended is None:
        return f"{name} has no ending in the recording: there is nothing to compare with"
    try:
        folded = _fold(turn)
    except UnknownFold as error:
        return f"{name} can't be folded: {error}"
    if not folded.drifted and (folded.fold.ending or turn.ended).degraded == turn.ended.degraded:
        return ""
    said = _said(folded)
    return "\n".join(
        [
            f"{name}, recorded with version {turn.started.fold} of the fold, folded with {FOLD_VERSION}",
            f"  recorded: {_ending(turn.ended)}",
            f"  now:      {_ending_now(folded)}",
            *(_first_difference(kept, said) if kept is not None else []),
            "  heard now:",
            *(f"    {lane:<6} {text!r}" for lane, text in said),
        ]
    )


def _ending(ended: TurnEnded) -> str:
    degraded = ", degraded" if ended.degraded else ""
    return f"{ended.reason}{degraded}, {ended.released} characters, hash {ended.hash}"


def _ending_now(folded: RecordedReplay) -> str:
    fold, ending = folded.fold, folded.fold.ending
    if ending is None:
        return f"goes on, {fold.released} characters until now"
    degraded = ", degraded" if ending.degraded else ""
    return f"{ending.reason}{degraded}, {fold.released} characters, hash {fold.hash()}"


def _first_difference(kept: Said, said: Said) -> list[str]:
    """Show where the text of now parts from the recorded one."""
    then, now = ("".join(text for _, text in parts) for parts in (kept, said))
    place = next((n for n, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), None)
    if place is None:
        place = min(len(then), len(now))
    if then == now:
        return ["  the text is the same"]
    begin = max(0, place - _SHOWN)
    return [
        f"  the texts part at character {place}, after {then[begin:place]!r}",
        f"    recorded: {then[place : place + _SHOWN]!r}",
        f"    now:      {now[place : place + _SHOWN]!r}",
    ]
