"""What goes between the draft's text and the full's."""

import pytest

from common.seam import join, word_boundary


@pytest.mark.parametrize(
    "before, after, between",
    [
        ("Sure.", "The answer", " "),
        ("Sure.", " The answer", ""),
        ("Sure. ", "The answer", ""),
        ("好的。", "答案", ""),
        ("OK.", "答案", ""),
        ("好的", "OK", ""),
        ("Да.", "Ответ", " "),
        ("Sure.", "# Title", "\n\n"),
        ("Sure.", "1. First", "\n\n"),
        ("Sure.\n", "- one", "\n"),
        ("Sure.\n\n", "- one", ""),
        ("Sure.", "1.5 is it", " "),
        ("", "The", ""),
    ],
)
def test_join(before: str, after: str, between: str) -> None:
    assert join(before, after) == between


@pytest.mark.parametrize(
    "text, low, high, place",
    [
        ("let me see", 0, 10, 6),  # "see" may go on
        ("let me see ", 0, 11, 10),
        ("let me", 3, 6, 3),
        ("让我看看", 0, 4, 4),
        ("it is 3.5 now", 0, 8, 5),
        ("one two three", 0, 9, 7),
    ],
)
def test_word_boundary(text: str, low: int, high: int, place: int) -> None:
    assert word_boundary(text, low, high) == place
