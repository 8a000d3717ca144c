"""How much of a text was heard, from words that a speech service gives back, and from time."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.sessions.heard import CHARS_PER_S, HeardPart, chars_heard, chars_in_ms, chars_in_sound

TEXT = "**We open** at 9:30. Don't be late — it's [busy](https://example.com/a/b)! Every day, all year."


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("We open", "**We open**"),
        ("we  OPEN at nine thirty", "**We open** at 9:30."),
        ("We open at 9 30. dont", "**We open** at 9:30. Don't"),
        ("We open at 9:30. Don't be late. It's busy!", TEXT[: TEXT.index("busy") + 5]),
        ("we open at nine thirty don't be late it's busy every day", TEXT.removesuffix(" all year.")),
        ("We open at half past nine. Don't be late", "**We open** at 9:30. Don't be late"),
        (TEXT, TEXT),
        (TEXT + " And more.", TEXT),
        ("We op", "**We"),
        ("We open at 9:30. Don't be la", "**We open** at 9:30. Don't be"),
        ("", ""),
        ("!?", ""),
        ("Etwas ganz anderes, das nie gesagt wurde, und lang genug.", ""),
    ],
)
def test_words_are_found_again_as_speech_services_give_them(heard: str, expected: str) -> None:
    found = TEXT[: chars_heard(TEXT, heard)]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "heard", "expected"),
    [
        ("我们九点开门。每天都开。", "我们九点开门", "我们九点开门。"),
        ("我们九点开门。每天都开。", "我们9点开门每天", "我们九点开门。每天"),
        ("Мы открыты с девяти. Каждый день.", "мы открыты с девяти", "Мы открыты с девяти."),
        ("हम नौ बजे खुलते हैं। हर दिन।", "हम नौ बजे खुलते हैं", "हम नौ बजे खुलते हैं।"),
        ("Cafe\u0301 open. Yes.", "caf\u00e9 open", "Cafe\u0301 open."),
        ("Straße 5. Gut.", "STRASSE 5", "Straße 5."),
        ("It costs $1,000. Fine.", "it costs one thousand dollars fine", "It costs $1,000. Fine."),
    ],
)
def test_in_other_scripts_too(text: str, heard: str, expected: str) -> None:
    assert text[: chars_heard(text, heard)] == expected


@given(
    st.lists(st.sampled_from(["we", "open", "at", "nine", "день", "日", "don't", "9:30"]), min_size=1),
    st.data(),
)
def test_any_prefix_of_whole_words_is_found_exactly(words: list[str], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(words)))
    text = ". ".join(words) + "."
    prefix = ". ".join(words[:count])
    spoken = re.sub(r"[^\w\s]", "", prefix).upper()
    assert chars_heard(text, spoken) == (len(prefix) + 1 if count else 0)


@given(st.text(max_size=60), st.text(max_size=60), st.floats(0, 20_000))
def test_the_result_is_always_a_place_in_the_text(text: str, heard: str, ms: float) -> None:
    assert 0 <= chars_heard(text, heard) <= len(text)
    assert 0 <= chars_in_ms(text, ms) <= len(text)
    assert text.rstrip() == text[: chars_in_ms(text, 1e9)].rstrip()


def test_time_is_cut_back_to_a_whole_word() -> None:
    text = "We open at nine. Every day."
    assert text[: chars_in_ms(text, 1_000, 10)] == "We open at"
    assert text[: chars_in_ms(text, 1_100, 10)] == "We open at"
    assert text[: chars_in_ms(text, 1_500, 10)] == "We open at nine."
    assert chars_in_ms(text, 0, 10) == 0
    assert chars_in_ms(text, 60_000, 10) == len(text)


def test_a_language_has_its_own_pace() -> None:
    text = "我们九点开门每天都开欢迎光临"
    assert chars_in_ms(text, 2_000) == int(2 * CHARS_PER_S["zh"])
    assert chars_in_ms(text, 2_000, 3) == 6


def test_texts_that_have_nothing_in_common_cost_little() -> None:
    """A text as long as a policy may allow, made to disagree everywhere."""
    began_s = time.process_time()
    assert chars_heard("abcd" * 16_000, "abce" * 16_000) < 64_000
    assert time.process_time() - began_s < 5


@pytest.mark.parametrize(
    "ms, words",
    [
        (0, ""),
        (500, "Call"),
        (999, "Call 555"),
        (1_000, "Call 555 now."),
        (1_500, "Call 555 now. 😊"),
        (2_500, "Call 555 now. 😊 Thank"),
        (9_000, "Call 555 now. 😊 Thank you!"),
    ],
)
def test_sound_says_how_far_it_goes(ms: float, words: str) -> None:
    text = "Call 555 now. 😊 Thank you!"
    pieces = [HeardPart(0, 13, 1_000), HeardPart(13, 15, 0), HeardPart(15, 26, 2_000)]
    assert text[: chars_in_sound(text, pieces, ms)] == words


def test_of_sound_that_still_comes_no_more_is_heard_than_there_is() -> None:
    text = "We open at nine. Every day."
    pieces = [HeardPart(0, 16, 1_000), HeardPart(16, 27, 500, whole=False)]
    assert text[: chars_in_sound(text, pieces, 1_100, 15)] == "We open at nine."
    assert text[: chars_in_sound(text, pieces, 9_000, 15)] == "We open at nine. Every"
    assert chars_in_sound(text, [], 9_000) == 0
    assert chars_in_sound("We", pieces, 9_000) == 0  # of what is not released


@given(st.text("ab1 .好é", max_size=40), st.lists(st.integers(0, 3_000), max_size=5), st.floats(0, 20_000))
def test_more_time_never_hears_less(text: str, lengths: list[int], ms: float) -> None:
    cuts = [len(text) * n // max(1, len(lengths)) for n in range(len(lengths) + 1)]
    pieces = [HeardPart(a, b, ms) for a, b, ms in zip(cuts, cuts[1:], lengths, strict=False)]
    heard = chars_in_sound(text, pieces, ms)
    assert 0 <= heard <= chars_in_sound(text, pieces, ms + 100) <= len(text)
