"""What model servers call things: contents, reasons, costs, sources, halves of characters, addresses."""

import asyncio
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from common.profiles import Upstream
from common.sse import ServerEvent
from workers.providers import anthropic, ernie, yandex
from workers.providers.base import Finish, Other, Piece, ToolPiece, UpstreamError, Usage
from workers.providers.openai import chat_url, login
from workers.providers.openai_answer import Answer
from workers.providers.tidying import Tidy


def read(*choices: dict[str, Any], **more: Any) -> list[Piece]:
    """The pieces of one chunk."""
    chunk = {"choices": [{"index": 0, **choice} for choice in choices], **more}
    return list(Answer().read(ServerEvent(orjson.dumps(chunk))))


def thought(text: str) -> Other:
    return Other({"delta": {"reasoning_content": text}})


HELLO = {"type": "text", "text": "Hello"}


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, HELLO],
            [thought("Hm"), "Hello"],
        ),
        ([{"type": "thinking", "thinking": "Hm"}, HELLO], [thought("Hm"), "Hello"]),
        ([{"type": "reasoning", "summary": [{"text": "Hm"}, {"text": "m"}]}], [thought("Hmm")]),
        ([{"text": "Hm", "thought": True}, {"text": "Hello"}], [thought("Hm"), "Hello"]),
        (
            {"parts": [{"text": "Hm", "thought": True}, {"text": "Hello"}], "role": "model"},
            [thought("Hm"), "Hello"],
        ),
        (HELLO, ["Hello"]),
        ([{"type": "output_text", "text": "Hello", "annotations": []}], ["Hello"]),
        ([{"type": "text", "text": {"value": "Hello", "annotations": []}}], ["Hello"]),
        (["Hel", "lo"], ["Hel", "lo"]),
        ([None, 7, True, {}, [], {"type": "text"}, {"type": "text", "text": None}], ["7"]),
        ([{"type": "redacted_thinking", "data": "xx"}, HELLO], ["Hello"]),
        (
            [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "tool_use", "name": "f"}, HELLO],
            ["Hello"],
        ),
        ([{"type": "reference", "reference_ids": [1]}, HELLO], ["Hello"]),
        ([{"type": "refusal", "refusal": "No"}], [Other({"delta": {"refusal": "No"}})]),
        ([[HELLO]], ["Hello"]),
        (42, ["42"]),
        (1.5, ["1.5"]),
        (True, []),
        ({}, []),
        ([], []),
        (None, []),
    ],
)
def test_a_content_is_its_words_never_pythons(content: Any, pieces: list[Piece]) -> None:
    assert read({"delta": {"content": content}}) == pieces
    assert read({"message": {"role": "assistant", "content": content}}) == pieces


def test_a_content_that_nests_without_end_is_no_answer() -> None:
    content: Any = "x"
    for _ in range(200):
        content = [content]
    assert read({"delta": {"content": content}}) == []


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("eos_token", "stop"),
        ("COMPLETE", "stop"),
        ("something new", "stop"),
        ("MAX_TOKENS", "length"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("sensitive", "content_filter"),
        ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("tool_use", "tool_calls"),
        ("TOOL_CALL", "tool_calls"),
        ("function_call", "function_call"),
    ],
)
def test_a_reason_is_openais_whatever_the_word(word: str, reason: str) -> None:
    assert read({"delta": {}, "finish_reason": word}) == [Finish(reason)]


@pytest.mark.parametrize(
    "word", [None, "", "null", "None", "NULL", "FINISH_REASON_UNSPECIFIED", 0, False, {}]
)
def test_no_reason_is_none(word: Any) -> None:
    assert read({"delta": {"content": "Hi"}, "finish_reason": word}) == ["Hi"]


TOKENS = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


@pytest.mark.parametrize(
    "chunk",
    [
        {"usage": TOKENS},
        {"choices": None, "usage": TOKENS},
        {"x_groq": {"id": "req", "usage": TOKENS}},
        {"choices": [{"index": 0, "delta": {}, "usage": TOKENS}]},
        {"usage": {"input_tokens": 10, "output_tokens": 4}},
        {"usage": {"prompt_tokens": "10", "completion_tokens": "4"}},
        {"usage": {"prompt_tokens": 10.0, "completion_tokens": 4.0}},
        {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}},
        {"usage": None, "timings": {"prompt_n": 10, "predicted_n": 4}},
        {"prompt_eval_count": 10, "eval_count": 4, "done": True},
        {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 10, "outputTokenCount": 4}},
    ],
)
def test_a_cost_is_found_wherever_it_is_told(chunk: dict[str, Any]) -> None:
    (usage,) = Answer().read(ServerEvent(orjson.dumps({"choices": [], **chunk})))
    assert isinstance(usage, Usage)
    assert {name: usage.tokens[name] for name in TOKENS} == TOKENS


