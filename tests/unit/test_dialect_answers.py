"""What the other dialects' events mean; whatever makes no sense is one kind of error."""

import asyncio
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from common.net.sse import ServerEvent
from common.tenants.profiles import Upstream
from workers.providers import anthropic, ernie, exchange, yandex
from workers.providers.base import Finish, PassThrough, StreamPart, ToolCallDelta, UpstreamError, Usage
from workers.providers.litellm import LiteLLMProvider


def read_ernie(**event: Any) -> list[StreamPart]:
    return list(ernie.ErnieAnswer().read(event_of({"is_end": True, **event})))


def event_of(value: Any) -> ServerEvent:
    return ServerEvent(orjson.dumps(value))


def test_ernies_reasons() -> None:
    for given, reason in {
        "normal": "stop",
        "stop": "stop",
        "length": "length",
        "content_filter": "content_filter",
    }.items():
        assert read_ernie(result="", finish_reason=given) == [Finish(reason)]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert read_ernie(result="x", is_truncated=True, usage=usage) == ["x", Finish("length"), Usage(usage)]


@pytest.mark.parametrize(
    ("number", "code", "busy_s", "faulty"),
    [
        (4, "upstream_busy", 1, True),
        (17, "upstream_busy", 60, True),
        (18, "upstream_busy", 1, True),
        (336100, "upstream_busy", 1, True),
        (336501, "upstream_busy", 1, True),
        (336000, "upstream_error", None, True),
        (336003, "upstream_refused", None, False),
        (6, "upstream_refused", None, False),
        (111, "upstream_refused", None, False),
    ],
)
def test_ernies_error_codes(number: int, code: str, busy_s: float | None, faulty: bool) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_ernie(error_code=number, error_msg="key sk-123")
    assert (caught.value.code, caught.value.retry_after_s, caught.value.faulty) == (code, busy_s, faulty)
    assert "sk-123" not in caught.value.message


def test_yandexs_filter_takes_nothing_back() -> None:
    answer = yandex._Answer()

    def line(text: str, status: str) -> bytes:
        alternative = {
            "message": {"role": "assistant", "text": text},
            "status": f"ALTERNATIVE_STATUS_{status}",
        }
        return orjson.dumps({"result": {"alternatives": [alternative]}})

    assert list(answer.read(line("Привет", "PARTIAL"))) == ["Привет"]
    assert list(answer.read(line("Привет, мир", "PARTIAL"))) == [", мир"]
    assert list(answer.read(line("Привет, мир", "PARTIAL"))) == []
    ending = list(answer.read(line("Об этом я говорить не могу, извините", "CONTENT_FILTER")))
    assert ending[0] == Finish("content_filter")
    assert answer.over


def test_anthropics_blocks() -> None:
    answer = anthropic._Answer()

    def read(kind: str, **fields: Any) -> list[StreamPart]:
        return list(answer.read(event_of({"type": kind, **fields})))

    usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1}
    assert read("message_start", message={"usage": usage}) == []
    assert read("ping") == read("some_day_new") == []
    thinking = {"type": "thinking_delta", "thinking": "hm"}
    assert read("content_block_delta", index=0, delta=thinking) == [
        PassThrough({"delta": {"reasoning_content": "hm"}})
    ]
    for block, name in ((1, "f"), (3, "g")):
        tool = {"type": "tool_use", "id": f"t{block}", "name": name, "input": {}}
        number = (block - 1) // 2
        assert read("content_block_start", index=block, content_block=tool) == [
            ToolCallDelta(number, f"t{block}", name, "")
        ]
    more = {"type": "input_json_delta", "partial_json": '{"a":1}'}
    assert read("content_block_delta", index=1, delta=more) == [ToolCallDelta(0, "", "", '{"a":1}')]
    assert read("content_block_stop", index=1) == []
    assert read("content_block_stop", index=3) == [ToolCallDelta(1, "", "", "{}")]
    assert read("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}) == [
        Finish("tool_calls")
    ]
    (cost,) = read("message_stop")
    assert isinstance(cost, Usage)
    assert (cost.tokens["prompt_tokens"], cost.tokens["completion_tokens"]) == (8, 9)


