"""Answers in the other dialects that come otherwise than their documents say."""

from typing import Any

import orjson

from common.net.sse import ServerEvent
from workers.providers import anthropic, ernie, yandex
from workers.providers.base import Finish, PassThrough, StreamPart, ToolCallDelta, Usage

HELLO = {"type": "text", "text": "Hello"}
THOUGHT = PassThrough({"delta": {"reasoning_content": "Hm"}})
TOKENS = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def anthropics(*events_: dict[str, Any]) -> list[StreamPart]:
    answer = anthropic._Answer()
    return [piece for value in events_ for piece in answer.read(ServerEvent(orjson.dumps(value)))]


def test_anthropics_input_may_come_with_its_block() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    start = {"type": "content_block_start", "index": 0, "content_block": tool}
    more = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "{}"},
    }
    stop = {"type": "content_block_stop", "index": 0}
    assert anthropics(start, stop) == [ToolCallDelta(0, "t", "f", ""), ToolCallDelta(0, "", "", '{"a":1}')]
    assert anthropics(start, more, stop) == [ToolCallDelta(0, "t", "f", ""), ToolCallDelta(0, "", "", "{}")]
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    assert anthropics(start, end)[1:] == [ToolCallDelta(0, "", "", '{"a":1}'), Finish("tool_calls")]


def test_anthropics_texts_may_come_with_their_blocks() -> None:
    def start(**block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": 0, "content_block": block}

    assert anthropics(start(type="text", text="Hello"), start(type="thinking", thinking="Hm")) == [
        "Hello",
        THOUGHT,
    ]
    unknown = {
        "type": "content_block_delta",
        "index": 5,
        "delta": {"type": "input_json_delta", "partial_json": "{"},
    }
    assert anthropics(start(type="server_tool_use", id="s", name="web_search", input={}), unknown) == []


def test_anthropics_message_may_come_whole() -> None:
    message = {
        "type": "message",
        "content": [HELLO, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 10, "output_tokens": "4", "cache_read_input_tokens": None},
    }
    *pieces, usage = anthropics(message)
    assert pieces == [
        "Hello",
        ToolCallDelta(0, "t", "f", ""),
        ToolCallDelta(0, "", "", "{}"),
        Finish("tool_calls"),
    ]
    assert isinstance(usage, Usage)
    assert (usage.tokens["prompt_tokens"], usage.tokens["completion_tokens"]) == (10, 4)


def test_ernies_answer_may_come_whole_and_think() -> None:
    value = {
        "result": "Hello",
        "reasoning_content": "Hm",
        "usage": TOKENS,
        "search_info": {"search_results": [1]},
    }
    sources = PassThrough({"delta": {"search_results": {"search_results": [1]}}})
    assert list(ernie.ErnieAnswer().read(ServerEvent(orjson.dumps(value)))) == [
        THOUGHT,
        "Hello",
        sources,
        Finish("stop"),
        Usage(TOKENS),
    ]


def test_ernies_arguments_are_json() -> None:
    value = {"result": "", "function_call": {"name": "f", "arguments": {"a": None}}, "is_end": True}
    call, finish = ernie.ErnieAnswer().read(ServerEvent(orjson.dumps(value)))
    assert isinstance(call, ToolCallDelta)
    assert (call.name, call.arguments, finish) == ("f", '{"a":null}', Finish("tool_calls"))


def test_yandexs_line_may_be_an_event_and_stand_without_a_result() -> None:
    answer = yandex._Answer()
    alternative = {"message": {"role": "assistant", "text": "Да"}, "status": "ALTERNATIVE_STATUS_FINAL"}
    line = b"data: " + orjson.dumps({"alternatives": [alternative], "usage": {"inputTextTokens": "3"}})
    assert list(answer.read(line)) == [
        "Да",
        Finish("stop"),
        Usage({"inputTextTokens": "3", "prompt_tokens": 3}),
    ]
    assert list(yandex._Answer().read(b": hi")) == []
