"""What is kept of an ended turn: masked as it was cut, or without words."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import (
    Delta,
    Entry,
    Event,
    Extra,
    Retrieved,
    TimerFired,
    ToolPart,
    TurnEnded,
    TurnInterrupted,
    TurnStarted,
)
from common.records.recording import Collector
from common.records.replay import replay_as_recorded
from common.records.report import report_turn
from common.redaction.masking import mask
from tests.support.turn_events import TURN, begin, call, end, extra, fold_all, heard, log_of, say, started
from workers.redaction.redacted_turn import rewrite_turn

NUMBER = "Write down 555-123-4567, please. Goodbye."
MASKED = "Write down xxx-xxx-xxxx, please. Goodbye."


def entries_of(first: TurnStarted, events: list[Event], *, fold: bool = True) -> list[Entry]:
    """The log of a turn that has ended as its fold says."""
    folded, _ = fold_all(first, events)
    reason = folded.ending.reason if folded.ending else "stop"
    ended = TurnEnded(TURN, reason, folded.released, {"sum": {}}, folded.hash(), False, None)
    return [Entry(f"{1000 + n}-0", event) for n, event in enumerate([first, *events, ended])]


def rewrite(entries: list[Entry], now_ms: int = 2_000) -> list[Entry]:
    """The log as it is kept; a second time nothing is changed."""
    changes = rewrite_turn(log_of(entries), now_ms).changes
    kept = [Entry(e.id, event) for e in entries if (event := changes.get(e.id, e.event)) is not None]
    assert rewrite_turn(log_of(kept), now_ms).changes == {}
    return kept


def texts(entries: list[Entry], lane: str = "full") -> list[str]:
    return [e.event.text for e in entries if isinstance(e.event, Delta) and e.event.lane == lane]


def asked(record: str, **fields: Any) -> TurnStarted:
    return replace(started(draft=False), record=record, **fields)


def deltas(text: str, cuts: list[int], lane: str = "full") -> list[Event]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [say(lane, a, text[a:b]) for a, b in pairwise(places)]


@given(st.text(st.sampled_from("0123456789 -.@ab,"), min_size=1, max_size=40), st.lists(st.integers(0, 99)))
def test_however_a_text_was_cut_it_is_masked_as_the_whole(said: str, cuts: list[int]) -> None:
    pieces = deltas(said, cuts)
    kept = rewrite(entries_of(asked("redacted"), [begin("full"), *pieces, end("full", at=len(said))]))
    assert "".join(texts(kept)) == mask(said)
    assert [len(text) for text in texts(kept)] == [len(p.text) for p in pieces if isinstance(p, Delta)]


def test_a_number_that_goes_over_attempts_and_repeats_is_masked() -> None:
    events: list[Event] = [
        begin("full"),
        say("full", 0, "It is 555-12"),
        begin("full", 2),
        say("full", 6, "555-123-45", attempt=2),  # it begins with what is there
        say("full", 12, "zombie 5551234"),  # void: it never counts
        say("full", 16, "67.", attempt=2),
        say("full", 40, "far 555", attempt=2),  # with a gap
        end("full", attempt=2, at=19),
    ]
    kept = rewrite(entries_of(asked("redacted"), events))
    _, out = fold_all(asked("redacted"), [entry.event for entry in kept[1:]])
    assert heard(out) == "It is xxx-xxx-xxxx."
    assert [len(text) for text in texts(kept)] == [12, 10, 14, 3, 7]
    assert "555" not in str(kept) and "zombie" not in str(kept)


@pytest.mark.parametrize("join", ["append", "continue"])
def test_a_number_that_goes_over_the_hand_over_is_masked(join: str) -> None:
    first = replace(started(handoff={"when": "first_token", "cut": "now", "join": join}), record="redacted")
    told = [TimerFired(TURN, 3, "told", "")] if join == "continue" else []
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Sure, it is 555-1"),
        *told,
        say("full", 0, "23-4567. Anything else?"),
        end("full", at=23),
    ]
    entries = [
        replace(entry, id=f"{5000 + number}-0" if number > 2 else entry.id)
        for number, entry in enumerate(entries_of(first, events))
    ]
    kept = rewrite(entries)
    assert texts(kept, "draft") == ["Sure, it is xxx-x"]
    assert texts(kept) == ["xx-xxxx. Anything else?"]


def test_what_comes_beside_the_text_is_masked_too() -> None:
    events: list[Event] = [
        begin("full"),
        *(
            extra(n, {"index": 0, "delta": {"reasoning_content": part}, "logprobs": {"content": [part]}})
            for n, part in enumerate(["their number: 555-", "12", "34"])
        ),
        extra(7, {"index": 0, "delta": {"reasoning_content": "a zombie's secret"}}),
        call(0, 0, '{"phone": 55512'),
        call(0, 15, '34, "mail": "a@b.com"}'),
        Retrieved(
            TURN, "c", [{"id": "1234567-1", "title": "T", "text": "Ring 5551234", "score": 1.5}], None, 0
        ),
        TimerFired(TURN, 10, "filler", "Or ring 5551234"),
        end("full", reason="tool_calls"),
    ]
    kept: list[Event] = [entry.event for entry in rewrite(entries_of(asked("redacted"), events))]
    assert [e.choice["delta"] for e in kept if isinstance(e, Extra)] == [
        {"reasoning_content": "their number: xxx-"},
        {"reasoning_content": "xx"},
        {"reasoning_content": "xx"},
        {},
    ]
    assert "logprobs" not in str(kept)
    assert (
        "".join(e.arguments for e in kept if isinstance(e, ToolPart))
        == '{"phone": 1111111, "mail": "x@x.xxx"}'
    )
    (retrieved,) = [e for e in kept if isinstance(e, Retrieved)]
    assert retrieved.passages == [{"id": "xxxxxxx-x", "title": "T", "text": "Ring xxxxxxx", "score": 1.5}]
    assert [e.phrase for e in kept if isinstance(e, TimerFired)] == ["Or ring xxxxxxx"]


def test_the_request_is_masked_and_stays_a_request() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "c2VjcmV0", "format": "wav"}}
    said = {"role": "user", "content": [{"type": "text", "text": "I am a@b.com"}, sound]}
    function = {"name": "f", "arguments": '{"to": 15551234567}'}
    calls = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1234567", "function": function}],
    }
    answer = {"role": "tool", "tool_call_id": "call_1234567", "content": "card 4111 1111 1111 1111"}
    request = {
        "messages": [said, calls, answer],
        "user": "+15551234567",
        "metadata": {"n": 15551234567},
        "n": 1,
    }
    first = asked("redacted", request=request, caller={"phone": "+15551234567", "userId": "7"})
    kept = rewrite(entries_of(first, [begin("full"), end("full")]))[0].event
    assert isinstance(kept, TurnStarted)
    assert kept.caller == {"phone": "+xxxxxxxxxxx", "userId": "7"}
    messages = kept.request["messages"]
    assert messages[0]["content"] == [
        {"type": "text", "text": "I am x@x.xxx"},
        {"type": "text", "text": "(input_audio: not kept)"},
    ]
    assert messages[1]["tool_calls"][0]["id"] == "call_1234567" == messages[2]["tool_call_id"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == '{"to": 11111111111}'
    assert messages[2]["content"] == "card xxxx xxxx xxxx xxxx"
    assert (kept.request["user"], kept.request["metadata"], kept.request["n"]) == (
        "+xxxxxxxxxxx",
        {"n": "xxxxxxxxxxx"},
        1,
    )


def kept_request(request: dict[str, Any], **fields: Any) -> dict[str, Any]:
    first = asked("redacted", request=request, **fields)
    kept = rewrite(entries_of(first, [begin("full"), end("full")]))[0].event
    assert isinstance(kept, TurnStarted)
    return kept.request


@pytest.mark.parametrize("key", ["id", "type", "role", "document", "name", "tool_call_id"])
@pytest.mark.parametrize("value", ["4111 1111 1111 1111", "+15551234567", "jane@example.com", "5551234567"])
def test_no_key_lets_a_value_through(key: str, value: str) -> None:
    kept = kept_request({"messages": [{"role": "user", "content": "Hi"}], "metadata": {"of": [{key: value}]}})
    (found,) = kept["metadata"]["of"][0].values()
    assert found == mask(value) and found != value


def test_keys_are_masked_and_stay_apart() -> None:
    metadata = {"+15551234567": 1, "+15557654321": 2, "jane@example.com": {"john@example.com": 3}, "plain": 4}
    kept = kept_request({"messages": [], "metadata": metadata})["metadata"]
    assert list(kept) == ["+xxxxxxxxxxx", "+xxxxxxxxxxa", "xxxx@xxxxxxx.xxx", "plain"]
    assert list(kept.values()) == [1, 2, {"xxxx@xxxxxxx.xxx": 3}, 4]


def test_short_numbers_are_masked_under_a_key_that_makes_them_personal() -> None:
    metadata = {
        "cvv": 123,
        "pin_code": "4829",
        "cardCvc": "917",
        "code": 739201,
        "room": 1204,
        "count": "4829",
    }
    assert kept_request({"messages": [], "metadata": metadata})["metadata"] == {
        "cvv": "xxx",
        "pin_code": "xxxx",
        "cardCvc": "xxx",
        "code": "xxxxxx",
        "room": 1204,
        "count": "4829",
    }


def test_calls_that_a_machine_named_are_still_answered() -> None:
    """Gemini's ids are numbers of twenty digits, vLLM's hexadecimal: an answer comes under them later."""
    for name in ("function-call-14471514888463418365", "chatcmpl-tool-4f2b1234567890a1", "call_1234567"):
        calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        messages = [
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": name, "content": "done"},
        ]
        assert kept_request({"messages": messages})["messages"] == messages


def test_ids_that_are_personal_differ_masked_and_meet_their_answers() -> None:
    def called(name: str) -> dict[str, Any]:
        return {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}

    names = ["+15551234567", "+15557654321"]
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [called(name) for name in names]},
        *({"role": "tool", "tool_call_id": name, "content": "done"} for name in reversed(names)),
    ]
    kept = kept_request({"messages": messages})["messages"]
    one, other = (call["id"] for call in kept[0]["tool_calls"])
    assert one != other and "555" not in one + other
    assert [answer["tool_call_id"] for answer in kept[1:]] == [other, one]


@pytest.mark.parametrize(
    ("talk", "kept"),
    [
        ([("user", "It is 555 123"), ("user", "45 67")], ["It is xxx xxx", "xx xx"]),
        (
            [("user", "555 123"), ("assistant", "Go on."), ("user", "45 67 and that's it")],
            ["xxx xxx", "Go on.", "xx xx and that's it"],
        ),
        ([("user", "john dot smith"), ("user", "at gmail dot com")], ["xxxx xxx xxxxx", "xx xxxxx xxx xxx"]),
        ([("assistant", "What is the CVV?"), ("user", "123")], ["What is the CVV?", "xxx"]),
        ([("assistant", "Назовите код из смс."), ("user", "четыре восемь два девять")], None),
        ([("user", "Room 1204"), ("assistant", "1204, noted.")], ["Room 1204", "1204, noted."]),
    ],
)
def test_a_value_that_goes_over_messages_is_masked(
    talk: list[tuple[str, str]], kept: list[str] | None
) -> None:
    messages = [{"role": role, "content": said} for role, said in talk]
    found = [message["content"] for message in kept_request({"messages": messages})["messages"]]
    assert found == (kept or ["Назовите код из смс.", "xxxxxx xxxxxx xxx xxxxxx"])


def test_what_was_asked_for_makes_the_answer_personal() -> None:
    first = asked("redacted", request={"messages": [{"role": "user", "content": "What was my PIN?"}]})
    kept = rewrite(entries_of(first, [begin("full"), *deltas("It's 48 29.", [6]), end("full", at=11)]))
    assert "".join(texts(kept)) == "It's xx xx."


def recorded(entries: list[Entry]) -> Any:
    collector = Collector()
    (turn,) = [turn for entry in entries for turn in collector.feed(entry)] or collector.rest()
    return turn


def test_a_masked_turn_is_reported_without_drift() -> None:
    events: list[Event] = [begin("full"), say("full", 0, NUMBER), end("full", at=len(NUMBER))]
    clear = entries_of(asked("redacted"), events)
    turn = recorded(rewrite(clear))
    report = report_turn(turn)
    assert (report["text"], report["record"], report["drift"]) == (MASKED, "redacted", False)
    assert turn.ended.released == len(NUMBER) and report_turn(recorded(clear))["record"] == "full"
    ending = clear[-1].event
    assert isinstance(ending, TurnEnded)
    drifted = [*clear[:-1], Entry(clear[-1].id, replace(ending, hash="0"))]
    assert report_turn(recorded(rewrite(drifted)))["drift"] is True


def test_an_answer_that_was_sound_alone_is_still_one_once_it_is_masked() -> None:
    sound = {"delta": {"audio": {"id": "a", "data": "AAA=", "transcript": "Call 555 123 4567"}}}
    clear = entries_of(asked("redacted"), [begin("full"), extra(0, sound), end("full")])
    masked = rewrite(clear)
    assert report_turn(recorded(masked))["drift"] is False
    assert "555" not in repr(masked) and "AAA=" not in repr(masked)


def test_what_a_guard_held_for_its_number_is_not_heard_once_it_is_masked() -> None:
    first = replace(started(release="sentence", draft={"guard": True}), record="redacted")
    said = "One moment. Let me check 555 123 4567. "
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, said),
        end("draft", at=len(said)),
        say("full", 0, "Nothing."),
        end("full", at=8),
    ]
    clear = entries_of(first, events)
    _, out = fold_all(first, events)
    assert heard(out).startswith("One moment.") and "555" not in heard(out), "the guard holds it"
    rewritten = rewrite_turn(log_of(clear), 2_000)
    kept = [rewritten.changes.get(e.id, e.event) for e in clear[1:]]
    assert heard(fold_all(first, [e for e in kept if e])[1]) == heard(out) and not rewritten.drifted


# Without words.


def test_of_a_dropped_turn_no_word_is_left() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        TimerFired(TURN, 10, "filler", "secret one"),
        say("draft", 0, "A secret two. "),
        Retrieved(TURN, "c", [{"text": "secret three"}], None, 0),
        say("full", 0, "The secret four."),
        call(0, 0, "secret five"),
        extra(0, {"delta": {"reasoning_content": "secret six"}}),
        end("full", at=16, usage={"total_tokens": 9}),
    ]
    first = replace(
        started(),
        record="none",
        request={"messages": [{"role": "user", "content": "secret seven"}]},
        caller={"phone": "secret eight"},
        lanes={"draft": {"model": "d", "prompt": "secret"}, "full": {"model": "f", "prompt": "secret"}},
    )
    kept = rewrite([*entries_of(first, events), Entry("1900-0", TurnInterrupted(TURN, "client", 5))])
    assert "secret" not in str(kept)
    assert [type(e.event).__name__ for e in kept] == [
        "TurnStarted",
        "LaneStarted",
        "LaneStarted",
        "TimerFired",
        "LaneFinished",
        "TurnEnded",
        "TurnInterrupted",
    ]
    report = report_turn(recorded(kept))
    assert (report["text"], report["drift"], report["record"]) == (None, None, "none")
    assert (report["reason"], report["lanes"]["full"]["usage"]) == ("tool_calls", {"total_tokens": 9})
    assert report["lanes"]["full"]["model"] == "f"
    again = replay_as_recorded(recorded(kept))
    assert not again.drifted and again.unknown == "what was said is not kept"


def test_a_dropped_turn_asks_for_nothing_more() -> None:
    first = replace(started(), record="none")
    kept = rewrite(entries_of(first, [begin("draft"), begin("full"), TurnInterrupted(TURN, "client", -1)]))
    fold, _ = fold_all(first, [e.event for e in kept[1:]])
    assert fold.ending
    kept = rewrite(entries_of(first, [begin("draft"), say("draft", 0, "Hi. "), begin("full"), end("full")]))
    fold, _ = fold_all(first, [e.event for e in kept[1:]])
    assert fold.ending and not fold.wants("draft") and not fold.unstarted() and not fold.unwanted()[1:]


# How long it is looked at.


def test_a_turn_is_looked_at_until_each_attempt_is_over_or_its_time_is() -> None:
    going = entries_of(
        asked("redacted", policy={"deadline_ms": 10_000}),
        [begin("full"), begin("full", 2), end("full", attempt=2)],
    )
    assert not rewrite_turn(log_of(going), 2_000).whole
    assert rewrite_turn(log_of(going), 1_000 + 10_000 + 60_001).whole
    over = entries_of(asked("redacted"), [begin("full"), end("full")])
    assert rewrite_turn(log_of(over), 2_000).whole


def test_a_shadow_that_has_not_begun_yet_is_waited_for() -> None:
    lanes = {"full": {"model": "full", "prompt": ""}, "draft": {"model": "draft", "prompt": ""}}
    first = asked("redacted", policy={"handoff": {"shadow": True}}, lanes=lanes)
    said: list[Event] = [begin("full"), end("full")]
    assert not rewrite_turn(log_of(entries_of(first, said)), 2_000).whole
    assert rewrite_turn(log_of(entries_of(first, [*said, begin("draft"), end("draft")])), 2_000).whole


def test_late_words_are_masked_with_what_was_there() -> None:
    first = asked("redacted")
    said = entries_of(
        first, [begin("full"), say("full", 0, "It is 555-12"), TurnInterrupted(TURN, "client", -1)]
    )
    kept = rewrite(said)
    late = [*kept, Entry("3000-0", say("full", 12, "34567")), Entry("3001-0", end("full", at=17))]
    assert texts(rewrite(late)) == ["It is xxx-xx", "xxxxx"]
