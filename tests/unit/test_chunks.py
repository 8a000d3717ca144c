"""A turn's releases as chunks, and as one completion."""

from dataclasses import replace
from typing import Any, cast

import orjson
import pytest

from api.answers.chunks import ChunkEncoder
from api.answers.completion import turn_object, whole_answer
from api.answers.cursor import START, Place, read_cursor
from api.turns.live import LiveTurn
from common.events import Entry, Event, TurnInterrupted
from common.names import SessionRef, TurnRef
from common.net.sse import SSEParser
from common.store.redis import Stores
from tests.support.live_turns import Quiet, live_turn
from tests.support.turn_events import TURN, begin, call, end, extra, say, started

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def written(live: LiveTurn, after: Place = START) -> list[tuple[str, Any]]:
    """The (id, data) of each chunk."""
    events = SSEParser().feed(ChunkEncoder(live, after).encode(live.outputs))
    return [(e.id, e.data if e.data == b"[DONE]" else orjson.loads(e.data)) for e in events]


def test_chunks_are_plain_and_in_their_places() -> None:
    live = live_turn(
        begin("full"), say("full", 0, "Hé\n"), say("full", 3, "你"), end("full", usage=USAGE), draft=False
    )
    chunks = written(live)
    turn = live.turn.turn
    assert [place for place, _ in chunks] == [f"{turn}-3-0", f"{turn}-4-0", f"{turn}-4-1", f"{turn}-4-2"]
    first, second, last, done = (data for _, data in chunks)
    assert first == {
        "id": f"chatcmpl-{turn}",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fast-reply",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "Hé\n"},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert second["choices"][0]["delta"] == {"content": "你"}
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert done == b"[DONE]"


def test_usage_comes_last_and_is_null_before() -> None:
    chunks = written(live_turn(begin("full"), say("full", 0, "Hi"), end("full", usage=USAGE), usage=True))
    assert [data["usage"] for _, data in chunks[:-1]] == [None, None, USAGE]
    assert chunks[-2][1]["choices"] == []


def test_lanes_are_told_when_asked() -> None:
    live = live_turn(
        begin("draft"),
        say("draft", 0, "Well."),
        begin("full"),
        say("full", 0, "Yes."),
        end("full"),
        lanes=True,
    )
    marks = [data["fast_reply"] for _, data in written(live)[:-1]]
    assert marks == [
        {"lane": "draft", "ms": 2},
        {"lane": "full", "ms": 5},
        {"ended": "stop", "ms": 5, "degraded": False},
    ]


def test_an_error_is_told_once_before_the_ending() -> None:
    error = {"message": "broke", "type": "upstream_error", "param": None, "code": "upstream_cut"}
    chunks = written(
        live_turn(begin("full"), say("full", 0, "Hi"), end("full", "error", error=error), draft=False)
    )
    assert [data for _, data in chunks if data != b"[DONE]" and "error" in data] == [{"error": error}]
    assert len({place for place, _ in chunks}) == len(chunks)


def test_tool_calls_are_chunks_of_their_own() -> None:
    live = live_turn(
        begin("full"), call(0, 0, '{"a":1}'), call(1, 0, "{}"), end("full", "tool_calls"), draft=False
    )
    deltas = [data["choices"][0]["delta"] for _, data in written(live)[:-1]]
    assert [d["tool_calls"][0]["function"]["arguments"] for d in deltas[:2]] == ['{"a":1}', "{}"]
    answer = whole_answer(live)["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    assert [c["id"] for c in answer["message"]["tool_calls"]] == ["call_0", "call_1"]


def test_a_whole_answer_has_all_that_was_released() -> None:
    live = live_turn(
        begin("full"),
        extra(0, {"delta": {"reasoning_content": "Hm"}}),
        extra(1, {"delta": {"reasoning_content": "m."}, "logprobs": {"content": [1]}}),
        extra(2, {"delta": {}, "logprobs": {"content": [2]}}),
        say("full", 0, "Hi"),
        extra(3, {"index": 1, "delta": {"role": "assistant", "content": "Ho"}}),
        extra(4, {"index": 1, "delta": {"content": "ho"}, "finish_reason": "stop"}),
        end("full", usage=USAGE),
        draft=False,
    )
    answer = whole_answer(live)
    first, second = answer["choices"]
    assert first["message"] == {"role": "assistant", "content": "Hi", "reasoning_content": "Hmm."}
    assert first["logprobs"] == {"content": [1, 2]}
    assert second == {
        "index": 1,
        "message": {"role": "assistant", "content": "Hoho"},
        "finish_reason": "stop",
    }
    assert answer["usage"] == USAGE


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_places_do_not_depend_on_how_the_reader_is_fed(size: int) -> None:
    live = live_turn(begin("full"), say("full", 0, "Hi"), say("full", 2, " there"), end("full"), draft=False)
    encoder = ChunkEncoder(live)
    parts = [live.outputs[at : at + size] for at in range(0, len(live.outputs), size)]
    assert b"".join(map(encoder.encode, parts)) == ChunkEncoder(live).encode(live.outputs)


ERROR = {"message": "broke", "type": "upstream_error", "param": None, "code": "upstream_cut"}
ANSWERS: list[list[Event]] = [
    [begin("full"), say("full", 0, "Hé"), say("full", 2, "你好, you."), end("full", usage=USAGE)],
    [begin("full"), extra(0, {"delta": {"reasoning_content": "Hm"}}), say("full", 0, "Hi"), end("full")],
    [
        begin("full"),
        say("full", 0, "I'll look."),
        call(0, 0, "{}"),
        call(1, 0, "{}"),
        end("full", "tool_calls"),
    ],
    [begin("full"), say("full", 0, "Hi"), end("full", "error", error=ERROR)],
    [begin("full"), end("full")],
]


@pytest.mark.parametrize("reply", [{}, {"usage": True}, {"lanes": True}, {"usage": True, "lanes": True}])
@pytest.mark.parametrize("events", ANSWERS)
def test_after_any_chunk_the_rest_is_written_as_it_was(events: list[Event], reply: dict[str, bool]) -> None:
    live = live_turn(*events, draft=False, **reply)
    chunks = written(live)
    for number, (cursor, _) in enumerate(chunks, start=1):
        place = read_cursor(cursor, live.turn.turn)
        assert written(live, place) == chunks[number:]
    assert written(live, ChunkEncoder(live).place) == chunks


def test_a_text_that_goes_over_the_place_is_cut_there() -> None:
    """The client was told by another replica, whose chunks were cut elsewhere."""
    live = live_turn(begin("full"), say("full", 0, "你好, you."), end("full"), draft=False)
    whole = "你好, you."
    for chars in range(1, len(whole)):
        (cursor, first), *rest = written(live, Place(chars))
        assert first["choices"][0]["delta"] == {"content": whole[chars:]}
        assert (cursor, len(rest)) == (Place(len(whole)).cursor(live.turn.turn), 2)


def test_usage_is_what_was_known_at_the_ending() -> None:
    """What a lane says later, such as a draft in the shadow, changes no answer that was given."""
    policy: dict[str, Any] = {"handoff": {"shadow": True}}
    events: list[Event] = [begin("full"), say("full", 0, "Hi"), end("full", usage=USAGE)]
    first = replace(started(**policy), reply={"usage": True})
    live = Quiet(cast(Stores, None), TurnRef(SessionRef("default", "s"), first.turn), first, 2000)
    live.begin(Entry("1000-0", first), *(Entry(f"{1001 + n}-0", event) for n, event in enumerate(events)))
    before = written(live)
    live.apply([Entry("2000-0", begin("draft")), Entry("2001-0", end("draft", usage=USAGE))])
    assert live.fold.usage()["sum"] != live.usage == USAGE
    assert written(live) == before


def test_a_turn_is_told_while_it_goes_on_and_when_it_has_ended() -> None:
    live = live_turn(begin("full"), say("full", 0, "Hi"), draft=False)
    told = turn_object(live)
    assert (told["id"], told["object"], told["session"]) == (live.turn.turn, "turn", "s")
    assert (told["status"], told["text"]) == ("live", "Hi")
    live.apply([Entry("2000-0", end("full"))])
    told = turn_object(live)
    assert (told["status"], told["reason"], told["error"]) == ("ended", "stop", None)
    assert told["answer"] == whole_answer(live)


def test_a_turn_whose_log_is_gone_ends_with_an_error() -> None:
    live = live_turn(begin("full"), say("full", 0, "Hi"), draft=False)
    live.on_log_deleted()
    live.on_log_deleted()
    _, (_, told), (_, last), (_, done) = written(live)
    assert told["error"]["code"] == "session_deleted"
    assert (last["choices"][0]["finish_reason"], done) == ("error", b"[DONE]")
    assert last["fast_reply"]["ended"] == "error"


@pytest.mark.parametrize(
    "stop, reason",
    [(started(turn="bbbbbbbbbbbb"), "superseded"), (TurnInterrupted(TURN, "client", -1), "interrupted")],
)
def test_an_answer_that_was_cut_does_not_look_whole(stop: Event, reason: str) -> None:
    live = live_turn(begin("full"), say("full", 0, "Hi the"), stop, draft=False)
    _, (_, last), (_, done) = written(live)
    assert (last["choices"][0]["finish_reason"], done) == ("length", b"[DONE]")
    assert last["fast_reply"] == {"ended": reason, "ms": last["fast_reply"]["ms"], "degraded": False}
    whole = whole_answer(live)
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["fast_reply"] == last["fast_reply"]
