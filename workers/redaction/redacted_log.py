"""Plans how a session's log is rewritten: which turns are masked, and which lose their words.

Runs as a module in a process of its own, so that no stranger's text can hold up a process that serves
calls. A question is a message of JSON and one with the entries' bodies; the answer is a message for each
turn as it is begun, then the plan in the same form. A text that takes too long ends the process.
"""

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from common.events import Delta, Entry, Event, Extra, ToolPart, TurnEnded, TurnStarted, encode
from common.log.stream import decode_entries
from common.net.framing import frame, pack, read
from common.turn.policy import LONGEST_TURN_MS
from common.turn.turn_log import TurnLog
from workers.redaction.redacted_turn import rewrite_turn

TURN_CPU_S = 20.0
"""So long the processor may be busy with one turn; some megabytes of the worst text take less."""

_BUDGET_S = 5.0  # after this time no further turn is begun
_LATE_TURN_MS = LONGEST_TURN_MS + 60_000

Raw = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(slots=True)
class RedactionRequest:
    """A question.

    `turns`: to be rewritten; `late`: added to since they were rewritten; `dropped`: to lose all their words.
    """

    raw: Raw
    turns: list[str]
    now_ms: int
    late: bool = True
    dropped: list[str] = field(default_factory=list)


@dataclass(slots=True)
class RewritePlan:
    """Says how a log's entries are rewritten.

    `done`: turns with nothing clear left and nothing more to come; `drifted`: turns that now fold to another
    text; `changes`: fields by entry id, None for one that goes; `live`: a turn is under way; `busy`: there is
    so much to do that the rest has to wait.
    """

    done: set[str] = field(default_factory=set)
    drifted: set[str] = field(default_factory=set)
    changes: dict[bytes, dict[bytes, bytes] | None] = field(default_factory=dict)
    live: bool = False
    busy: bool = False


def make_plan(asked: RedactionRequest, begin: Callable[[str], None]) -> RewritePlan:
    """Plan a log's rewriting. A turn that is gone, or is to be kept whole, counts as done.

    `begin` is called with each turn before it is rewritten.
    """
    over = time.monotonic() + _BUDGET_S
    raw, now_ms = asked.raw, asked.now_ms
    entries = decode_entries(raw)
    begun: dict[str, int] = {}
    for place, entry in enumerate(entries):
        if isinstance(entry.event, TurnStarted):
            begun.setdefault(entry.event.turn, place)
    ended = {entry.event.turn for entry in entries if isinstance(entry.event, TurnEnded)}
    plan = RewritePlan(live=any(_is_live(entries[at], ended, now_ms) for at in begun.values()))
    for turn in sorted({*asked.turns, *(_added_late(entries) if asked.late else ())}):
        at = begun.get(turn)
        started = entries[at].event if at is not None else None
        if at is None or not isinstance(started, TurnStarted) or started.record == "full":
            plan.done.add(turn)
        elif turn in ended and time.monotonic() > over:
            plan.busy = True  # what was done so far is written first
        elif turn in ended:
            begin(turn)
            # Of other turns only their starts matter to this one.
            own = [e for e in entries[at:] if e.event.turn == turn or isinstance(e.event, TurnStarted)]
            rewritten = rewrite_turn(TurnLog(started, own), now_ms, drop=turn in asked.dropped)
            plan.changes |= {
                entry_id.encode(): _fields(event) for entry_id, event in rewritten.changes.items()
            }
            if rewritten.whole:
                plan.done.add(turn)
            if rewritten.drifted:
                plan.drifted.add(turn)
    return plan


def _added_late(entries: list[Entry]) -> set[str]:
    """Return turns that were added to after their rewriting, by a worker that had stood still."""
    rewritten, late = set[str](), set[str]()
    for entry in entries:
        event = entry.event
        if isinstance(event, TurnEnded) and event.record != "full":
            rewritten.add(event.turn)
        elif isinstance(event, Delta | ToolPart | Extra) and event.turn in rewritten:
            late.add(event.turn)
    return late


def _is_live(start: Entry, ended: set[str], now_ms: int) -> bool:
    return start.event.turn not in ended and start.ms > now_ms - _LATE_TURN_MS


def _fields(event: Event | None) -> dict[bytes, bytes] | None:
    return {name.encode(): body for name, body in encode(event).items()} if event else None


# As messages.


def pack_question(asked: RedactionRequest) -> bytes:
    """Return a question as two messages."""
    places, bodies = _flat(asked.raw)
    head = {"turns": asked.turns, "now_ms": asked.now_ms, "late": asked.late, "dropped": asked.dropped}
    return pack({**head, "entries": places}) + frame(bodies)


def read_question(head: bytes, bodies: bytes) -> RedactionRequest:
    """Read a question from two messages."""
    told = orjson.loads(head)
    raw = [(entry_id, fields or {}) for entry_id, fields in _unflat(told.pop("entries"), bodies)]
    return RedactionRequest(raw, **told)


def pack_plan(plan: RewritePlan) -> bytes:
    """Return a plan as two messages."""
    places, bodies = _flat(plan.changes.items())
    head: dict[str, Any] = {"done": sorted(plan.done), "drifted": sorted(plan.drifted)}
    return pack({**head, "live": plan.live, "busy": plan.busy, "entries": places}) + frame(bodies)


def read_plan(told: dict[str, Any], bodies: bytes) -> RewritePlan:
    """Read a plan from two messages."""
    changes = dict(_unflat(told["entries"], bodies))
    return RewritePlan(set(told["done"]), set(told["drifted"]), changes, told["live"], told["busy"])


def _flat(entries: Iterable[tuple[bytes, dict[bytes, bytes] | None]]) -> tuple[list[Any], bytes]:
    """Return ids, names and lengths apart from the bodies, which must not be parsed on an event loop."""
    places: list[Any] = []
    bodies: list[bytes] = []
    for entry_id, fields in entries:
        names = (
            None if fields is None else [[name.decode("latin-1"), len(body)] for name, body in fields.items()]
        )
        places.append([entry_id.decode(), names])
        bodies += (fields or {}).values()
    return places, b"".join(bodies)


def _unflat(places: list[Any], bodies: bytes) -> Iterator[tuple[bytes, dict[bytes, bytes] | None]]:
    at = 0
    for entry_id, names in places:
        fields: dict[bytes, bytes] = {}
        for name, length in names or ():
            fields[name.encode("latin-1")] = bodies[at : at + length]
            at += length
        yield entry_id.encode(), None if names is None else fields


def serve(
    asked: BinaryIO,
    told: BinaryIO,
    plan: Callable[[RedactionRequest, Callable[[str], None]], RewritePlan] = make_plan,
) -> None:
    """Answer questions until the input ends."""

    def begin(turn: str) -> None:
        told.write(pack({"begun": turn}))
        told.flush()
        signal.setitimer(signal.ITIMER_PROF, TURN_CPU_S)  # ends the process

    while (head := read(asked)) is not None:
        made = plan(read_question(head, read(asked) or b""), begin)
        signal.setitimer(signal.ITIMER_PROF, 0)
        told.write(pack_plan(made))
        told.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
