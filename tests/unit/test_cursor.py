"""Cursors: read as strictly as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.answers.cursor import START, Place, read_cursor
from common.errors import BadRequest

TURN = "aaaaaaaaaaaa"
counts = st.integers(0, 999_999_999)


@given(counts, counts)
def test_a_cursor_that_was_written_is_read_back(chars: int, frames: int) -> None:
    place = Place(chars, frames)
    assert read_cursor(place.cursor(TURN), TURN) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1-2",
        TURN,
        f"{TURN}-1",
        f"{TURN}-1-",
        f"{TURN}--1-2",
        f"{TURN}-1-2-3",
        f"{TURN}-1-2\n",
        f" {TURN}-1-2",
        f"{TURN}-01-2",
        f"{TURN}-1-1000000000",
        f"{TURN}-\u0661-2",
        f"{TURN}-1.0-2",
        f"{TURN.upper()}-1-2",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_cursor(text, TURN)
    assert refused.value.code == "invalid_cursor"


def test_another_turns_cursor_is_told_apart() -> None:
    with pytest.raises(BadRequest) as refused:
        read_cursor("bbbbbbbbbbbb-1-2", TURN)
    assert refused.value.code == "cursor_of_another_turn"


def test_whoever_came_further_had_what_lies_before() -> None:
    assert START.covers(START)
    assert Place(3, 1).covers(Place(3, 0)) and Place(3, 1).covers(Place(1, 1))
    assert not Place(3, 1).covers(Place(4, 0)) and not Place(3, 1).covers(Place(3, 2))
