"""The guard: nothing that commits is spoken, and little else is held."""

import pytest
from guard_sentences import DEV, HELD_OUT

from common.guard import check_rules, commits

ALL = [(kind, sentence) for half in (DEV, HELD_OUT) for rows in half.values() for kind, sentence in rows]
COMMITTING = [sentence for kind, sentence in ALL if kind != "-"]
HARMLESS = [sentence for kind, sentence in ALL if kind == "-"]


def test_the_list_is_large_enough_to_mean_something() -> None:
    for language in ("en", "zh", "ru"):
        rows = DEV[language] + HELD_OUT[language]
        assert len(rows) >= 80
        assert 0.4 < sum(kind != "-" for kind, _ in rows) / len(rows) < 0.6


def test_no_sentence_that_commits_passes() -> None:
    assert [sentence for sentence in COMMITTING if commits(sentence) is None] == []


def test_at_most_one_harmless_sentence_in_twenty_is_held() -> None:
    held = [sentence for sentence in HARMLESS if commits(sentence)]
    assert len(held) <= 0.05 * len(HARMLESS), held


def test_a_profiles_own_rules_hold_more() -> None:
    assert commits("Let me ask Bob.") is None
    assert commits("Let me ask Bob.", [r"\bBob\b"]) == "custom"


@pytest.mark.parametrize("rule", ["(unclosed", "x" * 201, "(a+)+$"])
def test_an_own_rule_that_is_broken_or_could_be_slow_is_refused(rule: str) -> None:
    with pytest.raises(ValueError):
        check_rules([rule])


@pytest.mark.parametrize("text", ["1" * 10_000, "a" * 10_000, "да " * 3_000, "是" * 10_000, "", " ", "?!"])
def test_hostile_text_is_judged(text: str) -> None:
    commits(text)
