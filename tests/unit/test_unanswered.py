"""What a user said to nobody's answer is one message with what follows."""

from typing import Any

import pytest

from api.turns.history import read_history
from api.turns.unanswered import carried_on, joined
from common.events import Entry, Event, TurnInterrupted
from common.turn.turn_log import TurnLog
from tests.support.turn_events import TURN, begin, say, started

Message = dict[str, Any]


def user(content: Any, **more: Any) -> Message:
    return {"role": "user", "content": content, **more}


def texts(messages: list[Message]) -> list[Any]:
    return [message["content"] for message in messages]


@pytest.mark.parametrize(
    "fragments, kept",
    [
        (["I want to", "I want to book a room"], "I want to book a room"),
        (["I want to.", "i want to book a room"], "i want to book a room"),
        (["I want t", "I want to book a room"], "I want to book a room"),  # cut in mid-word
        (["I want to", "book a room"], "I want to\nbook a room"),
        (["Yes", "Yes"], "Yes"),
        (["Yes.", "yes"], "yes"),
        (["No", "Not today"], "No\nNot today"),  # another word, which takes nothing back
        (["No problem", "No"], "No problem\nNo"),
        (["I don’t", "I don't know"], "I don't know"),
        (["Hello", "I want to", "I want to book", "I want to book a room"], "Hello\nI want to book a room"),
        (["Hello", "I want", "Hello, I want a room"], "Hello, I want a room"),
        (["我想", "我想订一个房间"], "我想订一个房间"),
        (["我想。", "我想订房间"], "我想订房间"),
        (["我想", "订房间"], "我想\n订房间"),
        (["Я хочу", "я хочу заказать"], "я хочу заказать"),
        (["मैं चाहता", "मैं चाहता हूँ"], "मैं चाहता हूँ"),
        (["ขอ", "ขอจองห้อง"], "ขอจองห้อง"),
        (["１２３", "123 456"], "123 456"),
        (["5 €", "5 $"], "5 €\n5 $"),
        (["?", "? What"], "? What"),
        (["?", "!"], "?\n!"),
        (["", "Hello"], "Hello"),
        (["Hello", " "], "Hello"),
        (["a" * 5_000, "a" * 5_000 + " b"], "a" * 5_000 + " b"),
    ],
)
def test_fragments_become_one_message(fragments: list[str], kept: str) -> None:
    talk: list[Message] = []
    for fragment in fragments:
        talk, own = carried_on(talk, [user(fragment)])
        talk += own
    assert texts(talk) == [kept]


def test_only_what_stands_side_by_side_is_joined() -> None:
    answer: Message = {"role": "assistant", "content": "A"}
    tool: Message = {"role": "tool", "tool_call_id": "c", "content": "42"}
    for talk, own in (
        ([], [user("b")]),
        ([user("a"), answer], [user("a b")]),
        ([user("a")], []),
        ([user("a")], [answer, user("a")]),
        ([user("a")], [tool]),
        ([user("a", name="Ann")], [user("a b", name="Bob")]),
        ([user("a")], [user("a b", name="Bob")]),
    ):
        assert carried_on(talk, own) == (talk, own)


def test_a_client_that_tells_the_whole_story_has_it_so() -> None:
    story = [user("Hello"), user("I want"), user("I want a room")]
    before: list[Message] = [user("q"), {"role": "assistant", "content": "A"}]
    for count in (1, 2, 3):
        assert carried_on([*before, *story[:count]], story) == (before, story)
    assert carried_on([user("Hello\nI want")], [user("I want a room")])[1] == [user("Hello\nI want a room")]


def test_parts_are_put_together() -> None:
    text, picture = {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "https://a/b"}}
    a: Message = {"type": "text", "text": "a"}
    assert joined(user("a"), user([text, picture])) == user([a, text, picture])
    assert joined(user([picture]), user("b")) == user([picture, text])
    assert joined(user([picture]), user([picture])) == user([picture])
    assert joined(user([picture]), user([text])) == user([picture, text])


def test_the_others_fields_are_kept() -> None:
    assert joined(user("a", name="Ann"), user("b", name="Ann")) == user("a\nb", name="Ann")


@pytest.mark.parametrize("heard", [-1, 0])
def test_a_dropped_fragment_is_not_remembered_beside_the_whole(heard: int) -> None:
    first = started(draft=False)
    events: list[Event] = [begin("full"), *([say("full", 0, "We open")] if heard == 0 else [])]
    events.append(TurnInterrupted(TURN, "next_turn" if heard else "client", heard))
    log = [Entry(f"{1_000 + number}-0", event) for number, event in enumerate([first, *events])]
    history = read_history(TurnLog(first, log))
    assert history.before([user("Hi, are you open?")], 10) == ([user("Hi, are you open?")], 0)
    system = {"role": "system", "content": "s"}
    assert history.before([system, user("And?")], 10) == ([system, user("Hi\nAnd?")], 0)
    assert history.before([user("And?")], 0) == ([user("And?")], 0)  # nothing is to be remembered


def test_many_lines_cost_little() -> None:
    lines = "\n".join(["a"] * 200_000)
    both = joined(user(lines), user("b " * 200_000))
    assert both is not None and len(both["content"]) == len(lines) + 1 + 400_000
