"""What a session remembers of a turn: what was asked, and what of the answer the caller heard."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.turns.history import History, Message, read_history
from common.events import Delta, Entry, Event, LaneFinished, TurnEnded, TurnInterrupted, TurnStarted
from common.turn.outputs import FILLER, TextReleased
from common.turn.turn_log import TurnLog
from tests.support.turn_events import TURN, begin, call, end, extra, fire, fold_all, heard, say, started

DRAFT = "Let me see."
FULL = "We open at nine. Every day."
FILLED: dict[str, Any] = {"filler": {"phrases": {"*": ["One moment."]}, "delay_ms": 0}}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def spoken(text: str) -> Message:
    return {"role": "assistant", "content": text}


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def answer(*calls: str) -> list[Message]:
    return [{"role": "tool", "tool_call_id": name, "content": "42"} for name in calls]


def entries(first: TurnStarted, *events: Event) -> list[Entry]:
    return [Entry(f"{1_000 + number}-0", event) for number, event in enumerate([first, *events])]


def history_of(first: TurnStarted, *events: Event) -> History:
    return read_history(TurnLog(first, entries(first, *events)))


def stopped(heard_chars: int = -1, by: str = "client", turn: str = TURN) -> TurnInterrupted:
    return TurnInterrupted(turn, by, heard_chars)


def handed_over() -> list[Event]:
    """A draft, then the full's answer."""
    return [
        begin("draft"),
        say("draft", 0, DRAFT),
        end("draft", at=len(DRAFT)),
        begin("full"),
        say("full", 0, FULL),
        end("full", at=len(FULL)),
    ]


# What was said.


def said(*events: Event, first: TurnStarted | None = None) -> str:
    return history_of(first or started(), *events).said


def test_both_lanes_are_remembered_as_they_were_heard() -> None:
    assert said(*handed_over()) == f"{DRAFT} {FULL}"


def test_of_a_turn_that_goes_on_what_was_released_counts() -> None:
    held = started(release="sentence")
    assert said(begin("draft"), say("draft", 0, "Let me see. And th"), first=held) == "Let me see."


def test_nothing_said_leaves_nothing() -> None:
    history = history_of(started(), begin("draft"), stopped())
    assert history.before([user("And?")], 10) == ([user("Hi\nAnd?")], 0)


@pytest.mark.parametrize("chars, text", [(0, ""), (5, "Let m"), (12, DRAFT), (14, f"{DRAFT} We"), (99, None)])
def test_an_answer_is_trimmed_to_what_was_heard(chars: int, text: str | None) -> None:
    assert said(*handed_over(), stopped(chars)) == (f"{DRAFT} {FULL}" if text is None else text)


def test_the_last_word_on_what_was_heard_counts_though_the_turn_is_over() -> None:
    ended = TurnEnded(TURN, "stop", 39, {}, "", False, None)
    other = stopped(1, turn="bbbbbbbbbbbb")
    assert said(*handed_over(), ended, stopped(30), stopped(5), stopped(-1), other) == "Let m"


def test_who_is_interrupted_by_the_next_turn_was_heard_until_then() -> None:
    events: list[Event] = [
        begin("full"),
        say("full", 0, "We open at n"),
        stopped(by="next_turn"),
        say("full", 12, "ine."),
    ]
    assert said(*events, first=started(draft=False)) == "We open at n"


def test_a_failed_answer_was_heard_all_the_same() -> None:
    events: list[Event] = [
        begin("full"),
        say("full", 0, "We open"),
        end("full", "error", error={"code": "x"}, at=7),
    ]
    assert said(*events, first=started(draft=False)) == "We open"


def test_a_degraded_answer_is_the_drafts() -> None:
    first = started(draft={"style": "answer"})
    events: list[Event] = [begin("draft"), say("draft", 0, "At nine."), end("draft", at=8), begin("full")]
    assert said(*events, end("full", "error", error={"code": "x"}), first=first) == "At nine."


