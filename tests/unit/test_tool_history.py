"""Calls and results in a conversation: what reaches a model has each with the other."""

from typing import Any

import pytest

from api.turns.history import History
from common.turn.tool_history import repaired


def calls(*ids: str, content: str | None = None) -> dict[str, Any]:
    made = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": content, "tool_calls": made}


def result(call: str, content: str = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


HI, THERE, SAID = user("Hi"), user("Are you there?"), {"role": "assistant", "content": "Yes."}

WRONG = {
    "a result of no call": ([HI, result("a")], [HI]),
    "only a result": ([result("a")], []),
    "a late result": (
        [HI, calls("a"), THERE, SAID, result("a")],
        [HI, calls("a"), result("a"), THERE, SAID],
    ),
    "one of two": ([HI, calls("a", "b"), result("b")], [HI, calls("b"), result("b")]),
    "none, and nothing said": ([HI, calls("a"), THERE], [HI, THERE]),
    "none, and something said": (
        [HI, calls("a", content="Let me see."), THERE],
        [HI, {"role": "assistant", "content": "Let me see."}, THERE],
    ),
    "none, and thoughts alone": (
        [HI, {**calls("a"), "reasoning_content": "Hm.", "refusal": None, "annotations": []}, THERE],
        [HI, THERE],
    ),
    "the wrong order": (
        [HI, calls("a", "b"), result("b"), THERE, result("a")],
        [HI, calls("a", "b"), result("a"), result("b"), THERE],
    ),
    "a result twice": (
        [HI, calls("a"), result("a", "waiting"), result("a", "42")],
        [HI, calls("a"), result("a", "42")],
    ),
    "before its call": ([HI, result("a"), calls("a"), result("a")], [HI, calls("a"), result("a")]),
    "a call at the end": ([HI, calls("a")], [HI]),
    "one id for two calls, one answered": (
        [HI, calls("a"), THERE, calls("a"), result("a")],
        [HI, THERE, calls("a"), result("a")],
    ),
    "no id at all": (
        [HI, calls("a"), result("a"), {"role": "tool", "content": "x"}],
        [HI, calls("a"), result("a")],
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_server_would_refuse_is_put_right(kind: str) -> None:
    sent, right = WRONG[kind]
    assert repaired(sent) == right
    assert repaired(right) is right


@pytest.mark.parametrize(
    "fine",
    [
        [HI],
        [],
        [HI, calls("a", "b"), result("b"), result("a"), THERE],
        [HI, calls("a"), result("a"), calls("a"), result("a")],
        [HI, {"role": "assistant", "content": None, "tool_calls": []}],
        [HI, {"role": "assistant", "content": None, "tool_calls": [{"type": "function"}]}, result("a")],
        [HI, {"role": "assistant", "content": None, "tool_calls": ["x"]}],
        [
            HI,
            {"role": "assistant", "content": None, "function_call": {}},
            {"role": "function", "content": "x"},
        ],
    ],
)
def test_what_is_right_or_of_another_form_stays(fine: list[dict[str, Any]]) -> None:
    assert repaired(fine) is fine


def test_of_two_remembered_calls_the_answered_one_stays() -> None:
    made = calls("a", "b")["tool_calls"]
    history = History([HI], "Let me see.", tuple(made))
    messages, remembered = history.before([result("b")], 10)
    assert messages == [HI, calls("b", content="Let me see."), result("b")]
    assert remembered == 2
    late, _ = history.before([THERE, result("a")], 10)
    assert repaired(late) == [HI, calls("a", content="Let me see."), result("a"), THERE]
    assert repaired(history.before([THERE], 10)[0]) == [
        HI,
        {"role": "assistant", "content": "Let me see."},
        THERE,
    ]