@pytest.mark.parametrize(
    ("kind", "code"), [("overloaded_error", "upstream_busy"), ("api_error", "upstream_error")]
)
def test_anthropics_errors(kind: str, code: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        list(anthropic._Answer().read(event_of({"type": "error", "error": {"type": kind}})))
    assert caught.value.code == code


def test_a_space_that_anthropic_was_not_told_comes_once() -> None:
    answer = anthropic._Answer(spaced=True)

    def read(text: str) -> list[StreamPart]:
        delta = {"type": "text_delta", "text": text}
        return list(answer.read(event_of({"type": "content_block_delta", "index": 0, "delta": delta})))

    assert [read(" "), read(" at"), read(" nine")] == [[], ["at"], [" nine"]]


GARBAGE = [b"{", b"7", b"[]", b"{}", b'{"type": 7}', b'{"result": 7, "is_end": {}, "error_code": "x"}']


@pytest.mark.parametrize("data", GARBAGE)
def test_garbage(data: bytes) -> None:
    for reading in (ernie.ErnieAnswer().read(ServerEvent(data)), yandex._Answer().read(data)):
        with pytest.raises(UpstreamError) as caught:
            list(reading)
        assert caught.value.code == "upstream_garbled"


@pytest.mark.parametrize("data", GARBAGE[:3])
def test_garbage_of_anthropics(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        list(anthropic._Answer().read(ServerEvent(data)))
    assert caught.value.code == "upstream_garbled"


@pytest.mark.parametrize(
    ("status", "headers", "busy_s"),
    [
        (429, {}, 1),
        (429, {"retry-after": "2.5"}, 2.5),
        (429, {"retry-after-ms": "20", "retry-after": "1"}, 0.02),
        (429, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        (429, {"retry-after": "soon"}, 1),
        (429, {"retry-after": "99999"}, 600),
        (503, {"retry-after": "3"}, 3),
        (529, {}, 1),
        (503, {}, None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(
    status: int, headers: dict[str, str], busy_s: float | None
) -> None:
    error = exchange.refusal(status, httpx.Headers(headers))
    assert error.retry_after_s == busy_s
    assert error.code == ("upstream_refused" if busy_s is None else "upstream_busy")


class _Chunk:
    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def model_dump(self, exclude_none: bool) -> dict[str, Any]:
        return self._fields


class _StatusError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__("your key sk-123 is wrong")
        self.status_code = status_code


def ask_litellm(
    monkeypatch: pytest.MonkeyPatch, *steps: Any, at: str = "", more: dict[str, Any] | None = None
) -> tuple[list[StreamPart], dict[str, Any]]:
    """What a fake of the package says, and what it was asked."""
    asked: dict[str, Any] = {}
    module = ModuleType("litellm")

    async def chunks() -> AsyncIterator[Any]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield step

    async def acompletion(**fields: Any) -> AsyncIterator[Any]:
        asked.update(fields)
        return chunks()

    module.__dict__["acompletion"] = acompletion
    monkeypatch.setitem(sys.modules, "litellm", module)

    async def run() -> list[StreamPart]:
        upstream = Upstream(at, SecretStr("k"), "mistral/large")
        body = {"model": upstream.model, "messages": [], "max_tokens": 3, **(more or {})}
        return [piece async for piece in LiteLLMProvider().stream(upstream, body)]

    return asyncio.run(run()), asked


def test_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    first = _Chunk(choices=[{"index": 0, "delta": {"content": "Hi"}}])
    last = _Chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage={"total_tokens": 2})
    pieces, asked = ask_litellm(monkeypatch, first, last)
    assert pieces == ["Hi", Finish("stop"), Usage({"total_tokens": 2})]
    assert asked["model"] == "mistral/large"
    assert (asked["api_key"], asked["max_tokens"], asked["stream"]) == ("k", 3, True)
    assert "base_url" not in asked


LITELLMS_OWN = {
    "api_base": "http://elsewhere",
    "base_url": "http://elsewhere",
    "api_key": "another",
    "api_version": "1",
    "api_type": "azure",
    "azure_ad_token": "x",
    "aws_access_key_id": "x",
    "aws_bedrock_runtime_endpoint": "http://elsewhere",
    "vertex_credentials": "{}",
    "organization": "x",
    "num_retries": 9,
    "max_retries": 9,
    "timeout": 0.001,
    "request_timeout": 0.001,
    "stream_timeout": 0.001,
    "custom_llm_provider": "openai",
    "extra_headers": {"Host": "elsewhere"},
    "headers": {"Authorization": "x"},
    "extra_body": {"api_key": "x"},
    "mock_response": "No model was asked.",
    "mock_tool_calls": [],
    "mock_timeout": True,
    "fallbacks": ["x/y"],
    "context_window_fallback_dict": {},
    "model_list": [],
    "metadata": {"user_api_key": "x"},
    "litellm_params": {"api_base": "http://elsewhere"},
    "litellm_call_id": "x",
    "logger_fn": "print",
    "success_callback": ["x"],
    "input_cost_per_token": 0,
    "caching": True,
    "cache": {"no-cache": True},
    "client": "x",
    "ssl_verify": False,
    "proxy": "http://elsewhere",
    "deployment_id": "x",
    "drop_params": False,
    "stream": False,
    "stream_options": {"include_usage": False},
    "shared_session": "x",
    "hf_model_name": "x",
    "prompt_id": "x",
    "no-log": True,
}


@pytest.mark.parametrize("base_url", ["", "http://operators"])
def test_nothing_of_litellms_own_goes_on_from_a_request(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another address would be given the operator's key; retries would open the breaker for all."""
    last = _Chunk(choices=[{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}])
    _, plain = ask_litellm(monkeypatch, last, at=base_url)
    _, asked = ask_litellm(monkeypatch, last, at=base_url, more=LITELLMS_OWN | {"temperature": 0.5})
    assert asked == {**plain, "temperature": 0.5}
    assert (asked["api_key"], asked.get("base_url", ""), asked["num_retries"]) == ("k", base_url, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (_StatusError(429), "upstream_busy"),
        (_StatusError(408), "upstream_timeout"),
        (_StatusError(401), "upstream_refused"),
        (RuntimeError("sk-123"), "upstream_error"),
    ],
)
def test_litellms_errors(monkeypatch: pytest.MonkeyPatch, error: Exception, code: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        ask_litellm(monkeypatch, error)
    assert caught.value.code == code
    assert "sk-123" not in caught.value.message


def test_without_litellm_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)

    async def run() -> None:
        async for _ in LiteLLMProvider().stream(Upstream("", SecretStr(""), "x"), {}):
            pass

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(run())
    assert caught.value.code == "provider_missing"
    assert "pip install litellm" in caught.value.message
