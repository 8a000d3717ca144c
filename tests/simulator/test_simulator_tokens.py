"""Tokens: joined they are the text, and none splits what a reader sees as one character."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.texts import CHINESE, ENGLISH, RUSSIAN, Answer
from simulator.tokens import split_tokens

MIXED = st.text(
    st.one_of(
        st.sampled_from("ab яж 好问\n\r\t.,1é\u0301\u200d\ufe0f👩👍\U0001f3fd🇷🇺ते\u094d"), st.characters()
    )
)


@given(MIXED)
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


@given(MIXED)
def test_no_token_after_the_first_begins_inside_of_a_character(text: str) -> None:
    tokens = split_tokens(text)
    for before, token in pairwise(tokens):
        assert token
        assert unicodedata.category(token[0])[0] != "M"
        assert token[0] != "\u200d"
        assert not (before[-1] == "\u200d" and not token[0].isspace())
        assert not (before[-1] == "\r" and token[0] == "\n")


@pytest.mark.parametrize(
    "whole",
    [
        "👩\u200d👩\u200d👧\u200d👦",
        "🇷🇺",
        "👍🏽",
        "1\ufe0f\u20e3",
        "e\u0301",
        "स्ते",
        "\u1112\u1161\u11ab",
        "\r\n",
    ],
)
def test_a_character_is_never_split(whole: str) -> None:
    tokens = split_tokens(f"好{whole}好")
    assert any(whole in token for token in tokens)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, big world.", ("Hello", ",", " big", " world", ".")),
        ("internationalization", ("intern", "ationa", "lizati", "on")),
        ("Хороший вопрос", ("Хороший", " вопрос")),
        ("这是好问题。", ("这是", "好问", "题", "。")),
        ("a  b\n\nc ", ("a", "  b", "\n\nc ")),
        ("in 12345", ("in", " 123", "45")),
        ("", ()),
    ],
)
def test_tokens_look_like_those_of_a_model(text: str, tokens: tuple[str, ...]) -> None:
    assert split_tokens(text) == tokens


@pytest.mark.parametrize("answer", [ENGLISH, CHINESE, RUSSIAN])
def test_own_drafts_are_long_enough_to_be_cut(answer: Answer) -> None:
    assert 25 <= len(split_tokens(answer.draft)) < len(split_tokens(answer.full))
