"""What each lane's model is sent."""

from typing import Any

import pytest

from common.events import TurnStarted
from tests.support.turn_events import started
from workers.prompts import body_for, with_passages


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
    assert body_for(turn(request, "Default."), "full", "big", "", "assistant") == {**request, "model": "big"}


def test_the_default_prompt_leads_where_the_client_has_none() -> None:
    body = body_for(turn({"messages": TALK[1:2]}, "Default."), "full", "big", "", "assistant")
    assert body["messages"] == [{"role": "system", "content": "Default."}, TALK[1]]


def test_the_draft_gets_the_texts_and_its_own_parameters() -> None:
    body = body_for(
        turn({"messages": TALK, "tools": [{"x": 1}], "temperature": 1}), "draft", "small", "", "assistant"
    )
    assert body == {
        "model": "small",
        "max_tokens": 9,
        "messages": [
            {"role": "system", "content": "Be brief."},
            TALK[1],
            TALK[4],
            {"role": "user", "content": "Green?"},
        ],
    }


@pytest.mark.parametrize(
    "prefix, message, more",
    [
        ("assistant", {"role": "assistant", "content": "So far"}, {}),
        ("prefix", {"role": "assistant", "content": "So far", "prefix": True}, {}),
        (
            "continue_final_message",
            {"role": "assistant", "content": "So far"},
            {"continue_final_message": True, "add_generation_prompt": False},
        ),
    ],
)
def test_a_model_is_asked_to_go_on_as_its_server_wants_it(prefix: Any, message: Any, more: Any) -> None:
    body = body_for(turn({"messages": TALK}), "full", "big", "So far", prefix)
    assert body == {"model": "big", "messages": [*TALK, message], **more}


@pytest.mark.parametrize(
    "asked, said, words",
    [
        ("How are you?", "Fine.", "already said"),
        ("你好吗？", "很好。", "不要重复"),
        ("Как дела?", "Хорошо.", "не повторяйте"),
        ("¿Cómo puedo cambiar mi vuelo?", "Claro.", "sin repetir"),
    ],
)
def test_a_note_to_go_on_follows_the_conversations_language(asked: str, said: str, words: str) -> None:
    talk = [{"role": "user", "content": asked}]
    note = body_for(turn({"messages": talk}), "full", "big", said, "note")["messages"][-1]
    assert note["role"] == "system"
    assert said in note["content"]
    assert words in note["content"]


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        ("after", ["system: Be Acme.\n\nYou sell tea.", "user: Hi", "system: Or coffee."]),
        ("drop", ["system: Be Acme.", "user: Hi"]),
        ("refuse", ["system: Be Acme.", "user: Hi"]),  # what is remembered of another profile's turn
        ("instead", ["system: You sell tea.", "user: Hi", "system: Or coffee."]),
    ],
)
def test_the_clients_system_messages_stand_where_the_profile_lets_them(mode: str, sent: list[str]) -> None:
    talk = [*TALK[:2], {"role": "system", "content": "Or coffee."}]
    asked = turn({"messages": talk}, "Be Acme.")
    asked.lanes["full"]["system"] = mode
    messages = body_for(asked, "full", "big", "", "assistant")["messages"]
    assert [f"{each['role']}: {each['content']}" for each in messages] == sent


def test_a_prompt_stands_before_parts_too_and_is_said_once_with_passages() -> None:
    parts = [{"type": "text", "text": "You sell tea."}]
    asked = turn({"messages": [{"role": "developer", "content": parts}, TALK[1]]}, "Be Acme.")
    for mode in ("after", "drop"):
        asked.lanes["full"]["system"] = mode
        found = with_passages(asked, [{"title": "Hours", "text": "Nine."}])
        body = body_for(found, "full", "big", "", "assistant")
        assert str(body).count("Be Acme.") == 1 and "Nine." in str(body)
        assert ("tea" in str(body)) == (mode == "after")
