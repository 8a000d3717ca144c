"""The interface of every provider: the parts of an answer as they come, or one kind of error."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Protocol

from common.errors import turn_error
from common.tenants.profiles import Upstream


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A part of a tool call; `index` says which of the answer's calls it belongs to.

    `rest`: the call's other fields, among them its `type` unless that is `function`.
    """

    index: int
    id: str
    name: str
    arguments: str
    rest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Anything else that a chunk held, in the form of one OpenAI choice."""

    choice: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finish:
    """The model says that its answer has ended; `usage` may still follow, and from some servers text.

    `alone`: nothing else came with it. Some servers send it with every piece of text, where it means nothing.
    """

    reason: str
    alone: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that the answer cost, as the server counts them."""

    tokens: dict[str, Any]


StreamPart = str | ToolCallDelta | PassThrough | Finish | Usage


class UpstreamError(Exception):
    """A model's server failed. `code` says how; its own words may hold a key and are not repeated.

    `retry_after_s`: how long it asked to be left alone. `faulty`: the fault is its own, not the request's.
    `status`, `told`: its HTTP status and the body with it, to be evaluated and shown to nobody.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        faulty: bool = True,
        status: int | None = None,
        told: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.retry_after_s, self.faulty = retry_after_s, faulty
        self.status, self.told = status, told
        self.param: str | None = None  # which of the request's parameters it names

    def as_event(self) -> dict[str, Any]:
        """Return the error object for the log and the client."""
        more: dict[str, Any] = {
            "status": self.status,
            "retry_after_s": self.retry_after_s,
            "param": self.param,
        }
        return turn_error(self.code, self.message, **more)


class Provider(Protocol):
    """Speaks one dialect. `body` is an OpenAI Chat Completions request; errors are UpstreamError."""

    def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]: ...
