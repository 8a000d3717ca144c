"""Chat Completions over HTTP: the shapes, the words and the books kept about them."""

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from simulator.behaviour import Behaviour
from simulator.server import SimulatorConfig
from simulator.texts import ENGLISH, RUSSIAN
from simulator.tokens import split_tokens

PATH = "/v1/chat/completions"
Ask = Callable[..., dict[str, Any]]
Chunks = Callable[[httpx.Client, dict[str, Any]], list[dict[str, Any]]]


def _deltas(chunks: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return [choice["delta"] for choice in choices if choice["index"] == index]


def _said(chunks: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(delta.get("content") or "" for delta in _deltas(chunks, index))


def test_chunks_have_the_shape_of_openai(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    first, *middle, last = chunks(client, ask(simulate={"text": "Hello, world"}))
    base = {"id", "object", "created", "model", "choices"}
    assert all(set(chunk) == base for chunk in (first, *middle, last))
    assert {chunk["id"] for chunk in (first, *middle, last)} == {first["id"]}
    assert (first["object"], first["model"]) == ("chat.completion.chunk", "full")
    role = {"role": "assistant", "content": "", "refusal": None}
    assert first["choices"] == [{"index": 0, "delta": role, "logprobs": None, "finish_reason": None}]
    assert [chunk["choices"][0]["delta"] for chunk in middle] == [
        {"content": "Hello"},
        {"content": ","},
        {"content": " world"},
    ]
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]


def test_usage_comes_last_and_only_if_asked_for(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    body = ask("one two three", simulate={"text": "Hello, world"})
    *others, last = chunks(client, {**body, "stream_options": {"include_usage": True}})
    assert last["choices"] == []
    assert [last["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")] == [
        3,
        3,
        6,
    ]
    assert all(chunk["usage"] is None for chunk in others)


@pytest.mark.parametrize("path", [PATH, "/chat/completions"])
def test_an_answer_may_come_whole(client: httpx.Client, ask: Ask, path: str) -> None:
    answer = client.post(path, json=ask(simulate={"text": "Hello, world", "reasoning": "Hm."})).json()
    assert answer["object"] == "chat.completion"
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    message = {"role": "assistant", "content": "Hello, world", "refusal": None, "reasoning_content": "Hm."}
    assert choice["message"] == message
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2


def test_the_model_name_and_the_prompt_choose_the_text(
    client: httpx.Client, ask: Ask, chunks: Chunks
) -> None:
    parts = [{"type": "text", "text": "Что "}, {"type": "text", "text": "это?"}]
    assert _said(chunks(client, ask([{"role": "user", "content": parts}]))) == RUSSIAN.full
    assert _said(chunks(client, ask(model="small"))) == ENGLISH.draft


@pytest.mark.parametrize(
    ("prefill", "rest"),
    [("Hello, ", "world"), ("Hello, world", ""), ("", "Hello, world"), ("Bye", "Hello, world")],
)
def test_it_goes_on_after_a_prefill_which_it_would_have_said(
    client: httpx.Client, ask: Ask, chunks: Chunks, prefill: str, rest: str
) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": prefill}]
    answer = chunks(client, ask(messages, simulate={"text": "Hello, world"}))
    assert _said(answer) == rest
    assert _deltas(answer)[0]["role"] == "assistant"
    assert answer[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_the_answer(client: httpx.Client, ask: Ask, chunks: Chunks, name: str) -> None:
    answer = chunks(client, ask(**{name: 7}))
    assert _said(answer) == "".join(split_tokens(ENGLISH.full)[:7])
    assert answer[-1]["choices"][0]["finish_reason"] == "length"
    exact = chunks(client, ask(simulate={"text": "one two"}, **{name: 2}))
    assert exact[-1]["choices"][0]["finish_reason"] == "stop"


def test_choices_are_interleaved(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    body = ask(n=2, stream_options={"include_usage": True}, simulate={"text": "one two"})
    *answer, usage = chunks(client, body)
    assert [chunk["choices"][0]["index"] for chunk in answer] == [0, 1] * 4
    assert _said(answer, 0) == _said(answer, 1) == "one two"
    assert usage["usage"]["completion_tokens"] == 4
    assert len(client.post(PATH, json=body).json()["choices"]) == 2


def test_tool_calls_come_in_pieces(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    calls = [{"id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'}, {"name": "time"}]
    answer = chunks(client, ask(simulate={"tool_calls": calls}))
    assert _deltas(answer)[0] == {"role": "assistant", "content": None, "refusal": None}
    pieces = [piece for delta in _deltas(answer) for piece in delta.get("tool_calls", [])]
    opening = {"name": "weather", "arguments": ""}
    assert pieces[0] == {"index": 0, "id": "call_1", "type": "function", "function": opening}
    weather = [piece["function"]["arguments"] for piece in pieces if piece["index"] == 0]
    assert len(weather) > 2
    assert "".join(weather) == '{"city": "Paris"}'
    assert answer[-1]["choices"][0]["finish_reason"] == "tool_calls"
    whole = client.post(PATH, json=ask(simulate={"tool_calls": calls, "text": "Wait."})).json()
    message = whole["choices"][0]["message"]
    assert message["content"] == "Wait."
    assert message["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
    assert message["tool_calls"][1]["id"].startswith("call_")


def test_reasoning_comes_before_the_text(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    simulate = {"reasoning": "Hm, well.", "text": "Yes.", "finish_reason": "content_filter"}
    answer = chunks(client, ask(simulate=simulate))
    kinds = [next(iter(delta)) for delta in _deltas(answer)[1:-1]]
    assert kinds == ["reasoning_content"] * 4 + ["content"] * 2
    assert answer[-1]["choices"][0]["finish_reason"] == "content_filter"


def test_json_is_said_when_asked_for(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    body = ask(response_format={"type": "json_object"})
    assert orjson.loads(_said(chunks(client, body))) == {"answer": ENGLISH.full}
    assert _said(chunks(client, {**body, "simulate": {"text": "{}"}})) == "{}"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 129}, "n"),
        ({"stream_options": 1}, "stream_options"),
        ({"simulate": {"speed": 1}}, "speed"),
    ],
)
def test_a_bad_request_is_refused(client: httpx.Client, ask: Ask, change: dict[str, Any], param: str) -> None:
    response = client.post(PATH, json={**ask(), **change})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert client.get("/simulator/stats").json()["models"]["full"]["started"] == 0


def test_what_is_not_json_or_not_there_is_refused(client: httpx.Client) -> None:
    assert client.post(PATH, content=b"{").status_code == 400
    assert client.post(PATH, content=b"[]").status_code == 400
    assert client.get(PATH).status_code == 405
    assert client.get("/v1/files").status_code == 404
    assert client.get("/simulator/streams?last=few").status_code == 400


def test_models_and_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert {"draft", "full"} <= {model["id"] for model in client.get("/v1/models").json()["data"]}


def test_behaviour_is_set_and_restored_at_run_time(client: httpx.Client, ask: Ask) -> None:
    model = "Org/Model-70b"
    assert client.put(f"/simulator/models/{model}", json={"text": "Set."}).json()["text"] == "Set."
    body = ask(model=model)
    assert client.post(PATH, json=body).json()["choices"][0]["message"]["content"] == "Set."
    assert client.put(f"/simulator/models/{model}", json={"speed": 1}).status_code == 400
    assert client.delete(f"/simulator/models/{model}").json()["text"] is None
    assert client.post(PATH, json=body).json()["choices"][0]["message"]["content"] == ENGLISH.full


def test_streams_are_recorded_without_their_texts(client: httpx.Client, ask: Ask, chunks: Chunks) -> None:
    chunks(client, ask("Secret", simulate={"text": "Hidden words here"}))
    client.post(PATH, json=ask(), headers={"authorization": "Bearer hush"})
    kept = client.get("/simulator/streams?last=5")
    assert not any(word in kept.text for word in ("Secret", "Hidden", "hush"))
    streamed, whole = kept.json()["streams"]
    assert (streamed["outcome"], streamed["stream"], streamed["authorization"]) == ("finished", True, False)
    assert (streamed["prompt_chars"], streamed["prompt_tokens"], len(streamed["token_s"])) == (6, 1, 3)
    times = [streamed["started_s"], *streamed["token_s"], streamed["ended_s"]]
    assert times == sorted(times)
    assert (whole["stream"], whole["authorization"]) == (False, True)
    assert client.get("/simulator/streams?last=1").json()["streams"] == [whole]
    counts = {"started": 2, "finished": 2, "cut_by_client": 0, "faulted": 0, "live": 0, "most_live": 1}
    assert client.get("/simulator/stats").json()["models"]["full"] == counts
    client.post("/simulator/reset")
    assert client.get("/simulator/streams").json() == {"streams": []}


def test_requests_are_kept_as_they_came(client: httpx.Client, ask: Ask) -> None:
    bodies = [ask(f"Number {number}", stop=["."]) for number in range(3)]
    for body in bodies:
        client.post(PATH, json=body)
    assert client.get("/simulator/requests?last=2").json() == {"requests": bodies[1:]}


def test_no_token_comes_early(
    serve: Callable[[SimulatorConfig], httpx.Client], ask: Ask, chunks: Chunks
) -> None:
    client = serve(SimulatorConfig(models={"slow": Behaviour(ttft_ms=20, tpot_ms=5, text="one two three")}))
    chunks(client, ask(model="slow"))
    (stream,) = client.get("/simulator/streams").json()["streams"]
    assert len(stream["token_s"]) == len(["one", " two", " three"])
    for index, token_s in enumerate(stream["token_s"]):
        assert token_s - stream["started_s"] >= 0.020 + 0.005 * index - 1e-9