def test_fillers_are_heard_but_not_remembered() -> None:
    first = started(draft=False, **FILLED)
    filler = fire(replace(FILLER, at_ms=0), "One moment.")
    events: list[Event] = [begin("full"), filler, say("full", 0, FULL), end("full", at=len(FULL))]
    _, releases = fold_all(first, events)
    whole = heard(releases)
    assert whole == f"One moment. {FULL}"
    assert said(*events, first=first) == FULL
    for chars in range(len(whole) + 1):  # what was heard is counted with them
        expected = whole[:chars].removeprefix("One moment."[:chars]).strip()
        assert said(*events, stopped(chars), first=first) == expected


PIECES = st.text("ab. é好\n", min_size=1, max_size=6)


@given(st.lists(PIECES, max_size=4), st.lists(PIECES, max_size=6), st.booleans(), st.data())
def test_what_is_remembered_is_what_was_released_and_heard(
    draft: list[str], full: list[str], fills: bool, data: st.DataObject
) -> None:
    first, lanes = started(**FILLED if fills else {}), {"draft": draft, "full": full}
    pieces: list[Delta | LaneFinished] = []
    for lane, texts in lanes.items():
        at = 0
        for text in texts:
            pieces.append(say(lane, at, text))
            at += len(text)
        pieces.append(end(lane, at=at))
    order = data.draw(st.permutations([event.lane for event in pieces]))
    waiting = {lane: [e for e in pieces if e.lane == lane] for lane in lanes}
    events: list[Event] = [begin("draft"), begin("full"), *(waiting[lane].pop(0) for lane in order)]
    if fills:
        events.insert(data.draw(st.integers(0, len(events))), fire(replace(FILLER, at_ms=0), "One moment."))
    chars = data.draw(st.integers(-1, 60))
    _, releases = fold_all(first, events)
    left, words = chars if chars >= 0 else 10_000, ""
    for release in releases:
        if isinstance(release, TextReleased):
            words += release.text[:left] if release.lane != "filler" else ""
            left = max(0, left - len(release.text))
    assert said(*events, stopped(chars), first=first) == words.strip()


