"""Every provider over real HTTP: the same answers and the same faults, whatever the dialect."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport
from pydantic import SecretStr

from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.profiles import Upstream
from simulator.tokens import split_tokens
from workers.providers.base import Finish, StreamPart, ToolCallDelta, UpstreamError, Usage
from workers.providers.registry import Providers

TEXT = "We open at nine. On Sundays at ten, and the café at eleven: 欢迎 you."
CALL = '{"city": "Bonn", "days": 3}'
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
HELLO = [{"role": "user", "content": "Hello"}]
ADDRESSES = {
    "openai": ("{}/v1", "sk-secret"),
    "yandex-openai": ("{}/v1", "Api-Key secret"),
    "anthropic": ("anthropic+{}", "secret"),
    "ernie": ("ernie+{}", "api:secret"),
    "yandex": ("yandex+{}/folder", "secret"),
}
Behave = Callable[..., None]


@pytest.fixture(params=ADDRESSES)
def upstream(request: pytest.FixtureRequest, client: httpx.Client) -> Upstream:
    """A model of the simulator's, to be asked in one of the dialects."""
    address, key = ADDRESSES[request.param]
    return Upstream(address.format(str(client.base_url).rstrip("/")), SecretStr(key), "full")


@pytest.fixture
def behave(client: httpx.Client) -> Any:
    """Says how the model behaves, for one test."""
    yield lambda **fields: client.put("/simulator/models/full", json=fields).raise_for_status()
    client.delete("/simulator/models/full").raise_for_status()


@asynccontextmanager
async def opened() -> AsyncIterator[Providers]:
    # A store that is never asked: without a seal tokens stay in the process.
    async with (
        open_stores(Settings()) as stores,
        httpx.AsyncClient(transport=AiohttpTransport(), timeout=httpx.Timeout(10)) as client,
    ):
        yield Providers(client, client, stores, seal=None)


def ask(upstream: Upstream, messages: list[dict[str, Any]] = HELLO, **fields: Any) -> list[StreamPart]:
    """All pieces of the answer. Raises UpstreamError."""

    async def run() -> list[StreamPart]:
        async with opened() as providers:
            body = {"model": upstream.model, "messages": messages, **fields}
            return [piece async for piece in providers.stream(upstream, body)]

    return asyncio.run(run())


def fault(upstream: Upstream) -> tuple[str, UpstreamError]:
    """What was said until it broke, and how it broke."""
    said: list[str] = []

    async def run() -> None:
        async with opened() as providers:
            body = {"model": upstream.model, "messages": HELLO}
            async for piece in providers.stream(upstream, body):
                said.append(str(piece))

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(run())
    assert "secret" not in caught.value.message
    return "".join(said), caught.value


def test_a_text_comes_whole_with_its_end_and_its_cost(upstream: Upstream, behave: Behave) -> None:
    behave(text=TEXT)
    *texts, finish, usage = ask(upstream)
    assert len(texts) > 5
    assert "".join(map(str, texts)) == TEXT
    assert finish == Finish("stop")
    assert isinstance(usage, Usage)
    counts = usage.tokens
    assert counts["completion_tokens"] == len(split_tokens(TEXT))
    assert counts["prompt_tokens"] + counts["completion_tokens"] == counts["total_tokens"]


def test_a_dribbled_answer_is_the_same(upstream: Upstream, behave: Behave) -> None:
    behave(text=TEXT, dribble=True)
    assert "".join(piece for piece in ask(upstream) if isinstance(piece, str)) == TEXT


def test_an_answer_that_is_too_long_ends_so(upstream: Upstream, behave: Behave) -> None:
    behave(text=TEXT)
    pieces = ask(upstream, max_tokens=3)
    assert Finish("length") in pieces
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == "".join(split_tokens(TEXT)[:3])


def test_a_call_comes_whole(upstream: Upstream, behave: Behave) -> None:
    behave(tool_calls=[{"name": "weather", "arguments": CALL}])
    pieces = ask(upstream, tools=[TOOL])
    calls = [piece for piece in pieces if isinstance(piece, ToolCallDelta)]
    assert {call.index for call in calls} == {0}
    assert [call.id != "" for call in calls].count(True) == 1
    assert "".join(call.name for call in calls) == "weather"
    assert "".join(call.arguments for call in calls).replace(" ", "") == CALL.replace(" ", "")
    assert Finish("tool_calls") in pieces


