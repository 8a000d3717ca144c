"""How the full is shown passages: in its one system message, numbered, in the caller's language."""

from dataclasses import replace
from typing import Any

import pytest
from turns import started

from common.events import TurnStarted
from workers.prompts import body_for, with_passages

PASSAGES = [{"title": "Hours", "text": "At nine."}, {"title": "", "text": "Never."}]


def asked(messages: list[dict[str, Any]], prompt: str = "") -> list[dict[str, Any]]:
    """The messages that the full model gets."""
    turn: TurnStarted = replace(
        started(),
        request={"messages": messages, "seed": 5},
        lanes={"full": {"model": "big", "prompt": prompt}},
    )
    body = body_for(with_passages(turn, PASSAGES), "full", "big", "", "assistant")
    assert body["seed"] == 5
    assert turn.request["messages"] == messages  # what the log says stays
    return list(body["messages"])


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_passages_are_numbered_in_a_system_message() -> None:
    system, question = asked([user("When do you open?")])
    assert question == user("When do you open?")
    assert system["role"] == "system"
    assert system["content"].startswith("Answer from these passages")
    assert system["content"].endswith("\n\n[1] Hours\nAt nine.\n\n[2] Never.")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_they_follow_the_clients_own_system_message(role: str) -> None:
    system, _ = asked([{"role": role, "content": "Sell tea."}, user("When?")], "Default.")
    assert system["role"] == role
    assert system["content"].startswith("Sell tea.\n\nAnswer from")


def test_they_follow_the_profiles_prompt() -> None:
    system, _ = asked([user("When?")], "Default.")
    assert system["content"].startswith("Default.\n\nAnswer from")


def test_a_system_message_in_parts_is_left_as_it_is() -> None:
    parts = {"role": "system", "content": [{"type": "text", "text": "Sell tea."}]}
    first, second, _ = asked([parts, user("When?")])
    assert first["content"].startswith("Answer from")
    assert second == parts


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("Когда вы открыты?", "Отвечайте"),
        ("你们几点开门？", "请根据"),
        ("Wann öffnen Sie bitte?", "Antworten"),
    ],
)
def test_the_note_is_in_the_callers_language(question: str, begins: str) -> None:
    assert asked([user(question)])[0]["content"].startswith(begins)