@pytest.mark.parametrize(("chars", "kept"), [(262_000, True), (263_000, False)])
def test_thoughts_without_end_are_not_remembered(chars: int, kept: bool) -> None:
    thoughts = [
        extra(number, {"delta": {"reasoning_content": "x" * 1_000}}) for number in range(chars // 1_000)
    ]
    lane: list[Event] = [begin("full"), *thoughts, call(0, 0, "{}"), end("full", "tool_calls")]
    beside = history_of(started(draft=False), *lane).beside
    assert beside == ({"reasoning_content": "x" * chars} if kept else {})


def test_thoughts_without_calls_are_not_remembered() -> None:
    thought = extra(0, {"delta": {"reasoning_content": "Hm."}})
    lane: list[Event] = [begin("full"), thought, say("full", 0, FULL), end("full", at=len(FULL))]
    messages, _ = history_of(started(draft=False), *lane).before([user("And?")], 10)
    assert messages[1] == spoken(FULL)


# What goes into the next request.

TALK = [m for n in range(6) for m in (user(f"q{n}"), spoken(f"a{n}"))]


def after(past: list[Message], own: list[Message], most: int = 10, **last: Any) -> list[Message]:
    messages, remembered = History(past, **last).before(own, most)
    assert len(messages) == remembered + len(own)
    return messages


def test_the_session_comes_first() -> None:
    assert after([user("a")], [user("b")], said="A") == [user("a"), spoken("A"), user("b")]


@pytest.mark.parametrize("most, begins", [(0, 12), (1, 12), (2, 10), (3, 10), (4, 8), (10, 2), (99, 0)])
def test_the_oldest_are_cut_and_a_user_begins(most: int, begins: int) -> None:
    for head in ([], [system("s")]):
        assert after([*head, *TALK], [user("q")], most) == [*head, *TALK[begins:], user("q")]


def test_a_system_message_takes_the_remembered_ones_place() -> None:
    past, own = [system("old"), user("a")], [system("new"), user("b")]
    assert after(past, own, said="A") == [system("new"), user("a"), spoken("A"), user("b")]
    developer = {"role": "developer", "content": "new"}
    assert after(past, [developer, user("b")], said="A") == [developer, user("a"), spoken("A"), user("b")]
    late = [user("a"), spoken("A"), user("b"), system("late")]
    assert after(past, [user("b"), system("late")], said="A") == late
    assert after(past, [system("only")]) == [system("only"), user("a")]


def called(*names: str) -> tuple[Message, ...]:
    return tuple({"id": n, "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in names)


def test_calls_are_remembered_where_all_of_them_are_answered() -> None:
    calls = called("c1", "c2")
    with_calls = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    for own in (answer("c1", "c2"), answer("c2", "c1"), [system("s"), *answer("c1", "c2"), user("so?")]):
        lead = [m for m in own if m["role"] == "system"]
        rest = own[len(lead) :]
        assert after([user("a")], own, calls=calls) == [*lead, user("a"), with_calls, *rest]
    spoke = {**with_calls, "content": "One second."}
    assert after([user("a")], answer("c1", "c2"), calls=calls, said="One second.")[1] == spoke


def test_calls_that_nothing_answers_are_left_out() -> None:
    calls, own = called("c1", "c2"), [user("never mind")]
    assert after([user("a")], own, calls=calls) == [user("a\nnever mind")]
    assert after([user("a")], own, calls=calls, said="Hm.") == [user("a"), spoken("Hm."), *own]
    for own in (answer("c1"), [user("b"), *answer("c1")]):
        kept = after([user("a")], own, calls=calls, said="Hm.")
        assert [call["id"] for call in kept[1]["tool_calls"]] == ["c1"] and kept[2:] == own


def test_an_exchange_that_tools_work_on_is_never_cut() -> None:
    chain = [m for n in range(8) for m in ({"role": "assistant", "tool_calls": [n]}, *answer(f"c{n}"))]
    messages = after([*TALK, user("go"), *chain], answer("c9"), calls=called("c9"))
    assert messages[0] == user("go") and messages[-1] == answer("c9")[0]
    assert after([user("a")], answer("c9"), 0, calls=called("c9"))[0] == user("a")


def test_released_calls_are_read_from_the_log() -> None:
    events: list[Event] = [
        begin("full"),
        call(0, 0, '{"a"', name="f"),
        call(0, 4, ":1}", name="f"),
        end("full", "tool_calls"),
    ]
    history = history_of(started(draft=False), *events)
    function = {"name": "f", "arguments": '{"a":1}'}
    assert history.calls == ({"id": "call_0", "type": "function", "function": function},)
    half: list[Event] = [begin("full"), call(0, 0, '{"a"', name="f"), stopped()]
    assert history_of(started(draft=False), *half).calls == ()


def test_what_is_remembered_has_so_many_bytes_at_most() -> None:
    def say(role: str, text: str) -> dict[str, str]:
        return {"role": role, "content": text}

    past = [say("user", "a" * 500), say("assistant", "b" * 500), say("user", "c" * 100)]
    history, own = History(past, said="d" * 100), [say("user", "?")]
    for most_bytes, kept in ((0, "abcd"), (10_000, "abcd"), (900, "cd"), (400, "cd"), (200, ""), (1, "")):
        messages, remembered = history.before(own, 10, most_bytes)
        assert "".join(str(each["content"])[0] for each in messages[:-1]) == kept, most_bytes
        assert remembered == len(kept) and messages[-1] == own[0]
    big = History([say("system", "s" * 5_000), *past], said="d")
    messages, _ = big.before(own, 10, 1_000)
    assert [each["role"] for each in messages] == ["user", "assistant", "user"]
    calls = ({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},)
    waiting = History(past, calls=calls)  # a tool's result is never sent without its call
    messages, _ = waiting.before([{"role": "tool", "tool_call_id": "c1", "content": "r"}], 10, 50)
    assert [each["role"] for each in messages] == ["user", "assistant", "tool"]
