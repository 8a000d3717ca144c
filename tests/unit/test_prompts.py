"""What each lane's model is sent."""

from typing import Any

from turns import started

from common.events import TurnStarted
from workers.prompts import body_for


def turn(request: dict[str, Any], full_prompt: str = "") -> TurnStarted:
    first = started()
    values = {name: getattr(first, name) for name in first.__slots__}
    lanes = {
        "draft": {"model": "small", "prompt": "Be brief.", "params": {"max_tokens": 9}},
        "full": {"model": "big", "prompt": full_prompt},
    }
    return TurnStarted(**{**values, "request": request, "lanes": lanes})


TALK = [
    {"role": "system", "content": "You sell tea."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
    {"role": "tool", "tool_call_id": "c", "content": "42"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": [{"type": "text", "text": "Green?"}]},
]


def test_the_full_gets_all_of_the_request() -> None:
    request = {"messages": TALK, "tools": [{"x": 1}], "seed": 5, "unheard_of": True}
    assert body_for(turn(request, "Default."), "full", "") == {**request, "model": "big"}


def test_the_default_prompt_leads_where_the_client_has_none() -> None:
    body = body_for(turn({"messages": TALK[1:2]}, "Default."), "full", "")
    assert body["messages"] == [{"role": "system", "content": "Default."}, TALK[1]]


def test_the_draft_gets_the_texts_and_its_own_parameters() -> None:
    body = body_for(turn({"messages": TALK, "tools": [{"x": 1}], "temperature": 1}), "draft", "")
    assert body == {
        "model": "small",
        "max_tokens": 9,
        "messages": [{"role": "system", "content": "Be brief."}, TALK[1], TALK[4], TALK[5]],
    }


def test_the_next_attempt_is_asked_to_go_on() -> None:
    body = body_for(turn({"messages": TALK}), "full", "So far")
    assert body["messages"] == [*TALK, {"role": "assistant", "content": "So far"}]
