"""What model servers call things: contents, reasons, costs, sources; and what breaks on none of it."""

import asyncio
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from common.net.sse import ServerEvent
from common.tenants.profiles import Upstream
from workers.providers.base import Finish, PassThrough, StreamPart, UpstreamError, Usage
from workers.providers.openai_answer import OpenAIAnswer


def read(*choices: dict[str, Any], **more: Any) -> list[StreamPart]:
    """The pieces of one chunk."""
    chunk = {"choices": [{"index": 0, **choice} for choice in choices], **more}
    return list(OpenAIAnswer().read(ServerEvent(orjson.dumps(chunk))))


def thought(text: str) -> PassThrough:
    return PassThrough({"delta": {"reasoning_content": text}})


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
        ([{"type": "refusal", "refusal": "No"}], [PassThrough({"delta": {"refusal": "No"}})]),
        ([[HELLO]], ["Hello"]),
        (42, ["42"]),
        (1.5, ["1.5"]),
        (True, []),
        ({}, []),
        ([], []),
        (None, []),
    ],
)
def test_a_content_is_its_words_never_pythons(content: Any, pieces: list[StreamPart]) -> None:
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
    (usage,) = OpenAIAnswer().read(ServerEvent(orjson.dumps({"choices": [], **chunk})))
    assert isinstance(usage, Usage)
    assert {name: usage.tokens[name] for name in TOKENS} == TOKENS


NO_COUNTS: list[Any] = ["n/a", 1e300, -1, None, {}, True, "9" * 5_000]


@pytest.mark.parametrize(
    "usage",
    [
        *(None, {}, 7, "n/a", []),
        *({"prompt_tokens": count} for count in NO_COUNTS),
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
    answer = OpenAIAnswer()

    def chunk(text: str, reason: str | None, *sources: str) -> list[StreamPart]:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        return list(answer.read_value({"choices": [choice], "citations": list(sources)}))

    assert chunk("a", None, "x") == ["a"]
    assert chunk("b", None, "x", "y") == ["b"]
    assert chunk("c", "stop", "x", "y") == [
        "c",
        PassThrough({"delta": {"citations": ["x", "y"]}}),
        Finish("stop"),
    ]
    assert list(answer.end()) == []


def test_another_choice_of_no_number_is_the_first() -> None:
    indexes: list[Any] = ["x", {}, [1], -1, True, 1e300, None]
    for index in indexes:
        assert read({"index": index, "delta": {"content": "Hi"}}) == ["Hi"]
    (other,) = read({"index": "2", "delta": {"content": "Ho"}})
    assert isinstance(other, PassThrough) and other.choice["index"] == 2


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
        async for _ in providers.stream(Upstream("http://m/v1", SecretStr("secret"), "m"), {}):
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
        list(OpenAIAnswer().read(ServerEvent(orjson.dumps(value))))
    assert caught.value.code == "upstream_garbled"