@pytest.mark.parametrize(
    "usage",
    [
        *(None, {}, 7, "n/a", []),
        *({"prompt_tokens": count} for count in ("n/a", 1e300, -1, None, {}, True, "9" * 5_000)),
        {"completion_tokens": float("nan"), "total_tokens": -1},
    ],
)
def test_a_cost_of_no_counts_is_none(usage: Any) -> None:
    assert read(usage=usage) == []


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 2}},
        {"input_tokens_details": {"cached_tokens": 8}, "output_tokens_details": {"reasoning_tokens": 2}},
        {"prompt_cache_hit_tokens": 8, "reasoning_tokens": 2},
        {"cachedContentTokenCount": 8, "thoughtsTokenCount": 2},
        {"cached_tokens": 8, "reasoning_tokens": 2},
        {"cache_read_input_tokens": 8, "completion_tokens_details": {"reasoning_tokens": "2"}},
    ],
)
def test_cached_and_thought_tokens_stand_where_openai_has_them(usage: dict[str, Any]) -> None:
    (cost,) = read(usage={**TOKENS, **usage})
    assert isinstance(cost, Usage)
    assert cost.tokens["prompt_tokens_details"]["cached_tokens"] == 8
    assert cost.tokens["completion_tokens_details"]["reasoning_tokens"] == 2


def test_sources_are_told_once_as_they_are_at_the_end() -> None:
    answer = Answer()

    def chunk(text: str, reason: str | None, *sources: str) -> list[Piece]:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        return list(answer.read_value({"choices": [choice], "citations": list(sources)}))

    assert chunk("a", None, "x") == ["a"]
    assert chunk("b", None, "x", "y") == ["b"]
    assert chunk("c", "stop", "x", "y") == ["c", Other({"delta": {"citations": ["x", "y"]}}), Finish("stop")]
    assert list(answer.end()) == []


def test_another_choice_of_no_number_is_the_first() -> None:
    for index in ("x", {}, [1], -1, True, 1e300, None):
        assert read({"index": index, "delta": {"content": "Hi"}}) == ["Hi"]
    (other,) = read({"index": "2", "delta": {"content": "Ho"}})
    assert isinstance(other, Other) and other.choice["index"] == 2


# Halves of characters.


def tidied(*events: bytes) -> list[Piece]:
    answer, tidy = Answer(), Tidy()
    pieces = [piece for data in events for piece in answer.read(ServerEvent(data))]
    return [out for piece in pieces for out in tidy.take(piece)] + list(tidy.end())


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
    calls_told = [piece for piece in told if isinstance(piece, ToolPiece)]
    assert "".join(piece.arguments for piece in calls_told) == '"😀"'
    assert (calls_told[0].id, calls_told[0].name) == ("c", "f\ufffd")
    others = [piece.choice for piece in told if isinstance(piece, Other)]
    assert "".join(o["delta"].get("reasoning_content", "") for o in others) == "a😀"
    assert "".join(o["delta"]["content"] for o in others if o.get("index") == 1) == "x😀y"
    details = [
        o["delta"]["reasoning_details"][0]["text"] for o in others if "reasoning_details" in o["delta"]
    ]
    assert "".join(details) == "😀"


def test_broken_utf_8_and_numbers_that_are_none_break_nothing() -> None:
    assert in_words(event('{"content":"a').replace(b"}]}", b"") + b"\xff\xe4" + b'b"}}]}') == "a\ufffd\ufffdb"
    logprobs = b'{"choices":[{"index":0,"delta":{},"logprobs":{"content":[{"logprob":-Infinity,"x":NaN}]}}]}'
    assert tidied(logprobs) == [Other({"logprobs": {"content": [{"logprob": None, "x": None}]}, "delta": {}})]


# Azure.

KEY = SecretStr("secret")
AZURE = "https://r.openai.azure.com"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://m/v1", "https://m/v1/chat/completions"),
        ("https://m/v1/", "https://m/v1/chat/completions"),
        ("https://m/v1?key=a%20b&x=1", "https://m/v1/chat/completions?key=a%20b&x=1"),
        ("https://m/v1/chat/completions?x=1", "https://m/v1/chat/completions?x=1"),
        (
            f"{AZURE}/openai/deployments/d?api-version=2024-10-21",
            f"{AZURE}/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
        (
            f"{AZURE}/openai/deployments/d/chat/completions?api-version=1",
            f"{AZURE}/openai/deployments/d/chat/completions?api-version=1",
        ),
        (
            f"{AZURE}/?api-version=2024-10-21",
            f"{AZURE}/openai/deployments/gpt%2F4/chat/completions?api-version=2024-10-21",
        ),
        (f"{AZURE}/openai/v1", f"{AZURE}/openai/v1/chat/completions"),
        (AZURE, f"{AZURE}/openai/v1/chat/completions"),
        (
            "https://r.services.ai.azure.com/models?api-version=1",
            "https://r.services.ai.azure.com/models/chat/completions?api-version=1",
        ),
    ],
)
def test_a_query_stays_behind_the_path(base: str, url: str) -> None:
    assert chat_url(Upstream(base, KEY, "gpt/4")) == url


