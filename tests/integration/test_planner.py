"""What is masked is masked in a process of its own; a turn that ends it loses its words, no other does."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from common.events import Delta, Event, TurnEnded, TurnStarted, encode
from common.log.stream import decode_entries
from tests.support.redaction import MASKED, SAID, events_of
from tests.support.waiting import end, in_loop
from workers.redaction.planner import Planner
from workers.redaction.redacted_log import (
    Raw,
    RedactionRequest,
    RewritePlan,
    make_plan,
    pack_plan,
    pack_question,
    read_plan,
    read_question,
)

NOW_MS = 10_000


def log_of(*turns: str, record: str = "redacted") -> Raw:
    """Ended turns, one after the other."""
    events = [event for turn in turns for event in events_of(turn, record)]
    return [
        (f"{1_000 + at}-0".encode(), {name.encode(): body for name, body in encode(event).items()})
        for at, event in enumerate(events)
    ]


def kept(raw: Raw, plan: RewritePlan) -> list[Event]:
    """The log's events once the plan was carried out."""
    changed = [(entry_id, plan.changes.get(entry_id, fields)) for entry_id, fields in raw]
    return [entry.event for entry in decode_entries([(entry_id, f) for entry_id, f in changed if f])]


def said(events: list[Event], turn: str) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta) and event.turn == turn)


def records(events: list[Event], turn: str) -> list[str]:
    return [e.record for e in events if isinstance(e, TurnStarted | TurnEnded) and e.turn == turn]


def apart(planner: Planner) -> int | None:
    """The process's id."""
    process = planner._child._process
    return process.pid if process else None


@in_loop
async def test_a_plan_is_the_same_from_another_process() -> None:
    raw, planner = log_of("a", "b", "c"), Planner()
    try:
        plan = await planner.plan(raw, {"a", "b"}, NOW_MS)
        assert plan == make_plan(RedactionRequest(raw, ["a", "b"], NOW_MS), lambda _: None)
        events = kept(raw, plan)
        assert [said(events, turn) for turn in "abc"] == [MASKED, MASKED, SAID] and plan.done == {"a", "b"}
    finally:
        await planner.close()


def test_late_words_of_other_turns_are_looked_for_unless_one_is_asked_for_alone() -> None:
    raw = log_of("a", "b")
    plan = make_plan(RedactionRequest(raw, ["a"], NOW_MS), lambda _: None)
    late = encode(Delta("a", "full", 1, len(SAID), " Or 555 765 4321.", 0))
    masked: Raw = [(entry_id, plan.changes.get(entry_id, fields) or {}) for entry_id, fields in raw]
    masked.append((b"9000-0", {name.encode(): body for name, body in late.items()}))

    def rewritten(**asked: Any) -> list[str]:
        turns: list[str] = []
        make_plan(RedactionRequest(masked, ["b"], NOW_MS, **asked), turns.append)
        return turns

    assert rewritten() == ["a", "b"]
    assert rewritten(late=False) == ["b"], "another turn may be the one that can't be masked"


@pytest.mark.parametrize("bad", ["never", "crash"])
@in_loop
async def test_a_turn_that_cannot_be_masked_loses_its_words(
    bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw, planner = log_of("a", bad, "z"), Planner("tests.support.slow_redacting")
    try:
        plan = await planner.plan(raw, {"a", bad, "z"}, NOW_MS)
        assert plan.done == {bad}, "the others are looked at again"
        events = kept(raw, plan)
        assert [said(events, turn) for turn in ("a", bad, "z")] == [SAID, "", SAID]
        assert records(events, bad) == ["none", "none"] and "555" not in caplog.text
        assert "dropped a turn" in caplog.text
        after = await planner.plan(raw, {"a", "z"}, NOW_MS)
        assert after.done == {"a", "z"} and said(kept(raw, after), "a") == MASKED
    finally:
        await planner.close()


@in_loop
async def test_a_process_that_was_ended_is_asked_again_before_a_word_is_lost() -> None:
    raw, planner = log_of("once"), Planner("tests.support.slow_redacting")
    was_ended = Path(tempfile.gettempdir()) / f"fast-reply-test-{os.getpid()}-once"
    try:
        plan = await planner.plan(raw, {"once"}, NOW_MS)
        assert was_ended.exists() and said(kept(raw, plan), "once") == MASKED
    finally:
        was_ended.unlink(missing_ok=True)
        await planner.close()


@in_loop
async def test_a_process_that_never_begins_loses_no_words() -> None:
    with pytest.raises(EOFError):
        await Planner("tests.no_such_module").plan(log_of("a"), {"a"}, NOW_MS)


@in_loop
async def test_whoever_is_stopped_leaves_no_process_and_no_half_answer() -> None:
    raw, planner = log_of("a", "never"), Planner("tests.support.slow_redacting")
    await planner.plan(raw, {"a"}, NOW_MS)
    assert apart(planner)
    asking = asyncio.create_task(planner.plan(raw, {"never"}, NOW_MS))
    await asyncio.sleep(0)
    await end(asking)
    assert apart(planner) is None
    assert (await planner.plan(raw, {"a"}, NOW_MS)).done == {"a"}
    await planner.close()


def test_what_goes_over_the_pipe_comes_out_as_it_was() -> None:
    odd: Raw = [(b"1-0", {b"\xff name": b"\x00\xff"}), (b"2-0", {b"a": b"", b"b": b"[]"}), (b"3-0", {})]
    asked = RedactionRequest(odd, ["t"], 5, late=False, dropped=["t"])
    assert read_question(*_messages(pack_question(asked))) == asked
    plan = RewritePlan({"a"}, {"b"}, {b"1-0": None, **dict(odd)}, live=True, busy=True)
    head, bodies = _messages(pack_plan(plan))
    assert read_plan(orjson.loads(head), bodies) == plan


def _messages(packed: bytes) -> tuple[bytes, bytes]:
    first = int.from_bytes(packed[:4], "big") + 4
    second = int.from_bytes(packed[first : first + 4], "big") + first + 4
    assert second == len(packed)
    return packed[4:first], packed[first + 4 :]
