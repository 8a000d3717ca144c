"""A second round of tools over HTTP: what a model's server said of its calls comes back to it as it was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from common.net.sse import SSEParser
from common.settings import FallbackModel
from common.store.redis import open_stores
from tests.support.raw_server import YES, Answers, Asked, answering, chunk, events, whole
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop
from tests.support.wiring import open_workers
from workers.providers.registry import Providers

Call = dict[str, Any]

QUESTION = {"role": "user", "content": "Weather in Bonn and Oslo?"}
SIGNED = {"google": {"thought_signature": "CiQB0e2Kb+/w==" * 40}}
WEATHER: Call = {
    "id": "a",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Bonn"}'},
}
OTHER: Call = {"id": "b", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
QUERY: Call = {"id": "q", "type": "custom", "custom": {"name": "sql", "input": 'select "}" -- {\n\tfrom t'}}

CALLS: dict[str, list[Call]] = {
    "plain": [WEATHER],
    "Gemini's signature": [{**WEATHER, "extra_content": SIGNED}],
    "Gemini's first of two alone is signed": [{**WEATHER, "extra_content": SIGNED}, OTHER],
    "each is signed": [
        {**WEATHER, "extra_content": SIGNED},
        {**OTHER, "extra_content": {"google": {"x": 1}}},
    ],
    "LiteLLM's place for it": [{**WEATHER, "provider_specific_fields": {"thought_signature": "c2ln/+=="}}],
    "a signature beside the name": [
        {**WEATHER, "function": {**WEATHER["function"], "thought_signature": "c2ln", "strict": True}}
    ],
    "a custom tool": [QUERY],
    "a custom tool that wants nothing": [{**QUERY, "custom": {"name": "ping", "input": ""}}],
    "a custom tool with an object's text": [{**QUERY, "custom": {"name": "sql", "input": '{"a":1} {"b":2}'}}],
    "a custom tool and a function, signed": [
        {**QUERY, "extra_content": SIGNED},
        {**OTHER, "caller": {"type": "direct"}},
    ],
    "odd values": [
        {**WEATHER, "rank": 0, "sure": False, "tags": [], "of": {}, "x": [{"y": [None, 1.5, "é🙂"]}]}
    ],
    "one no one knows": [{**WEATHER, "type": "mcp_call", "server_label": "maps"}],
}


def streamed(calls: list[Call], reason: str = "tool_calls") -> bytes:
    """The calls as a server streams them, texts in two pieces, what is unknown with the last."""
    deltas = []
    for index, call in enumerate(calls):
        kind = "custom" if "custom" in call else "function"
        given = "input" if kind == "custom" else "arguments"
        body, text = call[kind], call[kind][given]
        rest = {key: value for key, value in call.items() if key not in ("id", "type", kind)}
        first = {
            "index": index,
            "id": call["id"],
            "type": call["type"],
            kind: {"name": body["name"], given: ""},
        }
        more = {key: value for key, value in body.items() if key not in ("name", given)}
        deltas += [first, {"index": index, kind: {given: text[:5]}}]
        deltas.append({"index": index, kind: {given: text[5:], **more}, **rest})
    return events(*(chunk(tool_calls=[delta]) for delta in deltas), chunk(reason=reason))


def in_one_piece(calls: list[Call]) -> bytes:
    """The same from a server that doesn't stream, whatever it is asked."""
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return orjson.dumps({"object": "chat.completion", "choices": [choice]})


class Model:
    """A server that calls, round by round, and keeps what it was asked; its small model speaks first."""

    def __init__(self, *calling: bytes) -> None:
        self.calling, self.asked = calling, list[dict[str, Any]]()

    def __call__(self, asked: Asked) -> bytes:
        if asked.body["model"] == "draft":
            return whole(events(chunk("Let me look."), chunk(reason="stop")))
        self.asked.append(asked.body)
        rounds = sum(bool(message.get("tool_calls")) for message in asked.body["messages"])
        return whole(self.calling[rounds] if rounds < len(self.calling) else YES)


