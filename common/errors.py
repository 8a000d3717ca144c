"""Errors in OpenAI's shape.

FastReplyError           what a client is told, with its HTTP status
  ├─ BadRequest          400: the request itself is wrong
  │    └─ TooLarge       413
  ├─ NotFound            404
  ├─ Conflict            409: the same idempotency key with another request
  ├─ Gone                410: a turn that is no longer kept
  ├─ Unavailable         503: a store is away; try again
  └─ TurnFailed          502 or 504: the models gave no answer
"""

from collections.abc import Mapping
from typing import Any


def turn_error(code: str, message: str, kind: str = "upstream_error") -> dict[str, Any]:
    """The error object of a turn that failed: what stands in the log and in the stream."""
    return {"message": message, "type": kind, "param": None, "code": code}


class FastReplyError(Exception):
    """Something a client is told. `param` names the offending field, `code` is for programs."""

    status = 500
    kind = "server_error"
    retry_after_s: int | None = None
    headers: Mapping[str, str] = {}

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.param = message, code, param

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class BadRequest(FastReplyError):
    """The request itself is wrong."""

    status = 400
    kind = "invalid_request_error"


class TooLarge(BadRequest):
    """The body is over the limit."""

    status = 413


class NotFound(FastReplyError):
    """There is no such thing, or not for this client."""

    status = 404
    kind = "invalid_request_error"


class Conflict(FastReplyError):
    """Something else was asked under this name before."""

    status = 409
    kind = "invalid_request_error"


class Gone(FastReplyError):
    """It was there once, and is no longer kept."""

    status = 410
    kind = "invalid_request_error"


class Unavailable(FastReplyError):
    """A store is away."""

    status = 503
    retry_after_s = 1


class TurnFailed(FastReplyError):
    """The turn ended with an error before a client that doesn't stream was told anything."""

    def __init__(self, error: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(error["message"], code=error["code"])
        self.status = 504 if "timeout" in error["code"] or "deadline" in error["code"] else 502
        self.kind = error["type"]
        self.headers = headers
