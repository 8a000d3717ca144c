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
  └─ TurnFailed          502, 504, or a model's server's own 4xx: the models gave no answer
"""

import math
from collections.abc import Mapping
from typing import Any

_NOT_THE_REQUESTS = (407, 408, 409, 425)  # 4xx that are between us and a model's server
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_SHOWN = ("message", "type", "param", "code")


def turn_error(
    code: str,
    message: str,
    kind: str = "upstream_error",
    *,
    param: str | None = None,
    status: int | None = None,
    retry_after_s: float | None = None,
) -> dict[str, Any]:
    """The error object of a turn that failed, as it stands in the log.

    `status`: what a model's server answered; with a 4xx it is the request that is wrong, or too early.
    """
    if passes_on(status):
        kind = _KINDS.get(status or 0, "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    if status is not None:
        error["status"] = status
    if retry_after_s is not None:
        error["retry_after_s"] = retry_after_s
    return error


def passes_on(status: int | None) -> bool:
    """Return True if a client is told the status of a model's server: its SDK then does not retry in vain."""
    return status is not None and 400 <= status < 500 and status not in _NOT_THE_REQUESTS


def presented(error: dict[str, Any]) -> dict[str, Any]:
    """A turn's error in OpenAI's shape, as a client gets it."""
    return {name: error.get(name) for name in _SHOWN}


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
    """The request is invalid."""

    status = 400
    kind = "invalid_request_error"


class TooLarge(BadRequest):
    """The body is larger than the limit."""

    status = 413


class Unauthorized(FastReplyError):
    """The key is missing, unknown or no longer valid."""

    status = 401
    kind = "authentication_error"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(FastReplyError):
    """The key is valid, but may not do this."""

    status = 403
    kind = "permission_error"


class NotFound(FastReplyError):
    """The resource does not exist, or this client may not see it."""

    status = 404
    kind = "invalid_request_error"


class Conflict(FastReplyError):
    """The request conflicts with an earlier one, or with the present state."""

    status = 409
    kind = "invalid_request_error"


class Gone(FastReplyError):
    """The resource existed, but is no longer kept."""

    status = 410
    kind = "invalid_request_error"


class Unavailable(FastReplyError):
    """A store is unavailable; try again."""

    status = 503
    retry_after_s = 1


def store_is_away() -> Unavailable:
    """Return what a client is told while a store is away."""
    return Unavailable("the store is away; try again", code="store_unavailable")


class Overloaded(Unavailable):
    """The workers can't keep up: better refused at once than answered late."""

    def __init__(self) -> None:
        super().__init__("too much to do just now; try again", code="overloaded")


class RateLimited(FastReplyError):
    """The tenant is over one of its limits. The error's type is what is counted: `requests` or `tokens`."""

    status = 429

    def __init__(
        self, message: str, *, code: str, kind: str, retry_after_s: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(message, code=code)
        self.kind, self.retry_after_s, self.headers = kind, retry_after_s, headers


class TurnFailed(FastReplyError):
    """The turn failed before any of its answer was sent."""

    def __init__(self, error: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(error["message"], code=error["code"], param=error.get("param"))
        code, status = error["code"] or "", error.get("status")
        self.status = 504 if "timeout" in code or "deadline" in code else 502
        if passes_on(status):
            self.status = status or 0
        self.kind = error["type"]
        self.headers = dict(headers)
        if (retry_after_s := error.get("retry_after_s")) is not None:
            self.retry_after_s = max(1, math.ceil(retry_after_s))
        elif self.status == 429:
            self.headers["x-should-retry"] = "false"  # OpenAI's SDKs would ask again in vain