def test_a_conversation_with_calls_and_a_text_to_go_on_from_is_understood(
    upstream: Upstream, behave: Behave, client: httpx.Client
) -> None:
    behave(text="Done.")
    calls = [
        {"id": name, "type": "function", "function": {"name": "weather", "arguments": CALL}} for name in "ab"
    ]
    results = [{"role": "tool", "tool_call_id": name, "content": f"rain in {name}"} for name in "ab"]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Good day."},
        *HELLO,
        {"role": "user", "content": [{"type": "text", "text": "Well?"}]},
        {"role": "assistant", "content": None, "tool_calls": calls},
        *results,
        {"role": "system", "content": "Be quick."},
        {"role": "assistant", "content": "It will "},
    ]
    pieces = ask(upstream, messages, tools=[TOOL], temperature=1.6 if "v1" not in upstream.base_url else 1)
    assert Finish("stop") in pieces
    (sent,) = client.get("/simulator/requests?last=1").json()["requests"]
    for words in ("Be kind.", "Be quick.", "Good day.", "Well?", "rain in a", "rain in b", "It will"):
        assert words in str(sent), words


REFUSED = {400: "upstream_refused", 401: "upstream_refused", 500: "upstream_refused", 503: "upstream_refused"}


@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal(upstream: Upstream, behave: Behave, status: int) -> None:
    behave(status=status)
    said, error = fault(upstream)
    assert said == ""
    if "ernie" in upstream.base_url:  # it has codes of its own, and 503 stands for too much load
        assert error.code == {500: "upstream_error", 503: "upstream_busy"}.get(status, "upstream_refused")
    else:
        assert error.code == "upstream_refused"
    assert error.faulty is (status >= 500)


def test_too_many_requests(upstream: Upstream, behave: Behave) -> None:
    behave(status=429, retry_after_s=7)
    _, error = fault(upstream)
    assert error.code == "upstream_busy"
    assert error.retry_after_s == (1 if "ernie" in upstream.base_url else 7)  # it doesn't say for how long


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ({"cut_after": 4}, "upstream_cut"),
        ({"no_done": True}, "upstream_cut"),
        ({"garble_after": 4}, "upstream_garbled"),
        ({"error_after": 4}, "upstream_error"),
    ],
)
def test_an_answer_that_breaks(upstream: Upstream, behave: Behave, behaviour: Any, code: str) -> None:
    behave(text=TEXT, **behaviour)
    said, error = fault(upstream)
    assert (error.code, error.faulty, error.retry_after_s) == (code, True, None)
    assert said == (TEXT if "no_done" in behaviour else "".join(split_tokens(TEXT)[:4]))


def test_nobody_there(upstream: Upstream) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        nowhere = re.sub(r"127.0.0.1:\d+", f"127.0.0.1:{taken.getsockname()[1]}", upstream.base_url)
        _, error = fault(replace(upstream, base_url=nowhere))
    assert (error.code, error.faulty) == ("upstream_unreachable", True)


def test_who_leaves_a_silent_model_closes_the_stream(
    upstream: Upstream, behave: Behave, client: httpx.Client, until: Callable[[Callable[[], bool]], None]
) -> None:
    behave(text=TEXT, stall_after=2)

    async def leave(pieces: AsyncGenerator[StreamPart, None]) -> str:
        said = ""
        async with aclosing(pieces):
            async for piece in pieces:
                said += str(piece)
                if len(said) >= len("We open"):
                    break
        return said

    async def run() -> str:
        async with opened() as providers:
            return await leave(providers.stream(upstream, {"model": "full", "messages": HELLO}))

    assert asyncio.run(run()) == "We open"
    until(lambda: client.get("/simulator/stats").json()["models"]["full"]["cut_by_client"] == 1)


def test_a_request_of_no_sense_is_refused_and_not_a_bug(upstream: Upstream) -> None:
    with pytest.raises(UpstreamError) as caught:
        ask(upstream, [{"role": "user", "content": 7}])
    assert (caught.value.code, caught.value.faulty) == ("upstream_refused", False)


def test_a_dialect_that_nobody_speaks() -> None:
    with pytest.raises(UpstreamError) as caught:
        ask(Upstream("telepathy://x", SecretStr(""), "full"))
    assert caught.value.code == "unknown_provider"
