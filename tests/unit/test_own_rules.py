"""A profile's own guard rules: what they mean to Python they mean here, and none costs much."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.text.own_rules import MAX_RULE, MAX_RULES, MAX_WEIGHT, WrongRule, check_rules, finds
from common.turn.policy import AS_STORED, DraftPolicy

RULES = [
    r"\bскидк\w*",
    r"скидк[аиу]\b",
    r"\bour (price|fee)s?\b",
    r"transfer.{0,40}(account|card)",
    r"\d{1,9} ?usd",
    "x.*y",
    r"[^\W\d]+ \d",
    r"[\s\S]x$",
    r"(?P<either>a|b)+c",
    r"\w+@\w+\.\w+",
    r"^да",
    r"[а-яё]{3}\s[A-Z]",
    "折扣",
    "[^a-z ]{2}",
    r"\S+\s\S+!",
    r"[\w-]+k",
    "a{,2}b",
    "a{2,}?b",
    r"\u0434\x61",
    r"\.\*\[",
    "[]x]",
    "[^]x]a",
    r"\D\d\D",
    r"\b(?:да|нет)\b.?",
    r"[\d,.]+ руб",
    r"a\Z",
    r"[a\-z]é",
    r"[\W_]{2}",
    r"\n\t?x",
    "हाँ|ü",
]
TEXTS = st.text("abcxyzk яадискн 12٣,.!-_@\n\t漢折扣éü]*[ YÄहाँ", max_size=14)


@given(TEXTS, st.sampled_from(RULES), st.sampled_from(["", "скидка", " our fees.", "折扣", " да ", "12 usd"]))
def test_a_rule_means_what_it_means_to_python(text: str, rule: str, more: str) -> None:
    text += more
    assert finds([rule], text) == bool(re.search(rule, text, re.IGNORECASE)), (rule, text)


def test_words_of_any_script_have_bounds() -> None:
    assert finds([r"\bда\b"], "Ну да, конечно")
    assert not finds([r"\bда\b"], "Когда")
    assert finds([r"\büber\w+"], "Das Übernachten")
    assert not finds([r"\bk\b"], "ok")


@pytest.mark.parametrize("marks", ["\x01", "\x02", "\x01\x02x", "\0"])
def test_our_own_marks_in_a_text_stand_for_nothing(marks: str) -> None:
    assert (
        finds(["a.b"], "a b") and finds([r"x$"], f"{marks}x") and not finds([r"\bb"], f"a{marks}"[:1] + "b")
    )


@pytest.mark.parametrize(
    "rule", [*RULES, "(a+)+$", "(a|a)+b", "x.*.*y", "(ab?){40}c", "((((a?){9}){9}){9})b", "(?:.?){300}x"]
)
def test_a_rule_that_a_linear_engine_takes_is_taken(rule: str) -> None:
    check_rules([rule])


@pytest.mark.parametrize(
    "rule",
    [
        *("(unclosed", "[a", "*", "x" * (MAX_RULE + 1), "a{9999999999}", "", "a*", "$", "(?:)"),
        *("(a)\\1", "(?i)x", "(?#x)y", "(?P<n>a)(?P=n)", "(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", "(?>a)b"),
        *("a++", r"x\B", r"[^\S]", r"\N{DIGIT ONE}", "(?(1)a|b)", r"(a{1,900}){900}b", r"(\w{99}\d{99}){9}"),
    ],
)
def test_another_is_refused_by_its_name(rule: str) -> None:
    with pytest.raises(WrongRule, match="guard rule") as refused:
        check_rules(["fine", rule])
    assert repr(rule[:20])[1:-1] in str(refused.value)
    with pytest.raises(ValidationError):
        DraftPolicy(guard_rules=("fine", rule))
    # What a former version has taken is in nobody's way: the guard says what becomes of it.
    assert DraftPolicy.model_validate({"guard_rules": [rule]}, context=AS_STORED).guard_rules == (rule,)


def test_there_is_a_bound_on_their_number_and_on_their_size_together() -> None:
    check_rules(["price"] * MAX_RULES)
    with pytest.raises(WrongRule, match=str(MAX_RULES)):
        check_rules(["price"] * (MAX_RULES + 1))
    check_rules(["(?:.?){100}x"] * 4)
    with pytest.raises(WrongRule, match="together"):
        check_rules(["(?:.?){100}x"] * 40)
    assert MAX_WEIGHT < 40 * 1_000


@pytest.mark.parametrize(
    "rule", ["(a+)+$", "(a|aa)+b", "(.*a){20}b", "(?:.?){300}x", "(a?){100}(a?){100}b", ".*.*.*=.*"]
)
@pytest.mark.parametrize("piece", ["a", "ab", "a ", "да "])
def test_a_hostile_rule_costs_time_in_proportion_to_the_text(rule: str, piece: str) -> None:
    finds([rule], piece)
    took = min(_time(rule, (piece * 2_000)[:2_000]) / _time(rule, (piece * 500)[:500]) for _ in range(7))
    assert took < 12  # by the square it would be 16, by Python's own engine without end


def _time(rule: str, text: str) -> float:
    begin = time.thread_time()
    finds([rule], text)
    return time.thread_time() - begin
