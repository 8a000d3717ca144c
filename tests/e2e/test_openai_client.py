"""OpenAI's own client library against the gateway."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion

from simulator.texts import ENGLISH
from tests.support.gateway_stack import Stack, user
from tests.support.processes import until

KEY = "sk-the-clients-own"
CALLS = [
    {"id": "call_a", "name": "find_flights", "arguments": '{"from": "北京", "to": "Kazan", "days": [1, 2]}'},
    {"id": "call_b", "name": "weather", "arguments": "{}"},
]
TOOLS: Any = [{"type": "function", "function": {"name": call["name"], "parameters": {}}} for call in CALLS]
HELLO: Any = [user("Hello")]


@pytest.fixture
def client(stack: Stack) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.url}/v1", api_key=KEY, max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
def model(stack: Stack) -> str:
    """A full model that says the simulator's usual text after the draft has begun."""
    stack.simulator.draft(tpot_ms=20)
    return stack.simulator.full(ttft_ms=500)


def test_streaming(client: OpenAI, model: str) -> None:
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.endswith(ENGLISH.full)
    assert ENGLISH.draft.startswith(text.removesuffix(ENGLISH.full).rstrip())
    assert len(text) > len(ENGLISH.full)
    assert [chunk.choices[0].delta.role for chunk in chunks if chunk.choices[0].delta.role] == ["assistant"]
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_not_streaming(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=HELLO)
    (choice,) = answer.choices
    assert answer.object == "chat.completion"
    assert answer.model == model
    assert choice.message.role == "assistant"
    assert choice.message.content is not None
    assert choice.message.content.endswith(ENGLISH.full)
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_async_streaming_and_not(stack: Stack, model: str) -> None:
    async def stream(client: AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def both() -> tuple[str, ChatCompletion]:
        async with AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=KEY, max_retries=0) as client:
            whole = client.chat.completions.create(model=model, messages=HELLO)
            return await asyncio.gather(stream(client), whole)

    streamed, whole = asyncio.run(both())
    assert streamed.endswith(ENGLISH.full)
    assert (whole.choices[0].message.content or "").endswith(ENGLISH.full)


def test_heartbeats_do_not_disturb_it(client: OpenAI, stack: Stack) -> None:
    stack.simulator.draft(text="One moment.")
    model = stack.simulator.full(ttft_ms=1000, text="That is all.")
    stream = client.chat.completions.create(model=model, messages=HELLO, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "One moment. That is all."


def test_usage_comes_last_and_counts_both_models(client: OpenAI, stack: Stack) -> None:
    stack.simulator.draft(text="One moment.")
    model = stack.simulator.full(ttft_ms=500, text="That is all.")
    chunks = list(
        client.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    *others, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == len(["One", " moment", "."]) + len(["That", " is", " all", "."])
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(chunk.usage is None and chunk.choices for chunk in others)


def test_a_streamed_tool_call_is_whole(client: OpenAI, stack: Stack) -> None:
    model = stack.simulator.full(tool_calls=CALLS)
    stream = client.chat.completions.create(model=model, messages=HELLO, stream=True, tools=TOOLS)
    calls: dict[int, dict[str, str]] = {}
    finish = []
    for chunk in stream:
        for part in chunk.choices[0].delta.tool_calls or ():
            call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
            assert part.function is not None
            call["id"] += part.id or ""
            call["name"] += part.function.name or ""
            call["arguments"] += part.function.arguments or ""
        finish += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
    assert list(calls.values()) == CALLS
    assert finish == ["tool_calls"]


def test_a_tool_call_without_streaming(client: OpenAI, stack: Stack) -> None:
    model = stack.simulator.full(tool_calls=CALLS)
    answer = client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS, tool_choice="required")
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls = choice.message.tool_calls or []
    assert [{"id": c.id, **c.to_dict()["function"]} for c in calls] == CALLS  # type: ignore[dict-item]
    assert json.loads(CALLS[0]["arguments"])["from"] == "北京"
    assert stack.simulator.stats("draft")["started"] == 0  # a forced tool leaves a draft nothing to say


def test_the_result_of_a_tool_goes_to_the_full_alone(client: OpenAI, stack: Stack) -> None:
    model = stack.simulator.full(text="Sunny.")
    call = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages: Any = [
        user("How is the weather?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "22 degrees"},
    ]
    answer = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == "Sunny."
    assert stack.simulator.requests(model)[0]["messages"] == messages
    assert stack.simulator.stats("draft")["started"] == 0


def test_several_choices(client: OpenAI, stack: Stack) -> None:
    model = stack.simulator.full(text="Twice.")
    answer = client.chat.completions.create(model=model, messages=HELLO, n=2)
    assert [(c.index, c.message.content, c.finish_reason) for c in answer.choices] == [
        (0, "Twice.", "stop"),
        (1, "Twice.", "stop"),
    ]


def test_json_is_never_spoiled_by_a_draft(client: OpenAI, stack: Stack) -> None:
    answer = client.chat.completions.create(
        model=stack.simulator.full(), messages=HELLO, response_format={"type": "json_object"}
    )
    assert json.loads(answer.choices[0].message.content or "") == {"answer": ENGLISH.full}


def test_reasoning_passes_through(client: OpenAI, stack: Stack) -> None:
    model = stack.simulator.full(text="Four.", reasoning="Two and two.")
    answer = client.chat.completions.create(
        model=model, messages=HELLO, extra_body={"useProgressiveResponse": False}
    )
    message = answer.choices[0].message
    assert message.content == "Four."
    assert message.to_dict()["reasoning_content"] == "Two and two."


def test_models_are_the_profiles(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["fast-reply"]


def test_the_full_is_asked_what_the_client_asked(client: OpenAI, stack: Stack) -> None:
    model = stack.simulator.full(text="Yes.", ttft_ms=500)
    stack.simulator.draft(text="Well,")
    wishes: dict[str, Any] = {
        "seed": 7, "stop": ["\n\n"], "temperature": 0.3, "top_p": 0.9, "user": "u-1",
        "response_format": {"type": "text"}, "tools": TOOLS, "tool_choice": "auto",
    }  # fmt: skip
    client.chat.completions.create(
        model=model, messages=HELLO, extra_body={"new_thing": {"deep": [1, None, "ж"]}}, **wishes
    )
    (asked,) = stack.simulator.requests(model)
    assert {name: asked[name] for name in wishes} == wishes
    assert asked["new_thing"] == {"deep": [1, None, "ж"]}
    assert asked["messages"] == HELLO
    until(lambda: stack.simulator.requests("draft"), what="the draft's request")
    (drafted,) = stack.simulator.requests("draft")
    assert set(drafted) == {"messages", "model", "max_tokens", "temperature", "stream", "stream_options"}
    assert drafted["messages"][-1] == user("Hello")


def test_the_clients_key_is_shown_to_the_models_and_rests_nowhere(
    client: OpenAI, stack: Stack, model: str
) -> None:
    stack.simulator.change(model, ttft_ms=800, text="Yes.")
    with client.chat.completions.create(model=model, messages=HELLO, stream=True) as chunks:
        next(iter(chunks))
        held = stack.held()  # while the turn goes on, the key rests sealed
        assert "fr:auth:" in held
        assert KEY not in held
        for _ in chunks:
            pass
    for stream in (*stack.simulator.streams(model), *stack.simulator.streams("draft")):
        assert stream["authorization"]
    until(lambda: "fr:auth:" not in stack.held(), what="the key's end")
    assert KEY not in stack.held()
    assert not any(KEY in process.words() for process in stack.processes.values())
