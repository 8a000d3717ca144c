"""Chunks of OpenAI's dialect as pieces."""

from typing import Any

import orjson
import pytest

from workers.providers.base import Finish, Other, ToolPiece, UpstreamError, Usage
from workers.providers.openai import read_chunk


def pieces(choice: dict[str, Any] | None = None, **chunk: Any) -> list[Any]:
    return list(read_chunk(orjson.dumps({"choices": [choice] if choice else [], **chunk})))


def test_text_and_its_end() -> None:
    assert pieces({"index": 0, "delta": {"role": "assistant", "content": ""}}) == []
    assert pieces({"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}) == ["Hi", Finish("stop")]


def test_tool_calls() -> None:
    call = {"index": 1, "id": "c", "function": {"name": "f", "arguments": "{"}}
    assert pieces({"index": 0, "delta": {"tool_calls": [call]}}) == [ToolPiece(1, "c", "f", "{")]
    more = {"index": 1, "function": {"arguments": "}"}}
    assert pieces({"index": 0, "delta": {"tool_calls": [more]}}) == [ToolPiece(1, "", "", "}")]


def test_usage_comes_alone() -> None:
    assert pieces(usage={"total_tokens": 3}) == [Usage({"total_tokens": 3})]


def test_what_is_neither_passes_as_it_came() -> None:
    assert pieces({"index": 0, "delta": {"reasoning_content": "hm"}}) == [
        Other({"delta": {"reasoning_content": "hm"}})
    ]
    logprobs = {"content": [{"token": "Hi"}]}
    assert pieces({"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs}) == [
        "Hi",
        Other({"logprobs": logprobs, "delta": {}}),
    ]
    other = {"index": 2, "delta": {"content": "Ho"}, "finish_reason": None}
    assert pieces(other) == [Other(other)]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b'{"choices": 5}',
        b'{"choices": [7]}',
        b'{"choices": [{"delta": 7}]}',
        b'{"usage": 7}',
        b'{"choices": [{"delta": {"tool_calls": [7]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": "x"}]}}]}',
    ],
)
def test_garbage_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        list(read_chunk(data))
    assert caught.value.code == "upstream_garbled"


def test_an_error_object_is_an_error_and_is_not_repeated() -> None:
    with pytest.raises(UpstreamError) as caught:
        list(read_chunk(b'{"error": {"message": "Incorrect API key provided: sk-123"}}'))
    assert caught.value.code == "upstream_error"
    assert "sk-123" not in caught.value.message
