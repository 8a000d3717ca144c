"""A model for the tests: plays a script for each request and keeps what it was asked."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from common.tenants.profiles import Upstream
from workers.providers.base import Finish, StreamPart, UpstreamError, Usage

Step = StreamPart | asyncio.Event | UpstreamError
"""What a script does next: gives a piece, waits for an event, or fails."""

Script = Sequence[Step] | Callable[[dict[str, Any]], Sequence[Step]]
"""The steps of one answer, or how they follow from the request."""

END: tuple[Step, ...] = (
    Finish("stop"),
    Usage({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
)


@dataclass(slots=True)
class Call:
    """One request that a script answered, and how that ended: `closed` is by the one who asked."""

    model: str
    body: dict[str, Any]
    ended: Literal["", "whole", "broken", "closed"] = ""

    @property
    def said(self) -> str:
        return said_before(self.body)


class Scripted:
    """A provider with scripts by model; the n-th request to a model plays its n-th script, or its last."""

    def __init__(self, **scripts: Sequence[Script]) -> None:
        self._scripts = scripts
        self.calls: list[Call] = []

    def of(self, model: str) -> list[Call]:
        """The requests to this model, in order."""
        return [call for call in self.calls if call.model == model]

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Play the script that is due."""
        scripts = self._scripts[upstream.model]
        script = scripts[min(len(self.of(upstream.model)), len(scripts) - 1)]
        call = Call(upstream.model, body)
        self.calls.append(call)
        try:
            for step in script(body) if callable(script) else script:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, UpstreamError):
                    raise step
                else:
                    yield step
            call.ended = "whole"
        except UpstreamError:
            call.ended = "broken"
            raise
        except BaseException:
            call.ended = "closed"
            raise


def words(text: str) -> list[Step]:
    """A text word by word."""
    return list(re.findall(r"\s*\S+\s*$|\s*\S+", text))


def answer(text: str) -> list[Step]:
    """A whole answer, word by word."""
    return [*words(text), *END]


def going_on(text: str, then: Sequence[Step] = END) -> Script:
    """The rest of a text, from where the request says that it was left."""
    return lambda body: [*words(text.removeprefix(said_before(body))), *then]


def said_before(body: dict[str, Any]) -> str:
    """What the request says that this lane has said already."""
    last = body["messages"][-1]
    return str(last["content"]) if last["role"] == "assistant" else ""
