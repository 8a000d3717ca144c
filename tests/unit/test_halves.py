"""Characters that model servers cut in half, and bytes that are none."""

import orjson
import pytest

from common.net.sse import ServerEvent
from workers.providers.base import PassThrough, StreamPart, ToolCallDelta
from workers.providers.openai_answer import OpenAIAnswer
from workers.providers.tidying import Tidier


def tidied(*events: bytes) -> list[StreamPart]:
    answer, tidy = OpenAIAnswer(), Tidier()
    pieces = [piece for data in events for piece in answer.read(ServerEvent(data))]
    return [out for piece in pieces for out in tidy.feed(piece)] + list(tidy.end())


def event(delta: str, index: int = 0) -> bytes:
    return b'{"choices":[{"index":%d,"delta":%b}]}' % (index, delta.encode())


def in_words(*events: bytes) -> str:
    return "".join(piece for piece in tidied(*events) if isinstance(piece, str))


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((r"a\ud83d", r"\ude00b"), "a😀b"),
        ((r"\ud83d", "", r"\ude00"), "😀"),
        ((r"\ud83d", r"\ud83d", r"\ude00"), "\ufffd😀"),
        ((r"a\ud83d", "b"), "a\ufffdb"),
        ((r"\ude00a", r"b\ude00\ud83d"), "\ufffdab\ufffd\ufffd"),
        ((r"a\ud83d",), "a\ufffd"),
        ((r"\ud83d\ude00",), "😀"),
        (("😀", r"\ud83d\ude00\ud83d"), "😀😀\ufffd"),
    ],
)
def test_halves_are_paired_or_replaced(pieces: tuple[str, ...], text: str) -> None:
    assert in_words(*(event(f'{{"content":"{piece}"}}') for piece in pieces)) == text


def test_halves_are_paired_wherever_text_is_taken() -> None:
    calls = '{"tool_calls":[{"index":0,"id":"c%s","function":{"name":"f%s","arguments":"%s"}}]}'
    told = tidied(
        event(calls % (r"\ud83d", r"\udc00", r"\"\ud83d")),
        event('{"tool_calls":[{"index":0,"function":{"arguments":"\\ude00\\""}}]}'),
        event(r'{"reasoning_content":"a\ud83d"}'),
        event(r'{"reasoning_content":"\ude00"}'),
        event(r'{"content":"x\ud83d"}', index=1),
        event(r'{"content":"\ude00y"}', index=1),
        event(r'{"reasoning_details":[{"index":3,"text":"\ud83d"}]}'),
        event(r'{"reasoning_details":[{"index":3,"text":"\ude00"}]}'),
        event(r'{"\ud83dkey":"\ud83d"}'),
    )
    orjson.dumps(told)  # raises on halves
    calls_told = [piece for piece in told if isinstance(piece, ToolCallDelta)]
    assert "".join(piece.arguments for piece in calls_told) == '"😀"'
    assert (calls_told[0].id, calls_told[0].name) == ("c", "f\ufffd")
    others = [piece.choice for piece in told if isinstance(piece, PassThrough)]
    assert "".join(o["delta"].get("reasoning_content", "") for o in others) == "a😀"
    assert "".join(o["delta"]["content"] for o in others if o.get("index") == 1) == "x😀y"
    details = [
        o["delta"]["reasoning_details"][0]["text"] for o in others if "reasoning_details" in o["delta"]
    ]
    assert "".join(details) == "😀"


def test_broken_utf_8_and_numbers_that_are_none_break_nothing() -> None:
    assert in_words(event('{"content":"a').replace(b"}]}", b"") + b"\xff\xe4" + b'b"}}]}') == "a\ufffd\ufffdb"
    logprobs = b'{"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"logprob":-Infinity,"x":NaN}]}}]}'
    assert tidied(logprobs) == [
        PassThrough({"logprobs": {"content": [{"logprob": None, "x": None}]}, "delta": {}})
    ]
