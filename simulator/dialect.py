"""The interface of a model API's dialect: it reads requests and puts answers on the wire."""

from typing import Any, Protocol

from simulator.chat import ChatRequest, RequestError
from simulator.connection import Scope
from simulator.plan import Plan, Token

Headers = tuple[tuple[bytes, bytes], ...]

SSE_HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Encoder(Protocol):
    """Puts one stream on the wire, in order."""

    headers: Headers
    garbled: bytes  # a part that makes no sense

    def opening(self, plan: Plan) -> bytes:
        """Return what comes before the first token."""

    def token(self, token: Token) -> bytes:
        """Return the bytes of one token."""

    def ending(self, plan: Plan) -> bytes:
        """Return what comes after the last token."""

    def error(self, status: int) -> bytes:
        """Return an error in the middle of the stream."""


class Dialect(Protocol):
    """One model API."""

    def model(self, scope: Scope, body: dict[str, Any]) -> Any:
        """Return the request's model."""

    def read(self, scope: Scope, body: dict[str, Any]) -> ChatRequest:
        """Check a request as the real server does; raises RequestError."""

    def encoder(self, stream_id: str, created: int, request: ChatRequest) -> Encoder:
        """Return the encoder of the answer to this request."""

    def refusal(self, status: int, error: RequestError | None = None) -> tuple[int, bytes]:
        """The HTTP status and the JSON of a refusal that means this status."""


def require(holds: object, message: str, param: str | None = None) -> None:
    """Raise RequestError unless the condition holds."""
    if not holds:
        raise RequestError(message, param)


def header(scope: Scope, name: bytes) -> str:
    """A request header's value, empty without one."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