@asynccontextmanager
async def gateway(backend: Backend, model: Answers, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway as its client sees it, in front of this server."""
    async with answering(model) as line:
        url = f"http://127.0.0.1:{line.server.port}/v1"
        settings = backend.settings(llm_base_url=url, **{"small_model": "", **changes})
        async with open_stores(settings) as stores:
            provider = Providers(line.client, line.client, stores, None)
            async with open_workers(settings, provider), serving(settings) as client:
                yield client


class Caller:
    """A client that sends back what it got: all of it, or in a session its tools' results alone."""

    def __init__(self, client: httpx.AsyncClient, *, stream: bool, memory: bool, **fields: Any) -> None:
        self._client, self._stream, self._memory, self._fields = client, stream, memory, fields
        self.talk: list[dict[str, Any]] = []

    async def say(self, *new: dict[str, Any]) -> dict[str, Any]:
        """The assistant's message."""
        self.talk += new
        body = {"messages": [*new] if self._memory else self.talk, "stream": self._stream, **self._fields}
        if self._memory:
            body |= {"session_id": "s1", "fast_reply": {"memory": True}}
        response = await self._client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        message = _accumulated(response.content) if self._stream else response.json()["choices"][0]["message"]
        self.talk.append(message)
        return message


def _accumulated(stream: bytes) -> dict[str, Any]:
    """The message that a stream's chunks add up to, as SDKs add them up."""
    message: dict[str, Any] = {}
    for event in SSEParser().feed(stream):
        if event.data == b"[DONE]":
            break
        told = orjson.loads(event.data)
        assert "error" not in told
        for choice in told["choices"]:
            _grow(message, choice["delta"])
    for call in message.get("tool_calls", ()):
        del call["index"]
    return {"content": None, **message}


def _grow(whole: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        old = whole.get(key)
        if isinstance(old, str) and isinstance(value, str) and key not in ("role", "type", "id"):
            whole[key] = old + value
        elif isinstance(old, dict) and isinstance(value, dict):
            _grow(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            whole[key] = [*old, *value]  # calls come whole
        else:
            whole[key] = value


def result(call: Call) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": f"of {call['id']}"}


@pytest.mark.parametrize(
    ("stream", "memory"), [(False, False), (True, True)], ids=["whole, whole story", "streamed, memory"]
)
@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
@in_loop
async def test_calls_come_back_with_all_that_was_said_of_them(
    fake: Backend, calls: list[Call], stream: bool, memory: bool
) -> None:
    model = Model(streamed(calls))
    async with gateway(fake, model) as client:
        caller = Caller(client, stream=stream, memory=memory)
        message = await caller.say(QUESTION)
        assert message["tool_calls"] == calls
        said = await caller.say(*map(result, calls))
        assert said["content"] == "Yes."
    first, second = model.asked
    assert first["messages"] == [QUESTION]
    assert second["messages"] == [
        QUESTION,
        {"role": "assistant", "content": None, "tool_calls": calls},
        *map(result, calls),
    ]


def saying(*calls: Call, content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
@in_loop
async def test_calls_of_a_server_that_doesnt_stream_come_back_too(fake: Backend, calls: list[Call]) -> None:
    model = Model(in_one_piece(calls))
    async with gateway(fake, model) as client:
        caller = Caller(client, stream=True, memory=True)
        assert (await caller.say(QUESTION))["tool_calls"] == calls
        await caller.say(*map(result, calls))
    assert model.asked[1]["messages"] == [QUESTION, saying(*calls), *map(result, calls)]


@pytest.mark.parametrize("memory", [False, True], ids=["whole story", "memory"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@in_loop
async def test_round_after_round_behind_a_draft(real: Backend, stream: bool, memory: bool) -> None:
    """Each round's signatures are its own, and the first round's stay in the talk."""
    one, two = {**WEATHER, "extra_content": SIGNED}, {**OTHER, "extra_content": {"google": {"x": "two"}}}
    model = Model(streamed([one]), streamed([two, QUERY]))
    async with gateway(real, model, small_model="draft") as client:
        caller = Caller(client, stream=stream, memory=memory)
        first = await caller.say(QUESTION)
        assert first["tool_calls"] == [one]
        assert (await caller.say(result(one)))["tool_calls"] == [two, QUERY]
        assert (await caller.say(result(two), result(QUERY)))["content"] == "Yes."
    assert model.asked[2]["messages"] == [
        QUESTION,
        saying(one, content=first["content"]),
        result(one),
        saying(two, QUERY),
        result(two),
        result(QUERY),
    ]


@in_loop
async def test_of_two_calls_the_answered_one_keeps_what_was_said_of_it(real: Backend) -> None:
    one, two = {**WEATHER, "extra_content": SIGNED}, {**QUERY, "extra_content": {"google": {"x": "two"}}}
    model = Model(streamed([one, two]))
    async with gateway(real, model) as client:
        caller = Caller(client, stream=True, memory=True)
        await caller.say(QUESTION)
        await caller.say(result(two))
    assert model.asked[1]["messages"] == [QUESTION, saying(two), result(two)]


BESIDE: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "DeepSeek's and Kimi's": (
        [{"reasoning_content": "Bonn "}, {"reasoning_content": "first."}],
        {"reasoning_content": "Bonn first."},
    ),
    "OpenRouter's": (
        [
            {"reasoning": "Bonn", "reasoning_details": [{"type": "t", "index": 0, "text": "Bo"}]},
            {"reasoning_details": [{"index": 0, "text": "nn"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "c2ln"}]},
        ],
        {
            "reasoning": "Bonn",
            "reasoning_details": [
                {"type": "t", "index": 0, "text": "Bonn"},
                {"type": "reasoning.encrypted", "index": 1, "data": "c2ln"},
            ],
        },
    ),
    "LiteLLM's": (
        [{"provider_specific_fields": {"thought_signatures": ["c2ln"]}}],
        {"provider_specific_fields": {"thought_signatures": ["c2ln"]}},
    ),
    "Gemini's": ([{"extra_content": {"google": {"thought": True}}}], {}),
}


@pytest.mark.parametrize(("deltas", "beside"), BESIDE.values(), ids=BESIDE)
@in_loop
async def test_in_a_session_what_stood_beside_calls_goes_back_with_their_results(
    valkey: Backend, deltas: list[dict[str, Any]], beside: dict[str, Any]
) -> None:
    """Thoughts only as long as tools are at work; the caller's next words begin anew."""
    calling = chunk(tool_calls=[{"index": 0, **WEATHER}])
    model = Model(events(*(chunk(**delta) for delta in deltas), calling))
    async with gateway(valkey, model) as client:
        caller = Caller(client, stream=True, memory=True)
        await caller.say(QUESTION)
        await caller.say(result(WEATHER))
        await caller.say({"role": "user", "content": "Thanks."})
    assert model.asked[1]["messages"][1] == {**saying(WEATHER), **beside}
    kept = {key: value for key, value in beside.items() if key == "provider_specific_fields"}
    assert model.asked[2]["messages"][1] == {**saying(WEATHER), **kept}


@pytest.mark.parametrize("memory", [False, True], ids=["whole story", "memory"])
@in_loop
async def test_a_server_that_refuses_thoughts_is_asked_without_them(valkey: Backend, memory: bool) -> None:
    calling = events(chunk(reasoning_content="Hm."), chunk(tool_calls=[{"index": 0, **WEATHER}]))
    model, refused = Model(calling), list[Asked]()

    def strict(asked: Asked) -> bytes:
        if any("reasoning_content" in message for message in asked.body["messages"]):
            refused.append(asked)
            told = {"detail": [{"loc": ["messages", 1, "reasoning_content"], "msg": "Extra inputs"}]}
            return whole(orjson.dumps(told), status=b"422 No", kind=b"application/json")
        return model(asked)

    async with gateway(valkey, strict) as client:
        caller = Caller(client, stream=False, memory=memory)
        assert (await caller.say(QUESTION))["reasoning_content"] == "Hm."
        assert (await caller.say(result(WEATHER)))["content"] == "Yes."
    assert len(refused) == 1
    assert model.asked[1]["messages"][1] == saying(WEATHER)


# Over a server of another dialect.


def anthropics(*events: dict[str, Any]) -> bytes:
    """A stream of Anthropic's events."""
    return whole(b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events))


def uses_tools(asked: Asked) -> bytes:
    """A server of Anthropic's dialect that calls a custom tool, then says what it was told."""
    last = asked.body["messages"][-1]["content"][-1]
    ending: list[dict[str, Any]] = [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    if last["type"] == "tool_result":
        text = {"type": "text", "text": "Yes."}
        return anthropics({"type": "content_block_start", "index": 0, "content_block": text}, *ending)
    use = {"type": "tool_use", "id": "q", "name": "sql", "input": {"input": QUERY["custom"]["input"]}}
    return anthropics({"type": "content_block_start", "index": 0, "content_block": use}, *ending)


@asynccontextmanager
async def falling_back(backend: Backend) -> AsyncIterator[tuple[httpx.AsyncClient, list[Asked]]]:
    """The gateway before a server that fails and one of Anthropic's dialect; what that was asked."""
    asked = list[Asked]()

    def answer(request: Asked) -> bytes:
        if not request.path.endswith("/v1/messages"):
            return whole(b"{}", status=b"500 Internal Server Error", kind=b"application/json")
        asked.append(request)
        return uses_tools(request)

    async with answering(answer) as line:
        url = f"http://127.0.0.1:{line.server.port}"
        spare = FallbackModel(model="spare", base_url=f"anthropic+{url}", api_key=SecretStr("k"))
        changes = {"small_model": "", "fallbacks": (spare,), "breaker_failures": 0}
        settings = backend.settings(llm_base_url=f"{url}/v1", **changes)
        async with open_stores(settings) as stores:
            provider = Providers(line.client, line.client, stores, None)
            async with open_workers(settings, provider), serving(settings) as client:
                yield client, asked


TOOLS = [{"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@in_loop
async def test_a_custom_tool_over_a_dialect_that_knows_none(valkey: Backend, stream: bool) -> None:
    async with falling_back(valkey) as (client, asked):
        caller = Caller(client, stream=stream, memory=True, tools=TOOLS)
        assert (await caller.say(QUESTION))["tool_calls"] == [QUERY]
        assert (await caller.say(result(QUERY)))["content"] == "Yes."
    assert [tool["name"] for request in asked for tool in request.body["tools"]] == ["sql"] * 2
    use = {"type": "tool_use", "id": "q", "name": "sql", "input": {"input": QUERY["custom"]["input"]}}
    told = {"type": "tool_result", "tool_use_id": "q", "content": "of q"}
    assert [message["content"] for message in asked[1].body["messages"]][1:] == [[use], [told]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}]},
        {"tools": [{"type": "custom", "custom": {"description": "of no name"}}]},
        {"tools": [{"type": "custom"}]},
    ],
)
@in_loop
async def test_what_has_no_form_in_a_dialect_is_the_requests_fault(
    fake: Backend, wrong: dict[str, Any]
) -> None:
    async with falling_back(fake) as (client, asked):
        response = await client.post("/v1/chat/completions", json={"messages": [QUESTION], **wrong})
        error = response.json()["error"]
        assert (response.status_code, error["type"]) == (400, "invalid_request_error")
        assert "no form" in error["message"]
        assert not asked
