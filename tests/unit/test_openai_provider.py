"""Chunks of OpenAI's dialect as pieces."""

from typing import Any

import orjson
import pytest

from common.net.sse import ServerEvent
from workers.providers.base import Finish, PassThrough, ToolCallDelta, UpstreamError, Usage
from workers.providers.openai_answer import OpenAIAnswer


def read(data: bytes) -> list[Any]:
    """The pieces in one event of an answer's, which goes on."""
    return list(OpenAIAnswer().read(ServerEvent(data)))


def pieces(choice: dict[str, Any] | None = None, **chunk: Any) -> list[Any]:
    return read(orjson.dumps({"choices": [choice] if choice else [], **chunk}))


def test_text_and_its_end() -> None:
    assert pieces({"index": 0, "delta": {"role": "assistant", "content": ""}}) == []
    assert pieces({"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}) == ["Hi", Finish("stop")]


def test_tool_calls() -> None:
    answer = OpenAIAnswer()
    first = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
    more = {"index": 0, "function": {"arguments": "}"}}
    told = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in (first, more)]
    assert [list(answer.read_value(chunk)) for chunk in told] == [
        [ToolCallDelta(0, "c", "f", "{")],
        [ToolCallDelta(0, "", "", "}")],
    ]


def test_usage_comes_alone() -> None:
    assert pieces(usage={"total_tokens": 3}) == [Usage({"total_tokens": 3})]


def test_what_is_neither_passes_as_it_came() -> None:
    assert pieces({"index": 0, "delta": {"reasoning_content": "hm"}}) == [
        PassThrough({"delta": {"reasoning_content": "hm"}})
    ]
    logprobs = {"content": [{"token": "Hi"}]}
    assert pieces({"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs}) == [
        "Hi",
        PassThrough({"logprobs": logprobs, "delta": {}}),
    ]
    other = {"index": 2, "delta": {"content": "Ho"}, "finish_reason": None}
    assert pieces(other) == [PassThrough(other)]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b'{"choices": 5}',
        b'{"choices": [7]}',
        b'{"choices": [{"delta": 7}]}',
        b'{"choices": [{"delta": {"tool_calls": [7]}}]}',
    ],
)
def test_garbage_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(data)
    assert caught.value.code == "upstream_garbled"


def test_an_error_object_is_an_error_and_is_not_repeated() -> None:
    with pytest.raises(UpstreamError) as caught:
        read(b'{"error": {"message": "Incorrect API key provided: sk-123"}}')
    assert caught.value.code == "upstream_error"
    assert "sk-123" not in caught.value.message
