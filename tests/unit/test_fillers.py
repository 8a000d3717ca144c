"""Which filler phrases are right for a conversation, and what a filler's policy may be."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from common.turn.fillers import conversation, phrases_for
from common.turn.policy import FillerPolicy
from tests.support.turn_events import started

POLICY = FillerPolicy(
    phrases={"en": ("One moment.", "Let me see."), "ru": ("Минуту.",), "zh": (), "*": ("Hm…",)}
)


@pytest.mark.parametrize(
    ("said", "phrases"),
    [
        ("When do you open?", ("One moment.", "Let me see.")),
        ("Когда вы открываетесь?", ("Минуту.",)),
        ("你们几点开门？", ("Hm…",)),  # its own list is empty
        ("Wann machen Sie auf?", ("Hm…",)),
        ("", ("Hm…",)),
        ("12345", ("Hm…",)),
    ],
)
def test_phrases_follow_the_users_language(said: str, phrases: tuple[str, ...]) -> None:
    assert phrases_for(POLICY, [{"role": "user", "content": said}]) == phrases


def says(role: str, text: Any) -> dict[str, Any]:
    return {"role": role, "content": text}


@pytest.mark.parametrize(
    "messages",
    [
        [says("user", "Когда вы открываетесь?"), says("assistant", "В девять."), says("user", "12345")],
        [says("user", "Ваш номер?"), says("user", "iPhone 15"), says("user", "+7 495 000-00-00")],
        [says("assistant", "Назовите номер заказа."), says("user", "12345")],
        [says("system", "Ты помогаешь звонящим."), says("user", "12345")],
        [says("developer", "Отвечай кратко."), says("user", None), says("user", [])],
        [says("user", "привет"), says("user", [{"type": "image_url"}])],
    ],
)
def test_what_tells_no_language_is_in_the_conversations(messages: list[dict[str, Any]]) -> None:
    assert phrases_for(POLICY, messages) == ("Минуту.",)


def test_who_changes_the_language_is_followed() -> None:
    messages = [says("user", "Добрый день"), says("user", "Can you please speak English?")]
    assert phrases_for(POLICY, messages) == ("One moment.", "Let me see.")


def test_where_nothing_tells_it_the_only_language_there_is_counts_then_english() -> None:
    number = [says("user", "12345")]
    assert phrases_for(FillerPolicy(phrases={"ru": ("Минуту.",), "zh": ()}), number) == ("Минуту.",)
    assert phrases_for(FillerPolicy(phrases={"ru": ("Минуту.",), "en": ("So.",)}), number) == ("So.",)


def test_a_profiles_own_prompt_tells_its_language() -> None:
    first = started(draft=False)
    lanes = {"full": {"model": "full", "prompt": "Ты помогаешь звонящим."}}
    first = replace(first, lanes=lanes, request={"messages": [says("user", "12345")]})
    assert phrases_for(POLICY, conversation(first)) == ("Минуту.",)


def test_no_phrases_in_that_language_nor_any() -> None:
    policy = FillerPolicy(phrases={"ru": ("Минуту.",)})
    assert phrases_for(policy, [{"role": "user", "content": "When do you open?"}]) == ()
    assert phrases_for(FillerPolicy(), []) == ()


@pytest.mark.parametrize(
    "wrong", [{"delay_ms": -1}, {"interval_ms": 499}, {"maximum": -1}, {"maximum": 21}, {"phrase": "Hm."}]
)
def test_what_a_filler_may_not_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FillerPolicy(**wrong)
