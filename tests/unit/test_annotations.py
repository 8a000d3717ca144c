"""Notes that a server adds to each chunk: told once."""

from typing import Any

from workers.lanes.annotations import Annotations

FILTER = {"content_filter_results": {"hate": {"filtered": False}}}


def told(*choices: dict[str, Any]) -> list[dict[str, Any]]:
    notes = Annotations()
    now = [choice for each in choices if (choice := notes.feed(each))]
    return [*now, *notes.rest(), *notes.rest()]


def test_what_is_said_of_a_choice_is_told_at_the_end_and_the_last_word_counts() -> None:
    last = {"content_filter_results": {"hate": {"filtered": True}}}
    said = [{**FILTER, "delta": {}} for _ in range(1_000)]
    assert told(*said, {**last, "delta": {}}) == [{**last, "delta": {}}]
    other = {"index": 1, "delta": {"content": "Hi"}, **FILTER}
    assert told(other, other) == [
        *([{"index": 1, "delta": {"content": "Hi"}}] * 2),
        {"index": 1, **FILTER, "delta": {}},
    ]


def test_the_message_so_far_is_no_news() -> None:
    said = [{"delta": {}, "message": {"role": "assistant", "content": "x" * n}} for n in range(100)]
    assert told(*said) == []


def test_lists_that_grow_are_told_by_what_is_new() -> None:
    sources = [{"url": str(n)} for n in range(50)]
    said = [{"delta": {"annotations": sources[:n]}} for n in range(51)]
    assert told(*said) == [{"delta": {"annotations": [source]}} for source in sources]


def test_what_streams_goes_as_it_comes() -> None:
    said: list[dict[str, Any]] = [
        {"delta": {"reasoning_content": "ha"}},
        {"delta": {"reasoning_content": "ha"}},
        {"delta": {"reasoning_details": [{"index": 0, "text": "x"}]}},
        {"delta": {"audio": {"data": "AAA="}}},
        {"delta": {}, "logprobs": {"content": [1]}},
        {"delta": {}, "logprobs": {"content": [1]}},
        {"index": 1, "delta": {}, "finish_reason": "stop"},
    ]
    assert told(*said) == said


def test_odd_shapes_are_no_trouble() -> None:
    assert told({"delta": None, "x": 1}, {"index": "1"}, {"delta": {"annotations": {"a": 1}}}) == [
        {"delta": {"annotations": {"a": 1}}},
        {"x": 1, "delta": {}},
    ]
