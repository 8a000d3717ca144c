"""Finds out what a model's server means by a refusal: its class, and a code that OpenAI's clients know.

Its own words may hold keys and prompts: they are read here, and go nowhere.
"""

import re
from typing import Any

import orjson

from workers.providers.base import UpstreamError

_MOST_CHARS = 4_000
_CODES = {  # by what servers call it, in lower case
    "context_length_exceeded": "context_length_exceeded",
    "string_above_max_length": "string_above_max_length",
    "request_too_large": "request_too_large",
    "invalid_api_key": "invalid_api_key",
    "incorrect_api_key": "invalid_api_key",
    "authentication_error": "invalid_api_key",
    "unauthenticated": "invalid_api_key",
    "account_deactivated": "account_deactivated",
    "permission_error": "permission_denied",
    "permission_denied": "permission_denied",
    "unsupported_country_region_territory": "unsupported_country_region_territory",
    "model_not_found": "model_not_found",
    "deploymentnotfound": "model_not_found",
    "not_found_error": "model_not_found",
    "insufficient_quota": "insufficient_quota",
    "billing_error": "insufficient_quota",
    "billing_hard_limit_reached": "insufficient_quota",
    "insufficient_balance": "insufficient_quota",
    "arrearage": "insufficient_quota",
    "rate_limit_exceeded": "rate_limit_exceeded",
    "rate_limit_error": "rate_limit_exceeded",
    "resource_exhausted": "rate_limit_exceeded",
    "content_filter": "content_filter",
    "responsibleaipolicyviolation": "content_filter",
    "data_inspection_failed": "content_filter",
    "content_policy_violation": "content_policy_violation",
    "unsupported_parameter": "unsupported_parameter",
    "unknown_parameter": "unknown_parameter",
    "unsupported_value": "unsupported_value",
    "invalid_value": "invalid_value",
    "invalid_type": "invalid_type",
    "missing_required_parameter": "missing_required_parameter",
}
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|prompt is too long|too many (?:input )?tokens"
    r"|maximum (?:number of )?(?:input )?tokens|input is too long|exceeds? the (?:model|available) context",
    re.I,
)
_BILLING = ("insufficient_quota", "account_deactivated")


def understand(error: UpstreamError, body: dict[str, Any]) -> None:
    """Give a refusal the code that its server means, and the parameter of `body` that it names."""
    status = error.status or 0
    if not 400 <= status < 500:
        return
    names, words, param = _read(error.told)
    error.code = _code(status, names, words) or error.code
    root = re.split(r"[.\[]", param, maxsplit=1)[0]
    error.param = param if root in body and len(param) <= 128 else None
    if error.code in _BILLING and error.retry_after_s is not None:
        error.retry_after_s, error.faulty = None, False  # to wait is of no use


def named_parameter(error: UpstreamError, names: list[str]) -> str | None:
    """Which of these parameters a refusal names as what is wrong."""
    if error.status not in (400, 422):
        return None
    _, words, param = _read(error.told)
    if param in names:
        return param
    return next((name for name in names if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", words)), None)


def says(error: UpstreamError, word: str) -> bool:
    """Return True if a refusal's words contain this one."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", _read(error.told)[1]) is not None


def _read(told: bytes) -> tuple[list[str], str, str]:
    """The names that a refusal gives itself, what it says, and the parameter that it names."""
    try:
        value = orjson.loads(told)
    except orjson.JSONDecodeError:
        return [], told[:_MOST_CHARS].decode(errors="replace"), ""
    if isinstance(value, list):
        value = value[0] if value else {}
    outer = value if isinstance(value, dict) else {}
    error = outer.get("error", outer)
    inner = error if isinstance(error, dict) else {}
    deeper = inner.get("innererror")
    parts = [inner, deeper if isinstance(deeper, dict) else {}, outer]
    names = [
        part[key] for part in parts for key in ("code", "type", "status") if isinstance(part.get(key), str)
    ]
    texts = [part.get(key) for part in parts for key in ("message", "msg", "detail", "error_msg")]
    words = " ".join(text[:_MOST_CHARS] for text in [error, *texts] if isinstance(text, str))
    param = inner.get("param")
    return names, words, param if isinstance(param, str) else ""


def _code(status: int, names: list[str], words: str) -> str | None:
    for name in names:
        if (code := _CODES.get(name[:64].lower())) and (code != "model_not_found" or status == 404):
            return code
    if status in (400, 413, 422) and _TOO_LONG.search(words):
        return "context_length_exceeded"
    if status == 401:
        return "invalid_api_key"
    return "model_not_found" if status == 404 and "model" in words.lower() else None