@pytest.mark.parametrize(
    ("base", "key", "headers"),
    [
        (f"{AZURE}/openai/v1", "secret", {"api-key": "secret"}),
        ("https://gateway/openai/deployments/d?api-version=1", "secret", {"api-key": "secret"}),
        (AZURE, "Bearer entra", {"Authorization": "Bearer entra"}),
        (AZURE, "", {}),
        ("https://m/v1", "secret", {"Authorization": "Bearer secret"}),
        ("https://m/v1?version=1", "secret", {"Authorization": "Bearer secret"}),
        ("https://openai.azure.com.evil.example/v1", "secret", {"Authorization": "Bearer secret"}),
    ],
)
def test_azures_keys_stand_in_a_header_of_their_own(base: str, key: str, headers: dict[str, str]) -> None:
    assert login(Upstream(base, SecretStr(key), "m"), base) == headers


# The other dialects.


def anthropics(*events_: dict[str, Any]) -> list[Piece]:
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
    assert anthropics(start, stop) == [ToolPiece(0, "t", "f", ""), ToolPiece(0, "", "", '{"a":1}')]
    assert anthropics(start, more, stop) == [ToolPiece(0, "t", "f", ""), ToolPiece(0, "", "", "{}")]
    end = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}
    assert anthropics(start, end)[1:] == [ToolPiece(0, "", "", '{"a":1}'), Finish("tool_calls")]


def test_anthropics_texts_may_come_with_their_blocks() -> None:
    def start(**block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": 0, "content_block": block}

    assert anthropics(start(type="text", text="Hello"), start(type="thinking", thinking="Hm")) == [
        "Hello",
        thought("Hm"),
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
    assert pieces == ["Hello", ToolPiece(0, "t", "f", ""), ToolPiece(0, "", "", "{}"), Finish("tool_calls")]
    assert isinstance(usage, Usage)
    assert (usage.tokens["prompt_tokens"], usage.tokens["completion_tokens"]) == (10, 4)


def test_ernies_answer_may_come_whole_and_think() -> None:
    value = {
        "result": "Hello",
        "reasoning_content": "Hm",
        "usage": TOKENS,
        "search_info": {"search_results": [1]},
    }
    sources = Other({"delta": {"search_results": {"search_results": [1]}}})
    assert list(ernie.Answer().read(ServerEvent(orjson.dumps(value)))) == [
        thought("Hm"),
        "Hello",
        sources,
        Finish("stop"),
        Usage(TOKENS),
    ]


def test_ernies_arguments_are_json() -> None:
    value = {"result": "", "function_call": {"name": "f", "arguments": {"a": None}}, "is_end": True}
    call, finish = ernie.Answer().read(ServerEvent(orjson.dumps(value)))
    assert isinstance(call, ToolPiece)
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


def test_a_provider_that_stumbles_is_the_upstreams_error(caplog: pytest.LogCaptureFixture) -> None:
    """A bug of ours over what a server says ends its lane with an error that its fallback sees."""
    from workers.providers.registry import Providers

    class Broken:
        async def stream(self, upstream: Upstream, body: dict[str, Any]) -> Any:
            yield "Hi"
            raise RuntimeError("a bug")

    async def run() -> None:
        none: Any = None
        providers = Providers(none, none, none, None)
        providers._by_dialect["openai"] = Broken()
        async for _ in providers.stream(Upstream("http://m/v1", KEY, "m"), {}):
            pass

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(run())
    assert caught.value.code == "upstream_error"
    assert "a provider broke" in caplog.text


HUGE: list[Any] = [
    {"choices": [{}] * 100_000},
    {"choices": [{"index": 0, "delta": {"content": ["x"] * 100_000}}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"name": "f"}}] * 100_000}}]},
    [{"choices": []}] * 100_000,
]


@pytest.mark.parametrize("value", HUGE)
def test_an_event_of_too_many_things_is_no_answer(value: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        list(Answer().read(ServerEvent(orjson.dumps(value))))
    assert caught.value.code == "upstream_garbled"
