"""A full that fails, at every door and in every form: what is said, and that it is told as a failure."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from simulator.tokens import split_tokens
from tests.support.gateway_stack import Stack, user

BRIDGE = "Let me look at that for you."
FILLER = "One moment."
SORRY = "I'm sorry, that didn't work."
FULL = "We open at nine. On Sundays we are closed all day."
HALF = "".join(split_tokens(FULL)[:8])  # one sentence, and some of the next

CHUNKED = (
    "/v1/chat/completions",
    "/chat/completions",
    "/",
    "/rag/chat/completions",
    "/v1/rag/chat/completions",
    "/audio/chat/completions",
    "/v1/audio/chat/completions",
)
SENTENCES = "/v1/llm-request"
FAILURES: dict[str, tuple[dict[str, Any], int, str]] = {
    "refused key": ({"status": 401}, 401, "invalid_api_key"),
    "broken server": ({"status": 500}, 502, "upstream_refused"),
    "empty": ({"text": ""}, 502, "upstream_empty"),
}


@dataclass(frozen=True)
class Answer:
    """What a client was told: `text` and `code` as streamed, then the last reason; or a status and a code."""

    status: int
    code: str | None
    text: str = ""
    finish: str = ""


def _events(answer: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def _code(events: list[Any]) -> str | None:
    """The code of the one error, if there is one."""
    codes = [event["error"]["code"] for event in events if "error" in event]
    assert len(codes) <= 1
    return codes[0] if codes else None


def _chunks(answer: httpx.Response) -> Answer:
    events = _events(answer)
    choices = [event["choices"][0] for event in events if event.get("choices")]
    text, sound = "", b""
    for choice in choices:
        audio = choice["delta"].get("audio", {})
        text += choice["delta"].get("content") or audio.get("transcript", "")
        sound += base64.b64decode(audio.get("data", ""))
    assert answer.text.endswith("data: [DONE]\n\n")
    if "/audio/" in answer.url.path:
        assert len(sound) >= 500 * len(text), "all of it is spoken"
    (finish,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return Answer(answer.status_code, _code(events), text, finish)


def _sentences(answer: httpx.Response) -> Answer:
    events = _events(answer)
    end = events[-1]
    assert end["reason"] == end["finish_reason"] == "error" and end["degraded"] is False
    text = " ".join(event["text"] for event in events if "lane" in event)
    return Answer(answer.status_code, _code(events), text, end["finish_reason"])


def _whole(answer: httpx.Response) -> Answer:
    told = answer.json()
    assert set(told) == {"error"} and set(told["error"]) == {"message", "type", "param", "code"}
    return Answer(answer.status_code, told["error"]["code"])


def _forms() -> dict[str, tuple[str, dict[str, Any], dict[str, str], Callable[[httpx.Response], Answer]]]:
    forms: dict[str, Any] = {}
    for path in CHUNKED:
        forms[f"{path} streamed"] = path, {"stream": True}, {}, _chunks
        forms[f"{path} whole"] = path, {}, {}, _whole
    forms[f"{SENTENCES} streamed"] = SENTENCES, {}, {}, _sentences
    forms[f"{SENTENCES} whole"] = SENTENCES, {}, {"Accept": "application/json"}, _whole
    return forms


FORMS = _forms()


def ask_all(
    stack: Stack, model: str, asked: dict[str, Any] | None = None, only: str = "", **policy: Any
) -> dict[str, tuple[Answer, dict[str, Any]]]:
    """The same question at every door, in both forms, at once: the answers, and the turns as kept."""

    def ask(name: str) -> tuple[Answer, dict[str, Any]]:
        path, fields, headers, read = FORMS[name]
        body = {"model": model, "messages": [user("When do you open?")], **fields, **(asked or {})}
        answer = stack.client.post(path, json={**body, "fast_reply": {"policy": policy}}, headers=headers)
        named = f"{answer.headers['x-session-id']}/turns/{answer.headers['x-turn-id']}"
        return read(answer), stack.client.get(f"/v1/sessions/{named}").json()

    names = [name for name in FORMS if only in name]
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def assert_told(answers: dict[str, tuple[Answer, dict[str, Any]]], text: str, status: int, code: str) -> None:
    """Streams said this and then the error; who asked for one piece got the status; both are kept so."""
    for name, (answer, kept) in answers.items():
        streamed = Answer(200, code, text, "error")
        assert answer == (streamed if "streamed" in name else Answer(status, code)), name
        assert (kept["reason"], kept["degraded"], kept["error"]["code"]) == ("error", False, code), name
        assert kept["text"] == text, name


APOLOGY = {"phrases": {"en": [SORRY], "*": ["…"]}}


@pytest.mark.parametrize(("fault", "status", "code"), FAILURES.values(), ids=FAILURES.keys())
def test_after_a_bridge_every_door_apologizes_and_tells_the_error(
    stack: Stack, fault: dict[str, Any], status: int, code: str
) -> None:
    stack.simulator.draft(text=BRIDGE)
    answers = ask_all(stack, stack.simulator.full(ttft_ms=700, **fault), apology=APOLOGY)
    assert_told(answers, f"{BRIDGE} {SORRY}", status, code)


@pytest.mark.parametrize("fault", ["refused key", "empty"])
def test_without_an_apology_every_door_tells_the_error_all_the_same(stack: Stack, fault: str) -> None:
    behaviour, status, code = FAILURES[fault]
    stack.simulator.draft(text=BRIDGE)
    answers = ask_all(stack, stack.simulator.full(ttft_ms=700, **behaviour))
    assert_told(answers, BRIDGE, status, code)


@pytest.mark.parametrize("fault", ["broken server", "empty"])
def test_a_filler_is_no_answer_at_any_door(stack: Stack, fault: str) -> None:
    behaviour, status, code = FAILURES[fault]
    model = stack.simulator.full(ttft_ms=700, **behaviour)
    filler = {"phrases": {"*": [FILLER]}, "delay_ms": 100}
    answers = ask_all(stack, model, apology=APOLOGY, filler=filler, draft={"when": "never"})
    assert_told(answers, f"{FILLER} {SORRY}", status, code)


def test_half_an_answer_is_apologized_for_at_no_door(stack: Stack) -> None:
    stack.simulator.draft(text=BRIDGE)
    model = stack.simulator.full(ttft_ms=700, text=FULL, cut_after=8)
    answers = ask_all(stack, model, apology=APOLOGY)
    assert_told(answers, f"{BRIDGE} {HALF}", 502, "upstream_cut")


def test_a_callers_own_server_that_refuses_is_apologized_for(stack: Stack) -> None:
    stack.simulator.draft(text=BRIDGE)
    model = stack.simulator.full(ttft_ms=700, status=401)
    own = {
        "provider": "CUSTOM_LLM",
        "url": f"{stack.simulator.url}/v1/chat/completions",
        "tokenSecret": "TELEPHONY_TOKEN",
    }
    answers = ask_all(stack, model, asked=own, only=SENTENCES, apology=APOLOGY)
    assert_told(answers, f"{BRIDGE} {SORRY}", 401, "invalid_api_key")


def test_no_apology_is_said_where_prose_would_break_the_answer(stack: Stack) -> None:
    model = stack.simulator.full(status=500)
    form = {"response_format": {"type": "json_object"}}
    answers = ask_all(stack, model, asked=form, only="/chat/completions", apology=APOLOGY)
    assert_told(answers, "", 502, "upstream_refused")
