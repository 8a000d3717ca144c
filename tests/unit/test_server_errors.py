"""Errors in an answer of status 200, as model servers put them; and what only looks like one."""

from typing import Any

import orjson
import pytest

from common.net.sse import ServerEvent
from workers.providers.base import UpstreamError
from workers.providers.openai_answer import OpenAIAnswer

SECRET = "sk-123 in /srv/model"

ERRORS: dict[str, Any] = {
    "OpenAI": {"error": {"message": SECRET, "type": "server_error", "code": None}},
    "a text": {"error": SECRET},
    "beside choices": {"choices": [{"index": 0, "delta": {"content": ""}}], "error": {"message": SECRET}},
    "vLLM": {"object": "error", "message": SECRET, "type": "InternalServerError", "param": None, "code": 500},
    "of type error": {"type": "error", "error": {"type": "api_error", "message": SECRET}},
    "nothing chosen": {"choices": None, "error_message": SECRET},
    "an empty choice list": {"choices": [], "message": SECRET, "code": 500},
    "a message and a code": {"message": SECRET, "code": "InternalError"},
    "FastAPI": {"detail": SECRET},
    "FastAPI's list": {"detail": [{"loc": ["body"], "msg": SECRET}]},
    "problem+json": {"title": "Oops", "status": 500, "detail": SECRET},
    "Cloudflare": {"success": False, "errors": [{"code": 7003, "message": SECRET}], "result": None},
    "DashScope": {"code": "InvalidParameter", "message": SECRET, "request_id": "1"},
    "MiniMax": {"choices": None, "base_resp": {"status_code": 1004, "status_msg": SECRET}},
    "Baidu": {"error_code": 336000, "error_msg": SECRET},
    "Groq": {"x_groq": {"error": SECRET}, "choices": [{"index": 0, "delta": {}}]},
    "Gemini": [{"error": {"code": 500, "message": SECRET, "status": "INTERNAL"}}],
    "Apigee": {"fault": {"faultstring": SECRET}},
    "Zhipu": {"code": 1234, "msg": SECRET},
    "a status": {"status": "error", "msg": SECRET},
    "failed": {"status": "failed"},
    "a finish": {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]},
    "DeepSeek": {"choices": [{"index": 0, "delta": {}, "finish_reason": "insufficient_system_resource"}]},
    "Zhipu's finish": {"choices": [{"index": 0, "delta": {}, "finish_reason": "network_error"}]},
    "SGLang": {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "abort"}]},
    "OpenRouter": {
        "choices": [
            {"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": SECRET}}
        ]
    },
    "a choice": {"choices": [{"index": 0, "error": {"message": SECRET}}]},
}


def read(value: Any, name: str = "") -> list[Any]:
    return list(OpenAIAnswer().read(ServerEvent(orjson.dumps(value), name=name)))


@pytest.mark.parametrize("value", ERRORS.values(), ids=ERRORS)
def test_an_error_is_one_in_any_shape_and_is_not_repeated(value: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(value)
    assert caught.value.code == "upstream_error"
    assert caught.value.faulty
    assert "sk-123" not in str(caught.value.as_event())


@pytest.mark.parametrize("data", [b"", b"{}", b'{"message": "x"}', b"Internal Server Error", b"[]", b"null"])
def test_an_event_that_is_called_error_is_one_whatever_it_holds(data: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        list(OpenAIAnswer().read(ServerEvent(data, name="error")))
    assert caught.value.code == "upstream_error"


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "slow down", "code": 429}},
        {"error": {"message": "x", "type": "rate_limit_error"}},
        {"error": {"type": "overloaded_error"}},
        {"object": "error", "message": "x", "code": "429"},
        {"code": "Throttling.RateQuota", "message": "x"},
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}},
        {"error": "Too Many Requests"},
    ],
)
def test_a_busy_server_is_left_alone(error: Any) -> None:
    with pytest.raises(UpstreamError) as caught:
        read(error)
    assert caught.value.code == "upstream_busy"
    assert caught.value.retry_after_s is not None


def test_a_request_that_is_refused_is_no_fault_of_the_servers() -> None:
    with pytest.raises(UpstreamError) as caught:
        read({"object": "error", "message": "too long", "code": 400})
    assert (caught.value.faulty, caught.value.status) == (False, 400)


FINE: list[dict[str, Any]] = [
    {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    {"choices": [], "error": None},
    {"choices": [], "error": {}},
    {"choices": [], "error": {"message": "", "code": None}},
    {"choices": [], "code": 0, "message": "ok"},
    {"choices": [], "code": 200, "msg": "success"},
    {"choices": None, "base_resp": {"status_code": 0, "status_msg": ""}},
    {"type": "ping", "message": "are you there"},
    {"event": "heartbeat"},
    {"choices": [], "status": "processing"},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": None}], "message": "a note", "code": 7},
    {"choices": [{"index": 0, "delta": {}}], "error": False},
]


@pytest.mark.parametrize("value", FINE, ids=str)
def test_what_only_looks_like_an_error_is_none(value: dict[str, Any]) -> None:
    assert read(value) == []


@pytest.mark.parametrize(
    "events",
    [
        [],
        [b"[DONE]"],
        [b'{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}', b"[DONE]"],
        [b'{"choices": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}', b"[DONE]"],
        [b'{"choices": [{"index": 0, "delta": {"reasoning_content": "Hm"}}]}', b"[DONE]"],
        [b'{"choices": [{"index": 0, "delta": {"content": "Half"}}]}'],
    ],
)
def test_an_end_of_nothing_is_an_error(events: list[bytes]) -> None:
    answer = OpenAIAnswer()
    for data in events:
        list(answer.read(ServerEvent(data)))
    with pytest.raises(UpstreamError) as caught:
        list(answer.end())
    assert (caught.value.code, caught.value.faulty) == ("upstream_cut", True)
