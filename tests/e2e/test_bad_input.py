"""Requests that are wrong: the client is told what, in OpenAI's shape, and nothing breaks."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.gateway_stack import PATH, Stack, user

SECRET = "s3cret-value"
OK = {"messages": [user("Hello")]}


def assert_error(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert SECRET not in answer.text
    return dict(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"messages": [',
        b"\xff\xfe",
        b'{"messages": "\xff"}',
        b"null",
        b"[]",
        b'"s3cret-value"',
        b"s3cret-value",
        b"12",
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": NaN}]}',
        b"[" * 100_000,
        b'{"a":' * 30_000,  # of more fields than a body may have it is told how many those are
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_json_object(stack: Stack, body: bytes) -> None:
    error = assert_error(stack.client.post(PATH, content=body))
    assert error["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": SECRET}, "messages"),
        ({"messages": {"0": user("Hello")}}, "messages"),
        ({"messages": [SECRET]}, "messages.0"),
        ({"messages": [None]}, "messages.0"),
        ({"messages": [{}]}, "messages.0.role"),
        ({"messages": [{"content": "Hello"}]}, "messages.0.role"),
        ({"messages": [{"role": SECRET, "content": "Hello"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0"),
        ({"messages": [user("Hello"), {"role": "user", "content": 5}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": [SECRET]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": {"text": SECRET}}]}, "messages.0.content"),
        ({"model": 7}, "model"),
        ({"model": [SECRET]}, "model"),
        ({"stream": SECRET}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": SECRET}, "stream_options"),
        ({"stream_options": {"include_usage": SECRET}}, "stream_options.include_usage"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": SECRET}, "max_tokens"),
        ({"max_completion_tokens": -5}, "max_completion_tokens"),
        ({"stop": 5}, "stop"),
        ({"stop": [SECRET, 5]}, "stop"),
        ({"tools": SECRET}, "tools"),
        ({"tools": [SECRET]}, "tools.0"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"response_format": SECRET}, "response_format"),
        ({"logprobs": SECRET}, "logprobs"),
        ({"session_id": 5}, "session_id"),
        ({"taskId": [SECRET]}, "taskId"),
        ({"useProgressiveResponse": "false"}, "useProgressiveResponse"),
        ({"fast_reply": SECRET}, "fast_reply"),
        ({"fast_reply": {"lanes": SECRET}}, "fast_reply.lanes"),
        ({"fast_reply": {"policy": SECRET}}, "fast_reply.policy"),
        ({"fast_reply": {"lane": True}}, "fast_reply.lane"),
    ],
    ids=lambda case: json.dumps(case)[:60],
)
def test_a_field_that_is_wrong_is_named(stack: Stack, fields: dict[str, Any], param: str) -> None:
    error = assert_error(stack.client.post(PATH, json={**OK, **fields}))
    assert str(error["param"]).startswith(param)


def test_missing_messages(stack: Stack) -> None:
    error = assert_error(stack.client.post(PATH, json={"model": "full"}))
    assert (error["param"], error["code"]) == ("messages", "missing_required_parameter")


@pytest.mark.parametrize(
    "name", ["x" * 129, "a\x00b", "a\nb", "a\x7fb", "a\u2028b", "\u202eabc", " a", "a ", " "]
)
def test_an_absurd_session_in_the_body(stack: Stack, name: str) -> None:
    error = assert_error(stack.client.post(PATH, json={**OK, "session_id": name}))
    assert error["param"] == "session_id"


@pytest.mark.parametrize("header", ["X-Session-ID", "X-Task-ID"])
@pytest.mark.parametrize("name", [b"x" * 129, b"a\tb", b"\x80\x81"])
def test_an_absurd_session_in_a_header(stack: Stack, header: str, name: bytes) -> None:
    error = assert_error(stack.client.post(PATH, json=OK, headers={header.encode(): name}))
    assert error["param"] == "session_id"


def test_an_empty_session_in_a_header_is_none(stack: Stack) -> None:
    answer = stack.client.post(PATH, json=OK, headers={"X-Session-ID": ""})
    assert answer.status_code == 200
    assert answer.headers["x-session-id"].strip()


LIMIT = 1_048_576


def oversized(size: int) -> bytes:
    return json.dumps({"messages": [user("x" * size)]}).encode()[:size]


def test_a_body_over_the_limit(stack: Stack) -> None:
    error = assert_error(stack.client.post(PATH, content=oversized(LIMIT + 1)), 413)
    assert error["code"] == "body_too_large"


def test_a_body_over_the_limit_that_does_not_say_so(stack: Stack) -> None:
    def parts() -> Iterator[bytes]:
        whole = oversized(3 * LIMIT)
        for start in range(0, len(whole), 65_536):
            yield whole[start : start + 65_536]

    with httpx.Client(base_url=stack.url, timeout=20, trust_env=False) as client:
        assert_error(client.post(PATH, content=parts()), 413)


def test_a_body_at_the_limit(stack: Stack) -> None:
    frame = len(json.dumps({"messages": [user("")], "model": "full-at-limit"}))
    body = json.dumps({"messages": [user("x" * (LIMIT - frame))], "model": "full-at-limit"}).encode()
    assert len(body) == LIMIT
    answer = stack.client.post(PATH, content=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/v2/chat/completions", "/%00", "/../etc/passwd"])
def test_an_unknown_path(stack: Stack, path: str) -> None:
    assert_error(stack.client.post(path, json=OK), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("DELETE", PATH), ("POST", "/v1/models"), ("GET", "/")]
)
def test_a_wrong_method(stack: Stack, method: str, path: str) -> None:
    answer = stack.client.request(method, path)
    assert_error(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b\x1b[31m", "\u2028\u2029", "\ufeff", "🏳️‍🌈", "\u202e", "%s {0} ${x}", ""]
)
def test_strange_text_is_text(stack: Stack, text: str) -> None:
    model = stack.simulator.full(text=text + "x")
    answer = stack.ask(model, messages=[user(text)], useProgressiveResponse=False)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == text + "x"
    assert stack.simulator.requests(model)[0]["messages"] == [user(text)]


@pytest.mark.parametrize("depth", [50, 200, 250, 300, 600, 1000])
def test_json_that_is_nested_deeply(stack: Stack, depth: int) -> None:
    body = b'{"messages":[{"role":"user","content":"Hello"}],"x":' + b"[" * depth + b"]" * depth + b"}"
    answer = stack.client.post(PATH, content=body)
    if answer.status_code != 200 or depth > 900:
        assert depth > 100
        assert_error(answer)
    assert stack.client.post(PATH, json=OK).status_code == 200, "the request broke more than itself"


def test_numbers_beyond_all_measure(stack: Stack) -> None:
    for number in (b"1e400", b"-1e999", b"1" * 400):
        body = b'{"messages":[{"role":"user","content":"Hello"}],"seed":' + number + b"}"
        assert stack.client.post(PATH, content=body).status_code in (200, 400)


_FIELDS = (
    "messages", "model", "stream_options", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens",
    "stop", "tools", "tool_choice", "response_format", "logprobs", "session_id", "taskId",
    "useProgressiveResponse", "fast_reply", "unknown",
)  # fmt: skip
_NAMES = ("role", "content", "type", "policy", "lanes", "handoff")
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_number = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_anything = st.recursive(
    st.none() | st.booleans() | _number | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fields=st.dictionaries(st.sampled_from(_FIELDS), _anything, min_size=1, max_size=3))
def test_any_field_of_any_kind_gets_an_answer(stack: Stack, fields: dict[str, Any]) -> None:
    answer = stack.client.post(PATH, json={**OK, **fields})
    if answer.status_code == 502:
        assert answer.json()["error"]["code"] == "upstream_refused"  # for the model to judge, and it did
    elif answer.status_code != 200:
        assert_error(answer)
