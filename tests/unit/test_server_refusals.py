"""What a model's server means by a refusal, and what of it a client and an operator are told."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any, cast

import httpx
import orjson
import pytest
from pydantic import SecretStr

from common.errors import TurnFailed, presented, turn_error
from common.events import LaneStarted
from common.names import JobRef, SessionRef, TurnRef
from common.settings import Settings
from common.tenants.profiles import Upstream
from tests.support.generation_fakes import Free, Nowhere
from tests.support.turn_events import TURN, started
from workers.lanes.failures import RefusedDrafts, host_of
from workers.lanes.generation import Generation, GenerationResult
from workers.lanes.publisher import LaneWriter, Publisher
from workers.lanes.refusals import understand
from workers.lanes.relearning import Relearned
from workers.prompts import body_for
from workers.providers.base import Finish, StreamPart, UpstreamError
from workers.providers.exchange import refusal
from workers.upstreams import Upstreams

KEY = "sk-live-abc"
BODY: dict[str, Any] = {"model": "m", "messages": [], "max_tokens": 9, "temperature": 0.4}


def told(status: int, value: Any, **headers: str) -> UpstreamError:
    error = refusal(
        status, httpx.Headers(headers), value if isinstance(value, bytes) else orjson.dumps(value)
    )
    understand(error, BODY)
    return error


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


REFUSALS: list[tuple[int, Any, int, str, str]] = [
    (400, said("x", code="context_length_exceeded"), 400, "context_length_exceeded", "invalid_request_error"),
    (
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens", "code": 400},
        400,
        "context_length_exceeded",
        "invalid_request_error",
    ),
    (
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 3 > 2"}},
        400,
        "context_length_exceeded",
        "invalid_request_error",
    ),
    (400, said("no", code="unsupported_parameter"), 400, "unsupported_parameter", "invalid_request_error"),
    (400, [said("x", status="INVALID_ARGUMENT")], 400, "upstream_refused", "invalid_request_error"),
    (401, said(f"Incorrect API key: {KEY}"), 401, "invalid_api_key", "authentication_error"),
    (401, b"<html>", 401, "invalid_api_key", "authentication_error"),
    (402, {"error": "Insufficient Balance"}, 402, "upstream_refused", "invalid_request_error"),
    (403, said("x", type="permission_error"), 403, "permission_denied", "permission_error"),
    (404, said("model 'x' not found, try pulling it first"), 404, "model_not_found", "invalid_request_error"),
    (404, said("x", code="DeploymentNotFound"), 404, "model_not_found", "invalid_request_error"),
    (404, b"", 404, "upstream_refused", "invalid_request_error"),
    (413, b"\xff\xfe", 413, "upstream_refused", "invalid_request_error"),
    (422, {"detail": [{"loc": ["body"]}]}, 422, "upstream_refused", "invalid_request_error"),
    (429, said("slow", code="rate_limit_exceeded"), 429, "rate_limit_exceeded", "rate_limit_error"),
    (429, b"", 429, "upstream_busy", "rate_limit_error"),
    (429, said("x", type="insufficient_quota"), 429, "insufficient_quota", "rate_limit_error"),
    (408, b"", 502, "upstream_refused", "upstream_error"),
    (409, b"", 502, "upstream_refused", "upstream_error"),
    (500, said("x", code="context_length_exceeded"), 502, "upstream_refused", "upstream_error"),
    (503, said(KEY), 502, "upstream_refused", "upstream_error"),
    (
        400,
        {"error": {"code": 7, "type": None, "message": ["x"], "param": {"a": 1}}},
        400,
        "upstream_refused",
        "",
    ),
    (400, "null", 400, "upstream_refused", ""),
    (400, 7, 400, "upstream_refused", ""),
    (400, {"error": []}, 400, "upstream_refused", ""),
]


@pytest.mark.parametrize("status, value, told_status, code, kind", REFUSALS)
def test_a_refusal_keeps_its_class(status: int, value: Any, told_status: int, code: str, kind: str) -> None:
    event = told(status, value).as_event()
    failed = TurnFailed(event, {})
    assert (failed.status, failed.code) == (told_status, code)
    assert kind in ("", failed.kind)
    assert KEY not in repr(event)
    assert set(presented(event)) == {"message", "type", "param", "code"}
    assert event["status"] == status


def test_when_to_come_again_is_passed_on_and_where_it_is_of_no_use_that_is_said() -> None:
    failed = TurnFailed(told(429, b"", **{"retry-after": "2.2"}).as_event(), {})
    assert (failed.retry_after_s, failed.headers) == (3, {})
    failed = TurnFailed(told(429, said("x", code="insufficient_quota")).as_event(), {})
    assert (failed.retry_after_s, failed.headers) == (None, {"x-should-retry": "false"})


@pytest.mark.parametrize(
    "param, shows",
    [("max_tokens", "max_tokens"), ("messages[0].content", "messages[0].content"), (KEY, None), (7, None)],
)
def test_a_parameter_is_named_only_if_it_was_sent(param: Any, shows: str | None) -> None:
    assert told(400, said("x", param=param)).as_event()["param"] == shows


def test_errors_of_our_own_are_as_they_were() -> None:
    for code, status in (("upstream_cut", 502), ("upstream_stalled", 502), ("upstream_timeout", 504)):
        assert TurnFailed(turn_error(code, "x"), {}).status == status


# Drafts.

OPENAIS = said(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
    param="max_tokens",
    code="unsupported_parameter",
)
TEMPERATURE = said("'temperature' does not support 0.4 with this model.", code="unsupported_value")


class Picky:
    """A server that takes only what it knows."""

    def __init__(self, *refusals: tuple[str, Any]) -> None:
        self.refusals = refusals
        self.bodies: list[dict[str, Any]] = []

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        self.bodies.append(body)
        for name, value in self.refusals:
            if name in body:
                raise refusal(400, httpx.Headers({}), orjson.dumps(value))
        yield "Let me see."
        yield Finish("stop")


SMALL = Upstream(f"https://u:{KEY}@models.example:8443/v1?key={KEY}", SecretStr(KEY), "small")


def draft(model: Picky, learned: Relearned, refused: RefusedDrafts, lane: Any = "draft") -> GenerationResult:
    job, answer = JobRef(TurnRef(SessionRef("default", "s"), TURN), lane, 1), GenerationResult()
    writer = LaneWriter(cast(Publisher, Nowhere()), LaneStarted(TURN, lane, 1, "w"), job, 0)
    writer.state.attempt = 1
    turn = started()
    turn.lanes["draft"]["params"] = {"max_tokens": 100, "temperature": 0.4}
    turn.request.update({"max_tokens": 100})
    asker = Generation(
        Settings(), model, cast(Upstreams, Free()), writer, answer, lambda: None, 0, learned, refused
    )
    asyncio.run(asker.run([SMALL], turn, ""))
    return answer


def test_a_parameter_that_is_refused_is_renamed_or_left_out_and_not_tried_again() -> None:
    model, learned = Picky(("max_tokens", OPENAIS), ("temperature", TEMPERATURE)), Relearned()
    assert draft(model, learned, RefusedDrafts()).error is None
    assert len(model.bodies) == 3
    assert model.bodies[-1].items() >= {"max_completion_tokens": 100}.items()
    assert not model.bodies[-1].keys() & {"max_tokens", "temperature"}
    assert draft(model, learned, RefusedDrafts()).error is None
    assert len(model.bodies) == 4


def test_what_is_refused_under_each_name_is_left_out() -> None:
    newer = said("Unsupported parameter: 'max_completion_tokens'", param="max_completion_tokens")
    model = Picky(("max_tokens", OPENAIS), ("max_completion_tokens", newer))
    assert draft(model, Relearned(), RefusedDrafts()).error is None
    assert not model.bodies[-1].keys() & {"max_tokens", "max_completion_tokens"}


def test_a_clients_own_parameter_is_the_clients_to_mend() -> None:
    answer = draft(Picky(("max_tokens", OPENAIS)), Relearned(), RefusedDrafts(), lane="full")
    assert answer.error and (answer.error.code, answer.error.param) == ("unsupported_parameter", "max_tokens")


def test_where_every_draft_is_refused_the_operator_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    model, refused = Picky(("model", said(f"no such model {KEY}"))), RefusedDrafts()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            draft(model, Relearned(), refused)
    (line,) = caplog.records
    facts = vars(line)
    assert (line.message, facts["host"], facts["model"]) == (
        "every draft is refused",
        "models.example:8443",
        "small",
    )
    assert (facts["status"], KEY in repr(facts)) == (400, False)


def test_a_full_that_fails_is_told_of_with_its_server_and_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = draft(Picky(("model", said(KEY))), Relearned(), RefusedDrafts(), lane="full")
    with caplog.at_level(logging.WARNING):
        answer.failures.warn(JobRef(TurnRef(SessionRef("acme", "s"), TURN), "full", 1), answered=False)
    (line,) = caplog.records
    facts = vars(line)
    assert (facts["host"], facts["model"], facts["status"], facts["code"]) == (
        "models.example:8443",
        "small",
        400,
        "upstream_refused",
    )
    assert (line.message, facts["tenant"], KEY in repr(facts)) == ("the full failed", "acme", False)


@pytest.mark.parametrize(
    "url, host",
    [("anthropic://", "anthropic"), ("ernie+http://127.0.0.1:81", "127.0.0.1:81"), ("http://[", "")],
)
def test_a_host_is_all_that_is_told_of_a_url(url: str, host: str) -> None:
    assert host_of(Upstream(url, SecretStr(KEY), "m")) == host


PARTS: list[tuple[Any, str]] = [
    ("Hello", "Hello"),
    (
        [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}],
        "What is this?\n[image]",
    ),
    ([{"type": "input_audio", "input_audio": {"data": "AAA="}}], "[audio]"),
    (
        [{"type": "file", "file": {}}, {"type": "video_url"}, {"type": "input_image"}],
        "[file]\n[video]\n[image]",
    ),
    (
        [
            {"type": "text", "text": None},
            {"type": "odd"},
            {"type": 7},
            7,
            {"type": "refusal", "refusal": "No."},
        ],
        "No.",
    ),
]


@pytest.mark.parametrize("content, text", PARTS)
def test_a_draft_gets_texts_alone(content: Any, text: str) -> None:
    turn = started()
    turn.lanes["draft"]["params"] = {}
    turn.request["messages"] = [{"role": "user", "content": content}]
    assert body_for(turn, "draft", "m", "", "assistant")["messages"] == [{"role": "user", "content": text}]


def test_a_message_without_any_text_is_not_sent_to_a_draft() -> None:
    turn = started()
    turn.lanes["draft"]["params"] = {}
    turn.request["messages"] = [
        {"role": "assistant", "content": [{"type": "odd"}]},
        {"role": "user", "content": "Hi"},
    ]
    assert body_for(turn, "draft", "m", "", "assistant")["messages"] == [{"role": "user", "content": "Hi"}]
