"""One event of a model's server, as large and as nasty as it may be: what it costs is bounded."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from common.net.sse import MAX_EVENT_BYTES, ServerEvent
from common.tenants.profiles import Upstream
from workers.providers import calls
from workers.providers.base import Finish, PassThrough, StreamPart, ToolCallDelta, UpstreamError
from workers.providers.halves import Halves
from workers.providers.openai_answer import OpenAIAnswer
from workers.providers.registry import Providers
from workers.providers.values import MOST_VALUES, parsed

HEAD, TAIL = b'{"choices":[{"index":0,"delta":{"content":"a","x":', b"}}]}"


def read(data: bytes) -> list[StreamPart]:
    return list(OpenAIAnswer().read(ServerEvent(data)))


def filled(unit: bytes, head: bytes, tail: bytes, size: int = MAX_EVENT_BYTES) -> bytes:
    count = (size - len(head) - len(tail)) // len(unit)
    return head + (unit * count).rstrip(b",") + tail


def delta(**fields: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "delta": fields}]})


NASTY = {
    "deep lists": filled(b"[", HEAD, b""),
    "lists in lists": filled(b"[" * 100 + b"]" * 100 + b",", HEAD + b"[", b"]" + TAIL),
    "empty lists": filled(b"[],", HEAD + b"[", b"]" + TAIL),
    "numbers": filled(b"0,", HEAD + b"[", b"]" + TAIL),
    "objects": filled(b'{"a":1},', HEAD + b"[", b"]" + TAIL),
    "choices": filled(b"{},", b'{"choices":[', b"]}"),
    "calls": filled(b'{"function":{"name":"f"}},', b'{"choices":[{"delta":{"tool_calls":[', b"]}}]}"),
    "parts": filled(b'{"text":"a"},', b'{"choices":[{"delta":{"content":[', b"]}}]}"),
    "arguments": filled(
        b"0,", b'{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":[', b"]}}]}}]}"
    ),
    "usage": filled(b"0,", b'{"choices":[],"usage":{"prompt_tokens":1,"x":[', b"]}}"),
    "sources": filled(b'{"u":"x"},', b'{"choices":[],"citations":[', b"]}"),
    "chunks": filled(b"[],", b"[", b"]"),
    "no JSON": filled(b"NaN,", HEAD + b"[", b""),
    "halves": filled(b"\\ud83d", HEAD + b'"', b'"' + TAIL),
    "one number": filled(b"9", HEAD, TAIL),
}


@pytest.mark.parametrize("kind", NASTY)
def test_what_would_keep_the_loop_is_refused_before_it_is_read(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_parser(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was read by the slow parser")

    monkeypatch.setattr("workers.providers.values.json.loads", no_parser)
    with pytest.raises(UpstreamError) as caught:
        read(NASTY[kind])
    assert caught.value.code == "upstream_garbled"


def test_values_are_counted_whatever_they_are_in() -> None:
    most = b"[" + b",".join([b"0"] * MOST_VALUES) + b"]"
    assert len(parsed(most)) == MOST_VALUES
    for much in (most[:-1] + b",0]", b"[" + most + b"]", filled(b'{"a":', b"", b"", 6 * MOST_VALUES)):
        with pytest.raises(ValueError, match="too many values"):
            parsed(much)


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "Well, yes. " * 20_000},
        {"content": "是的。" * 60_000},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_900_000}}]},
        {
            "tool_calls": [
                {"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": "{}"}}
                for n in range(1_000)
            ]
        },
    ],
)
def test_what_a_model_says_is_read_however_long(fields: dict[str, Any]) -> None:
    assert read(delta(**fields))


def test_an_answer_of_many_lines_is_read_line_by_line() -> None:
    """Each is an event of its own there: none is too much, all together would be."""
    line = orjson.dumps({"choices": [{"index": 0, "delta": {"content": "a"}, "x": [0] * 10}]})
    pieces = read(b"\n".join([line] * 5_000))
    assert pieces.count("a") == 5_000


def test_others_have_their_turn_within_one_event() -> None:
    """Of many pieces that are there at once too."""

    class AtOnce:
        async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
            for number in range(1_000):
                yield ToolCallDelta(number, f"c{number}", "f", "{}")
            yield Finish("tool_calls")

    async def run() -> tuple[int, int]:
        turns = pieces = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        none: Any = None
        providers = Providers(none, none, none, None)
        providers._by_dialect["openai"] = AtOnce()
        task = asyncio.create_task(other())
        async for _ in providers.stream(Upstream("http://models", SecretStr(""), "m"), {}):
            pieces += 1
        task.cancel()
        return pieces, turns

    pieces, turns = asyncio.run(run())
    assert pieces == 1_001
    assert turns >= pieces // 20


def test_what_a_call_has_besides_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def as_json(value: Any) -> str:
        nonlocal measured
        text = orjson.dumps(value).decode()
        measured += len(text)
        return text

    monkeypatch.setattr(calls, "as_json", as_json)
    parts = [{"id": "a", "function": {"name": "f"}, f"k{n}": "y" * 900} for n in range(1_000)]
    list(calls.Calls().read(parts))
    assert measured < 2_000_000
    big = [{"id": "a", "function": {"name": "f"}, f"k{n}": "y" * 1_900} for n in range(1_000)]
    with pytest.raises(UpstreamError):
        list(calls.Calls().read(big))


def test_halves_are_paired_where_words_stand_and_no_deeper() -> None:
    def nested(text: str, deep: int) -> PassThrough:
        value: Any = text
        for _ in range(deep):
            value = [value]
        return PassThrough({"delta": {"reasoning_details": value}})

    halves = Halves()
    assert halves.feed(nested("a\ud83d", 3)) == nested("a", 3)
    assert halves.feed(nested("\ude42b", 3)) == nested("🙂b", 3)
    assert halves.feed(nested("a\ud83d", 40)) == nested("a\ufffd", 40)
    assert list(halves.end()) == []
