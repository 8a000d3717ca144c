"""Any other model, through the package `litellm` (the extra of that name): `<provider>/<model>`.

Source: https://docs.litellm.ai/docs/completion/stream
"""

import importlib
import os
from collections.abc import AsyncGenerator
from typing import Any

from common.profiles import Upstream
from workers.providers.base import Finish, Piece, UpstreamError
from workers.providers.exchange import broke_off, busy
from workers.providers.openai import read_value


class LiteLLMProvider:
    """Streams answers. A worker that will need the package imports it at its start: that takes seconds."""

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        litellm = load()
        where: dict[str, Any] = {"api_key": upstream.api_key.get_secret_value() or None}
        if upstream.base_url:
            where["base_url"] = upstream.base_url
        finished = False
        try:
            # Without retries of its own: that is the fallbacks' part.
            chunks = await litellm.acompletion(
                **body,
                **where,
                stream=True,
                stream_options={"include_usage": True},
                drop_params=True,
                num_retries=0,
            )
            try:
                async for chunk in chunks:
                    for piece in read_value(chunk.model_dump(exclude_none=True)):
                        finished = finished or isinstance(piece, Finish)
                        yield piece
            finally:
                await _close(chunks)
        except UpstreamError:
            raise
        except Exception as error:  # a class for each fault of each provider, which we can't import here
            raise _error(error) from None
        if not finished:
            yield Finish("stop")


def load() -> Any:
    """The package, quiet. Raises UpstreamError where it is not installed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for one
    try:
        litellm: Any = importlib.import_module("litellm")
    except ImportError:
        raise UpstreamError(
            "provider_missing", "litellm is not installed: pip install litellm", faulty=False
        ) from None
    litellm.telemetry = False
    litellm.suppress_debug_info = True  # else it prints beside our log
    return litellm


async def _close(chunks: Any) -> None:
    close = getattr(chunks, "aclose", None)
    if close:
        await close()


def _error(error: Exception) -> UpstreamError:
    """By its HTTP status, which LiteLLM's errors have; their words may hold a key."""
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
