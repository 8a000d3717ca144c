"""LiveKit's own OpenAI plugin: a streamed turn with a tool call, and the turn that follows its result."""

import asyncio
import time
from importlib.util import find_spec
from typing import Any

import pytest

from tests.support.cut_models import assert_cut
from tests.support.gateway_stack import Stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("livekit") is None or find_spec("livekit.plugins.openai") is None,
        reason="no LiveKit here: make test-slow installs it",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the modules that it imports
]

CALL = {"id": "call_1", "name": "weather", "arguments": '{"city": "北京"}'}


def test_a_turn_with_a_tool_call(gateway: Stack) -> None:
    from livekit.agents import llm
    from livekit.plugins import openai

    asked: list[str] = []

    @llm.function_tool
    async def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "22 degrees"

    gateway.simulator.draft(text="One moment.")
    model = gateway.simulator.full(ttft_ms=500, tool_calls=[CALL])

    async def talk() -> tuple[list[llm.ChatChunk], list[llm.ChatChunk]]:
        headers = {"X-Session-ID": "livekit"}
        plugin = openai.LLM(model=model, base_url=f"{gateway.url}/v1", api_key="any", extra_headers=headers)
        tools = llm.ToolContext([weather])
        context = llm.ChatContext.empty()
        context.add_message(role="user", content="How is the weather in 北京?")
        async with plugin:
            first = await heard(plugin, context, [weather])
            (call,) = [call for chunk in first if chunk.delta for call in chunk.delta.tool_calls]
            done = await llm.execute_function_call(call, tools)
            assert done.fnc_call_out is not None
            context.items += [done.fnc_call, done.fnc_call_out]
            gateway.simulator.change(model, text="It has 22 degrees.")
            return first, await heard(plugin, context, [weather])

    first, second = asyncio.run(talk())
    assert words(first) == "One moment."
    assert asked == ["北京"]
    assert words(second) == "It has 22 degrees."
    assert [chunk.usage.total_tokens > 0 for chunk in (*first, *second) if chunk.usage] == [True, True]
    body = gateway.simulator.requests(model)[1]
    assert "fast_reply" not in body
    result = body["messages"][-1]
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", "call_1", "22 degrees")


def test_a_caller_who_cuts_in_stops_both_models(gateway: Stack) -> None:
    from livekit.agents import llm
    from livekit.plugins import openai

    gateway.simulator.reset()
    gateway.simulator.draft(text="Let me look. " * 300, tpot_ms=20)
    model = gateway.simulator.full(ttft_ms=60_000)

    async def talk() -> float:
        context = llm.ChatContext.empty()
        context.add_message(role="user", content="When do you open?")
        plugin = openai.LLM(model=model, base_url=f"{gateway.url}/v1", api_key="any")
        async with plugin, plugin.chat(chat_ctx=context) as stream:
            async for chunk in stream:
                if chunk.delta and chunk.delta.content and gateway.simulator.stats(model)["live"]:
                    break
            return time.monotonic()

    assert_cut(gateway, model, asyncio.run(talk()))


async def heard(plugin: Any, context: Any, tools: list[Any]) -> list[Any]:
    async with plugin.chat(chat_ctx=context, tools=tools) as stream:
        return [chunk async for chunk in stream]


def words(chunks: list[Any]) -> str:
    return "".join(chunk.delta.content or "" for chunk in chunks if chunk.delta)
