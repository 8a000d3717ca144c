"""Errors that come in an answer of status 200, in every server's shape."""

import re
from typing import Any

from workers.providers.base import UpstreamError
from workers.providers.exchange import broke_off, busy
from workers.providers.values import as_json, dict_in, text_in

_FINE = (
    "",
    "0",
    "00",
    "200",
    "ok",
    "success",
    "successful",
    "succeeded",
    "completed",
    "none",
    "null",
    "false",
)
_TOLD = (  # each says that something went wrong, where nothing is answered
    "error_message",
    "error_msg",
    "errorMessage",
    "error_code",
    "errorCode",
    "errors",
    "fault",
    "detail",
    "message",
    "msg",
)
_SUSPECT = frozenset(("error", "Error", "x_groq", "base_resp", "type", "status"))
_CODES = ("code", "status", "status_code", "http_code", "httpCode", "error_code", "type")
_BUSY_WORDS = re.compile(
    "rate.?limit|overload|throttl|too.?many.?requests|resource.?exhausted|engine.?busy|server.?busy", re.I
)
_BUSY = (429, 529)
_FAILED = ("failed", "failure", "FAILED", "ERROR")
_IDLE = ("ping", "keepalive", "keep-alive", "heartbeat")


def fault_in(value: dict[str, Any], name: str = "") -> UpstreamError | None:
    """Return the error that an event is, or None; `name` is the event's own."""
    if not name and value.get("choices") and _SUSPECT.isdisjoint(value) and value.get("object") != "error":
        return None  # for each token: it must be quick
    for error in (value.get("error"), dict_in(value.get("x_groq")).get("error"), value.get("Error")):
        if _says_something(error):
            return _fault(error, value)
    if name == "error" or "error" in (value.get("object"), value.get("type"), value.get("status")):
        return _fault(value, value)
    told = dict_in(value.get("base_resp"))  # MiniMax's
    if not _is_fine(told.get("status_code")):
        return _fault(told, value)
    if not value.get("choices") and _is_told(value):
        return _fault(value, value)
    return None


def fault_of(choice: dict[str, Any]) -> UpstreamError | None:
    """Return the error that a choice carries in place of an answer, or None."""
    error = choice.get("error")
    return _fault(error, choice) if _says_something(error) else None


def _is_told(value: dict[str, Any]) -> bool:
    """Return True if a value without an answer reports an error, and is not a sign of life."""
    if value.get("type") in _IDLE or value.get("event") in _IDLE or value.get("object") in _IDLE:
        return False
    if value.get("success") is False:
        return True
    if not _is_fine(value.get("code")) or _status(value.get("status")) or value.get("status") in _FAILED:
        return True
    if "code" in value and _is_fine(value["code"]) and value["code"] is not None:
        return False  # such as {"code": 0, "message": "ok"}
    return any(_says_something(value.get(key)) for key in _TOLD)


def _says_something(error: Any) -> bool:
    """Return True if the value is an error, and not the empty field for one."""
    if isinstance(error, dict):
        return any(_says_something(value) for value in error.values())
    if isinstance(error, list):
        return any(map(_says_something, error))
    return bool(error) and not (isinstance(error, str) and error.strip().lower() in _FINE)


def _is_fine(code: Any) -> bool:
    return code is None or code is False or text_in(code).strip().lower() in _FINE


def _fault(error: Any, value: dict[str, Any]) -> UpstreamError:
    """Return the meaning of an error. Its own words are shown to nobody."""
    facts = [dict_in(error).get(key) for key in _CODES] + [value.get(key) for key in _CODES]
    if isinstance(error, str):
        facts.append(error)
    status = next(filter(None, map(_status, facts)), 0)
    words = " ".join(fact for fact in facts if isinstance(fact, str))
    if status in _BUSY or _BUSY_WORDS.search(words[:1_000]):
        return busy()
    fault = broke_off()
    fault.status, fault.told = status or None, as_json(value).encode()
    fault.faulty = not 400 <= status < 500  # with these it is the request that is refused
    return fault


def _status(code: Any) -> int:
    """Return an HTTP error status, from a number or its digits; else 0."""
    text = text_in(code)
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "45" else 0
