"""Any other model, through the package `litellm` (the extra of that name): `<provider>/<model>`.

Source: https://docs.litellm.ai/docs/completion/stream
"""

import importlib
import logging
import os
from collections.abc import AsyncGenerator
from typing import Any

from common.tenants.profiles import Upstream
from workers.providers.base import StreamPart, UpstreamError
from workers.providers.exchange import broke_off, busy
from workers.providers.flow import Flow
from workers.providers.openai_answer import OpenAIAnswer

# Fields that are passed on. Others would be LiteLLM's own: addresses, keys, retries, callbacks.
_PASSED = frozenset(
    [
        "model",
        "messages",
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")


class LiteLLMProvider:
    """Streams answers. A worker that will need the package imports it at startup, as that takes seconds."""

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of one answer. Raises UpstreamError; closing it early closes the connection."""
        litellm = load()
        where: dict[str, Any] = {"api_key": upstream.api_key.get_secret_value() or None}
        if upstream.base_url:
            where["base_url"] = upstream.base_url
        asked = {key: value for key, value in body.items() if key in _PASSED}
        answer, flow = OpenAIAnswer(), Flow()
        try:
            # Without retries of its own: that is the fallbacks' part.
            chunks = await litellm.acompletion(
                **asked,
                **where,
                stream=True,
                stream_options={"include_usage": True},
                drop_params=True,
                num_retries=0,
            )
            try:
                async for chunk in chunks:
                    await flow.let(2, 0)
                    for piece in answer.read_value(chunk.model_dump(exclude_none=True)):
                        yield piece
            finally:
                await _close(chunks)
        except UpstreamError:
            raise
        except Exception as error:  # a class for each fault of each provider, which we can't import here
            raise _error(error) from None
        answer.over = True  # LiteLLM doesn't pass on the mark of the end
        for piece in answer.end():
            yield piece


def load() -> Any:
    """Import the package and silence its logs. Raises UpstreamError if it is not installed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for one
    try:
        litellm: Any = importlib.import_module("litellm")
    except ImportError:
        raise UpstreamError(
            "provider_missing", "litellm is not installed: pip install litellm", faulty=False
        ) from None
    litellm.telemetry = False
    litellm.suppress_debug_info = True  # else it prints beside our log
    for name in _LOGGERS:  # they have their own handler, and log requests and answers
        logging.getLogger(name).disabled = True
    return litellm


async def _close(chunks: Any) -> None:
    close = getattr(chunks, "aclose", None)
    if close:
        await close()


def _error(error: Exception) -> UpstreamError:
    """Return the error by the HTTP status that LiteLLM's errors have; their words may hold a key."""
    status = getattr(error, "status_code", None)
    if status == 429:
        return busy()
    if status in (408, 504):
        return UpstreamError("upstream_timeout", "the model's server did not answer in time")
    if isinstance(status, int):
        return UpstreamError(
            "upstream_refused", f"the model's server answered {status}", faulty=status >= 500
        )
    return broke_off()
