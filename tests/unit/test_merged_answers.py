"""Answers in one piece: what came in parts, put together."""

import base64
from typing import Any

from api.answers.completion import whole_answer
from tests.support.live_turns import live_turn
from tests.support.turn_events import begin, call, end, extra, say


def choices(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices of an answer that says Hi beside these extras."""
    extras = [extra(number, part) for number, part in enumerate(parts)]
    answer = whole_answer(live_turn(begin("full"), say("full", 0, "Hi"), *extras, end("full"), draft=False))
    found: list[dict[str, Any]] = answer["choices"]
    return found


def message(*deltas: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = choices(*({"delta": delta} for delta in deltas))[0]["message"]
    return {key: value for key, value in said.items() if key not in ("role", "content")}


def test_reasoning_details_are_told_apart_by_their_index() -> None:
    def step(index: int, **more: Any) -> dict[str, Any]:
        return {"reasoning_details": [{"type": "reasoning.text", "index": index, "format": "x", **more}]}

    assert message(
        step(0, text="Let me"), step(0, text=" see."), step(1, text="So"), step(0, text=None, signature="s1")
    ) == {
        "reasoning_details": [
            {"type": "reasoning.text", "index": 0, "format": "x", "text": "Let me see.", "signature": "s1"},
            {"type": "reasoning.text", "index": 1, "format": "x", "text": "So"},
        ]
    }


def test_annotations_are_all_there_and_each_once() -> None:
    def cited(*places: str) -> dict[str, Any]:
        return {"annotations": [{"type": "url_citation", "url_citation": {"url": place}} for place in places]}

    assert message(cited("a"), cited("a", "b"), cited("b")) == cited("a", "b")
    assert message({"citations": ["a"]}, {"citations": ["a", "b"]}) == {"citations": ["a", "b"]}


def test_sound_is_joined_as_sound() -> None:
    pieces = [b"one", b"four", b"fives"]
    deltas: list[dict[str, Any]] = [
        {"audio": {"data": base64.b64encode(piece).decode(), "transcript": "x"}} for piece in pieces
    ]
    deltas[0]["audio"]["id"] = deltas[2]["audio"]["id"] = "audio_1"
    deltas.append({"audio": {"expires_at": 7}})
    assert message(*deltas)["audio"] == {
        "id": "audio_1",
        "data": base64.b64encode(b"".join(pieces)).decode(),
        "transcript": "xxx",
        "expires_at": 7,
    }


def test_sound_that_is_no_base64_is_put_together_all_the_same() -> None:
    assert message({"audio": {"data": "a="}}, {"audio": {"data": "?"}}) == {"audio": {"data": "a=?"}}


def test_other_choices_have_their_calls() -> None:
    def part(index: int, id: str | None = None, **function: str) -> dict[str, Any]:
        calls = [{"index": index, "id": id, "type": "function", "function": function}]
        return {"index": 1, "delta": {"role": "assistant", "tool_calls": calls}}

    _, second = choices(
        part(0, "a", name="find", arguments=""),
        part(0, arguments='{"q"'),
        part(1, "b", name="ring", arguments="{}"),
        part(0, arguments=":1}"),
        {"index": 1, "delta": {}, "finish_reason": "tool_calls"},
    )
    assert second["finish_reason"] == "tool_calls"
    assert second["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}},
            {"id": "b", "type": "function", "function": {"name": "ring", "arguments": "{}"}},
        ],
    }


def test_choices_stand_in_their_order() -> None:
    parts = [{"index": index, "delta": {"content": str(index)}} for index in (2, 1, 2)]
    said = [(choice["index"], choice["message"]["content"]) for choice in choices(*parts)]
    assert said == [(0, "Hi"), (1, "1"), (2, "22")]


def test_the_same_token_twice_is_two_tokens() -> None:
    token = {"token": "no", "logprob": -0.1}
    (first,) = choices(*[{"delta": {}, "logprobs": {"content": [token]}, "stop_reason": "x"}] * 2)
    assert (first["logprobs"], first["stop_reason"]) == ({"content": [token, token]}, "x")


def test_what_was_heard_stands_whatever_a_message_says() -> None:
    said: dict[str, Any] = {
        "role": "assistant",
        "content": "Hi there, all of it",
        "tool_calls": [],
        "refusal": None,
    }
    (first,) = choices({"message": said, "delta": {}}, {"message": said})
    assert first["message"]["content"] == "Hi"
    assert "tool_calls" not in first["message"]


def test_what_nests_or_changes_its_kind_is_put_together_somehow() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep] if _ % 2 else {"a": deep}
    assert message({"deep": deep}, {"deep": deep})["deep"] is not None
    assert message({"x": "a"}, {"x": ["b"]}, {"x": {"c": 1}}, {"x": 1}, {"x": None}) == {"x": 1}


def test_a_call_keeps_what_its_server_said_of_it() -> None:
    rest = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    part = call(0, 0, "")
    live = live_turn(begin("full"), type(part)(**{**as_dict(part), "rest": rest}), end("full"), draft=False)
    (told,) = whole_answer(live)["choices"][0]["message"]["tool_calls"]
    assert (told["extra_content"], told["function"]["arguments"]) == (rest["extra_content"], "{}")


def as_dict(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__slots__}
