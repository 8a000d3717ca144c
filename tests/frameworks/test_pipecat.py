"""Pipecat's own OpenAI service in a pipeline: a streamed turn in which a function is called and answered."""

import asyncio
import time
from importlib.util import find_spec
from typing import Any

import pytest

from tests.support.cut_models import assert_cut
from tests.support.gateway_stack import Stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("pipecat") is None, reason="no Pipecat here: make test-slow installs it"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the modules that it imports
]

CALL = {"id": "call_1", "name": "weather", "arguments": '{"city": "北京"}'}


def test_a_turn_with_a_function_call(gateway: Stack) -> None:
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.frames.frames import EndFrame, LLMFullResponseEndFrame, LLMRunFrame, LLMTextFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.services.openai.llm import OpenAILLMService
    from pipecat.workers.runner import WorkerRunner

    gateway.simulator.draft(text="One moment.")
    model = gateway.simulator.full(ttft_ms=500, tool_calls=[CALL])
    asked: list[dict[str, Any]] = []
    answers: list[str] = [""]

    async def weather(params: Any) -> None:
        asked.append(dict(params.arguments))
        gateway.simulator.change(model, text="It has 22 degrees.")
        await params.result_callback("22 degrees")

    class Listener(FrameProcessor):
        """Hears what the service says, and ends the pipeline after its second answer."""

        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, LLMTextFrame):
                answers[-1] += frame.text
            await self.push_frame(frame, direction)
            if isinstance(frame, LLMFullResponseEndFrame):
                if len(answers) == 2:
                    await worker.queue_frame(EndFrame())
                answers.append("")

    schema = FunctionSchema(
        name="weather",
        description="The weather in a city.",
        properties={"city": {"type": "string"}},
        required=["city"],
        handler=weather,
    )
    context = LLMContext([{"role": "user", "content": "How is the weather in 北京?"}], tools=[schema])
    service = OpenAILLMService(
        api_key="any",
        base_url=f"{gateway.url}/v1",
        default_headers={"X-Session-ID": "pipecat"},
        settings=OpenAILLMService.Settings(model=model),
    )
    both = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([both.user(), service, Listener(), both.assistant()]))

    async def talk() -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await worker.queue_frame(LLMRunFrame())
        await runner.run()
        await service._client.close()  # it never does so itself

    asyncio.run(asyncio.wait_for(talk(), 60))
    assert answers[:2] == ["One moment.", "It has 22 degrees."]
    assert asked == [{"city": "北京"}]
    body = gateway.simulator.requests(model)[1]
    assert "fast_reply" not in body
    result = body["messages"][-1]
    assert (result["role"], result["tool_call_id"]) == ("tool", "call_1")
    assert "22 degrees" in result["content"]


def test_a_caller_who_cuts_in_stops_both_models(gateway: Stack) -> None:
    from pipecat.frames.frames import EndFrame, InterruptionFrame, LLMRunFrame, LLMTextFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.services.openai.llm import OpenAILLMService
    from pipecat.workers.runner import WorkerRunner

    gateway.simulator.reset()
    gateway.simulator.draft(text="Let me look. " * 300, tpot_ms=20)
    model = gateway.simulator.full(ttft_ms=60_000)
    cut_s: list[float] = []

    class Listener(FrameProcessor):
        """Cuts in as soon as both models are asked and one speaks."""

        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            await self.push_frame(frame, direction)
            if isinstance(frame, LLMTextFrame) and not cut_s and gateway.simulator.stats(model)["live"]:
                cut_s.append(time.monotonic())
                await worker.queue_frame(InterruptionFrame())

    context = LLMContext([{"role": "user", "content": "When do you open?"}])
    service = OpenAILLMService(
        api_key="any", base_url=f"{gateway.url}/v1", settings=OpenAILLMService.Settings(model=model)
    )
    both = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([both.user(), service, Listener(), both.assistant()]))

    async def talk() -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await worker.queue_frame(LLMRunFrame())
        running = asyncio.create_task(runner.run())
        while not cut_s:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(assert_cut, gateway, model, cut_s[0])
        await worker.queue_frame(EndFrame())
        await running
        await service._client.close()

    asyncio.run(asyncio.wait_for(talk(), 60))
