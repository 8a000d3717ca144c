"""Errors in OpenAI's shape.

FastReplyError           what a client is told, with its HTTP status
  ├─ BadRequest          400: the request itself is wrong
  │    └─ TooLarge       413
  ├─ Unauthorized        401: no key, or none that is known
  ├─ Forbidden           403: the key may not do this
  ├─ NotFound            404
  ├─ Conflict            409: the same idempotency key with another request
  ├─ Gone                410: a turn that is no longer kept
  ├─ RateLimited         429: over one of the tenant's limits
  ├─ Unavailable         503: a store is away; try again
  │    └─ Overloaded     503: the workers can't keep up
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


class Unauthorized(FastReplyError):
    """There is no key, or none that is known and valid: nobody can tell which."""

    status = 401
    kind = "authentication_error"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(FastReplyError):
    """The key is known, but may not do this."""

    status = 403
    kind = "permission_error"


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


class Overloaded(Unavailable):
    """The workers can't keep up: better refused at once than answered late."""

    def __init__(self) -> None:
        super().__init__("too much to do just now; try again", code="overloaded")


class RateLimited(FastReplyError):
    """Over one of the tenant's limits. `kind` is what it counts: `requests` or `tokens`, as OpenAI has it."""

    status = 429

    def __init__(
        self, message: str, *, code: str, kind: str, retry_after_s: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(message, code=code)
        self.kind, self.retry_after_s, self.headers = kind, retry_after_s, headers


class TurnFailed(FastReplyError):
    """The turn ended with an error before a client that doesn't stream was told anything."""

    def __init__(self, error: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(error["message"], code=error["code"])
        self.status = 504 if "timeout" in error["code"] or "deadline" in error["code"] else 502
        self.kind = error["type"]
        self.headers = headers
