"""Where one lane's text meets the next one's."""

import pytest

from common.text.markdown_join import closers, is_undecided, join_texts, word_boundary


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("Sure.", "The answer", " The answer"),
        ("Sure.", " The answer", " The answer"),
        ("Sure. ", "The answer", "The answer"),
        ("Sure. ", " The answer", "The answer"),
        ("Sure.\n\n", "\n\nThe answer", "The answer"),
        ("Sure.\n", " The answer", "The answer"),
        ("Sure.\n", "\n\nThe answer", "\nThe answer"),
        ("Sure. ", "\nThe answer", "\nThe answer"),
        ("Sure.", "\n\n  indented", "\n\n  indented"),
        ("好的。", "答案", "答案"),
        ("OK.", "答案", "答案"),
        ("好的", "OK", "OK"),
        ("はい。", "答えは", "答えは"),
        ("네, 알겠습니다.", "답은", " 답은"),
        ("Да.", "Ответ", " Ответ"),
        ("«Да».", "«Ответ»", " «Ответ»"),
        ("Sure 👍🏽", "The", " The"),
        ("Sure.", "👍🏽", " 👍🏽"),
        # What only means what it says at the start of a line.
        ("Sure.", "# Title", "\n\n# Title"),
        ("Sure.", " - one", "\n\n- one"),
        ("Sure.", "1. First", "\n\n1. First"),
        ("Sure.", "| a | b |", "\n\n| a | b |"),
        ("Sure.", "> quoted", "\n\n> quoted"),
        ("Sure.", "```py\nx", "\n\n```py\nx"),
        ("Sure.", "---\nNext", "\n\n---\nNext"),
        ("Sure.\n", "- one", "\n- one"),
        ("Sure.\n\n", "- one", "- one"),
        ("好的。", "1. 第一", "\n\n1. 第一"),
        ("Sure.", "1.5 is it", " 1.5 is it"),
        ("Sure.", "-5 degrees", " -5 degrees"),
        ("Sure.", "**Bold**", " **Bold**"),
        # A line that would swallow what is said on it.
        ("## Title", "The answer", "\n\nThe answer"),
        ("- one", "The answer", "\n\nThe answer"),
        ("- one", " The answer", "\n\nThe answer"),
        ("One:\n1. one", "The answer", "\n\nThe answer"),
        ("| a | b |", "The answer", "\n\nThe answer"),
        ("```\nx\n```", "The answer", "\n\nThe answer"),
        ("- one\n\nSure.", "The answer", " The answer"),
        ("", "The", "The"),
        ("", " The", " The"),
        ("Sure.", "", ""),
    ],
)
def test_join(before: str, after: str, joined: str) -> None:
    assert join_texts(before, after) == joined


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("Let me look", "The answer", "… The answer"),
        ("让我看看", "答案", "…答案"),
        ("Let **me look", "The answer", "…** The answer"),
        ("- one **and", "The answer", "…**\n\nThe answer"),
        ("```\nx = 1", "The answer", "…\n```\n\nThe answer"),
    ],
)
def test_what_was_cut_in_mid_sentence_is_heard_to_break_off(before: str, after: str, joined: str) -> None:
    assert join_texts(before, after, broken=True) == joined


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("Let me look at **your", " plan** now", " plan** now"),
        ("Let me look at", "your plan", " your plan"),
        ("- one and", "two", " two"),
        ("看看", "您的", "您的"),
        ("Sure. ", " Then", "Then"),
    ],
)
def test_what_was_made_to_follow_misses_a_space_at_most(before: str, after: str, joined: str) -> None:
    assert join_texts(before, after, goes_on=True) == joined


@pytest.mark.parametrize(
    ("text", "closed_by"),
    [
        ("plain", ""),
        ("a **bold", "**"),
        ("a **bold** word", ""),
        ("a **bold*", "*"),
        ("an *italic", "*"),
        ("a __bold", "__"),
        ("an _italic", "_"),
        ("an _italic_ word", ""),
        ("a ~~struck", "~~"),
        ("some `code", "`"),
        ("some ``co`de", "``"),
        ("some `code` here", ""),
        ("**both *of", "***"),
        ("**bold _and", "_**"),
        ("***all", "***"),
        ("***all** of", "*"),
        ("**bold *and***", ""),
        ("**bold `code", "`**"),
        ("**bold `co*de` and", "**"),
        ("~~struck **bold", "**~~"),
        ("```py\nx = 1", "\n```"),
        ("```py\nx = **1\n", "```"),
        ("```py\nx\n```\nand **so", "**"),
        ("~~~\nx", "\n~~~"),
        ("  ```\n  x", "\n```"),
        ("```\n~~~\n```", ""),
        ("**бold", "**"),
        ("这是**重点", "**"),
        ("这是**重点**和", ""),
        ("это _важно", "_"),
        # No emphasis, or none that goes on.
        ("5 * 4 = 20", ""),
        ("5*4 = 20", ""),
        ("2**3", ""),
        ("* one\n* two", ""),
        ("price* and more", ""),
        ("snake_case and", ""),
        ("*_*", "_*"),
        ("a \\*star", ""),
        ("***", ""),
        ("____", ""),
        ("here is **", ""),
        ("- **open\n- next", ""),
        ("**open\n\nnext", ""),
        ("## **open\n## next", ""),
    ],
)
def test_closers(text: str, closed_by: str) -> None:
    assert closers(text) == closed_by


def test_a_closed_text_is_closed() -> None:
    for text in ("a **bold *and _so", "**bold `code", "x ***all** of", "```py\nx"):
        assert closers(text + closers(text)) == ""


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "#", "##", "-", "- ", "1", "12", "1.", "*", "**", "`", "``", ">"]
)
def test_what_may_yet_begin_a_block_is_undecided(text: str) -> None:
    assert is_undecided(text) is (text != "- ")


@pytest.mark.parametrize(
    "text", ["T", " The", "# T", "1. O", "15 e", "1234", "**B", "```", "|", "好", "-5", "#tag"]
)
def test_what_can_be_told(text: str) -> None:
    assert not is_undecided(text)


FAMILY = "👨‍👩‍👧"
FLAG = "🇩🇪"


@pytest.mark.parametrize(
    ("text", "low", "high", "place"),
    [
        ("let me see", 0, 10, 6),  # "see" may go on
        ("let me see ", 0, 11, 10),
        ("let me", 3, 6, 3),
        ("let me, see", 0, 8, 7),
        ("让我看看", 0, 4, 4),
        ("让我看看，好", 0, 4, 3),  # a comma stays with its word
        ("が゙あ", 0, 1, 0),  # a mark stays with its letter
        ("it is 3.5 now", 0, 8, 5),
        ("one two three", 0, 9, 7),
        (f"see {FAMILY} and", 0, 7, 3),
        (f"see {FAMILY} and", 0, 9, 9),
        (f"see {FLAG} and", 0, 5, 3),
        (f"see {FLAG} and", 0, 6, 6),
        ("see e\u0301te\u0301 now", 0, 6, 3),
        ("see e\u0301te\u0301 now", 0, 9, 9),
        ("네 알\u11af 겠", 0, 3, 1),
        ("네 한국 어", 0, 3, 1),
        ("так и е\u0308ж", 0, 7, 5),
    ],
)
def test_word_boundary(text: str, low: int, high: int, place: int) -> None:
    assert word_boundary(text, low, high) == place
