"""Documents cut into passages: nothing is lost, nothing is too large, headings stay with their text."""

from itertools import pairwise
from time import thread_time

import pytest

from common.knowledge.chunking import OVERLAP, TARGET, columns, cut

ENGLISH = "The kettle holds two litres and switches itself off. "
RUSSIAN = "Чайник вмещает два литра и сам выключается. "
CHINESE = "这个水壶可以装两升水，水开以后会自动断电。"
LANGUAGES = (ENGLISH, RUSSIAN, CHINESE)


def numbered(sentence: str, count: int) -> str:
    """A text of so many sentences, no two the same."""
    return "".join(f"{number}: {sentence}" for number in range(count))


def texts(text: str, title: str = "") -> list[str]:
    return [chunk.text for chunk in cut(title, text)]


@pytest.mark.parametrize("text", ["", " \n\n ", "# Only a heading", "# One\n## Two\n"])
def test_what_says_nothing_has_no_passages(text: str) -> None:
    assert cut("Title", text) == []


def test_a_short_text_is_one_passage() -> None:
    (chunk,) = cut("Kettle", "It holds two litres.\n\nIt is red.")
    assert (chunk.title, chunk.text) == ("Kettle", "It holds two litres.\n\nIt is red.")


def test_headings_begin_passages_and_stay_with_them() -> None:
    text = "Before.\n# Use\nFill it.\n## At night\nQuietly.\n# Care\nWipe it.\n"
    assert [(chunk.title, chunk.text) for chunk in cut("Kettle", text)] == [
        ("Kettle", "Before."),
        ("Kettle › Use", "Fill it."),
        ("Kettle › Use › At night", "Quietly."),
        ("Kettle › Care", "Wipe it."),
    ]


def test_a_text_that_begins_with_its_title_has_it_once() -> None:
    assert [chunk.title for chunk in cut("Kettle", "# Kettle\nHot.\n## Care\nWipe.")] == [
        "Kettle",
        "Kettle › Care",
    ]


@pytest.mark.parametrize("sentence", LANGUAGES)
def test_long_paragraphs_are_cut_between_sentences(sentence: str) -> None:
    passages = texts(numbered(sentence, 60))
    assert len(passages) > 2
    for passage in passages:
        assert columns(passage) <= TARGET
        assert passage[0].isdigit()  # where a sentence begins
        assert passage.endswith(sentence.strip()[-1])
    assert all(any(f"{number}: " in passage for passage in passages) for number in range(60))


@pytest.mark.parametrize("sentence", LANGUAGES)
def test_a_passage_begins_with_the_end_of_the_one_before(sentence: str) -> None:
    passages = texts(numbered(sentence, 60))
    assert len(passages) > 2
    for before, after in pairwise(passages):
        shared = max(size for size in range(len(after)) if before.endswith(after[:size].strip()))
        assert 0 < columns(after[:shared].strip()) <= OVERLAP


def test_paragraphs_stay_whole_where_they_fit() -> None:
    paragraph = ENGLISH * 8
    passages = texts("\n\n".join([paragraph] * 4))
    assert passages == [paragraph.strip()] * 4


def test_what_has_no_sentences_is_cut_at_spaces_and_nothing_of_it_is_lost() -> None:
    words = [f"word{number}" for number in range(500)]
    passages = texts(" ".join(words))
    assert all(columns(passage) <= TARGET for passage in passages)
    assert [word for passage in passages for word in passage.split()] == words


@pytest.mark.parametrize("letter", ["x", "水"])
def test_what_has_no_spaces_either_is_cut_at_the_size(letter: str) -> None:
    passages = texts(letter * 3_000)
    assert all(columns(passage) <= TARGET for passage in passages)
    assert "".join(passages) == letter * 3_000


@pytest.mark.parametrize(
    "text",
    [
        *(
            "# a" + " " * 3_000 + "b",
            "# a" + " #" * 50_000,
            "#" * 100_000,
            "# " + "a" * 100_000,
            " " * 100_000 + "x",
        ),
        *(
            "a" * 100_000,
            "我" * 100_000,
            "a\n" * 50_000,
            "# a\n" * 25_000,
            "|a|b|\n" * 15_000,
            "\n \n" * 30_000,
        ),
        *(
            "\0" * 100_000,
            "\u0301\u0323" * 50_000,
            "\ufdfa" * 100_000,
            "👩\u200d👧 " * 20_000,
            "שלום " * 20_000,
        ),
        *("".join(" " * (at % 40) + "- x\n" for at in range(9_000)), "x." * 50_000),
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_any_text_is_cut_in_time_that_goes_with_its_length(text: str) -> None:
    for part in (text, text[: len(text) // 4]):  # the longer first: what is warmed up helps the shorter
        begin = thread_time()
        chunks = cut("A title", part)
        took = thread_time() - begin
        assert all(columns(chunk.text) <= TARGET + OVERLAP for chunk in chunks)
        assert all(len(chunk.title) <= 8 + 6 * 203 for chunk in chunks)
        if part is text:
            longer = took
    assert longer < 12 * took + 0.2  # by the square it would be sixteen times as long
