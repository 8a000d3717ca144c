"""An answer as sentences: whole, each once, the same however it was cut, and gone on with from any place."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from api.answers.cursor import START, Place, read_cursor
from api.answers.sentence_events import SentenceEncoder
from api.turns.live import LiveTurn
from common.events import Entry, Event, TimerFired
from common.net.sse import SSEParser
from common.turn.aloud import REST_MS
from common.turn.outputs import REST
from tests.support.live_turns import Quiet, live_turn_of
from tests.support.turn_events import begin, call, end, say, started

TEXT = "We open at 9 a.m. on weekdays. Dr. Who is in! 你好。再见。 Bye"
SENTENCES = ["We open at 9 a.m. on weekdays.", "Dr. Who is in!", "你好。", "再见。", "Bye"]


def live_turn(*events: Event) -> Quiet:
    return live_turn_of(replace(started(draft=False), reply={"calls_event": "asked"}), *events)


def whole_turn(step: int) -> Quiet:
    pieces = [say("full", at, TEXT[at : at + step]) for at in range(0, len(TEXT), step)]
    calls = [call(0, 0, '{"a": 1}'), call(1, 0, "{}")]
    return live_turn(begin("full"), *pieces, *calls, end("full", "tool_calls", at=len(TEXT)))


def written(live: LiveTurn, after: Place = START, one_by_one: bool = False) -> list[tuple[str, Any]]:
    encoder = SentenceEncoder(live, after)
    batches = [[release] for release in live.outputs] if one_by_one else [live.outputs]
    events = SSEParser().feed(b"".join(map(encoder.encode, batches)))
    return [(event.id, orjson.loads(event.data)) for event in events]


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_sentences_do_not_depend_on_the_pieces(step: int) -> None:
    live = whole_turn(step)
    events = written(live, one_by_one=True)
    assert events == written(live)
    told = [data for _, data in events]
    assert [data["text"] for data in told if "text" in data] == SENTENCES
    assert [c["id"] for c in told[-2]["tool_calls"]] == ["call_0", "call_1"]
    assert told[-1]["finish_reason"] == "tool_calls"
    assert len({place for place, _ in events}) == len(events)


def test_it_is_gone_on_with_from_any_event() -> None:
    live = whole_turn(3)
    events = written(live)
    for at, (place, _) in enumerate(events):
        assert written(live, read_cursor(place, live.turn.turn)) == events[at + 1 :]


def test_a_text_that_rests_is_taken_for_whole() -> None:
    text = say("full", 0, "Let me look.")
    rested = TimerFired(text.turn, REST.number, REST.due, "")
    live = live_turn(begin("full"), text)
    assert SentenceEncoder(live).encode(live.outputs) == b""
    live.apply([Entry(f"{1002 + REST_MS}-0", rested)])
    assert b'"Let me look."' in SentenceEncoder(live).encode(live.outputs)
    going_on = live_turn(begin("full"), replace(text, text="Let me"))
    due = going_on.fold.next_due
    assert due and due.due != REST.due
    going_on.apply([Entry(f"{1002 + REST_MS}-0", rested)])
    assert going_on.outputs == []


def test_in_one_piece() -> None:
    told = SentenceEncoder(whole_turn(5)).whole()
    assert [reply["text"] for reply in told["replies"]] == SENTENCES
    assert (told["event"]["event"], len(told["event"]["tool_calls"])) == ("asked", 2)
