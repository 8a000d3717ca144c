"""Which filler phrases are right for a conversation, and what a filler's policy may be."""

from typing import Any

import pytest
from pydantic import ValidationError

from common.fillers import phrases_for
from common.policy import FillerPolicy

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
        ("", ("One moment.", "Let me see.")),
    ],
)
def test_phrases_follow_the_users_language(said: str, phrases: tuple[str, ...]) -> None:
    assert phrases_for(POLICY, [{"role": "user", "content": said}]) == phrases


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
