"""Counts of tokens: which of a server's are believed, and the one estimate where there is none."""

import math
from typing import Any

import orjson

from common.events import TurnStarted
from common.text.language import text_of

NAMES = ("prompt_tokens", "completion_tokens", "total_tokens")
DETAILS = ("prompt_tokens_details", "completion_tokens_details")
_SYSTEM = ("system", "developer")
_BYTES_A_TOKEN = 4  # of UTF-8, about, in English, Russian and Chinese alike
_BYTES_A_TOKEN_AT_MOST = 3  # no text that is asked has more tokens than by this
_MOST = 1_000_000_000  # whatever a model's server says
_MOST_DETAILS = 20


def count_of(told: Any) -> int | None:
    """A count as a server tells it; None for what is none: no number, negative, not whole, beyond reason."""
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    return told if type(told) is int and 0 <= told <= _MOST else None


def sound_usage(told: Any) -> dict[str, Any] | None:
    """Return the believable part of a server's usage: its counts, and the counts within its details."""
    if not isinstance(told, dict):
        return None
    usage: dict[str, Any] = {name: count for name in NAMES if (count := count_of(told.get(name))) is not None}
    for name in DETAILS:
        if details := _counts_in(told.get(name)):
            usage[name] = details
    return usage or None


def _counts_in(told: Any) -> dict[str, int]:
    if not isinstance(told, dict):
        return {}
    found = {str(name)[:64]: count for name, value in told.items() if (count := count_of(value)) is not None}
    return dict(list(found.items())[:_MOST_DETAILS])


def estimate(text_bytes: int) -> int:
    """About how many tokens a text of so many bytes has."""
    return -(-text_bytes // _BYTES_A_TOKEN)


def most(text_bytes: int) -> int:
    """Return the most tokens that a text of this many bytes can have, to be reserved for it."""
    return math.ceil(text_bytes / _BYTES_A_TOKEN_AT_MOST)


def asked_bytes(started: TurnStarted, lane: str) -> int:
    """Return the bytes of text that a lane's model is asked with: messages, calls in them, prompt and tools.

    It follows what `workers/prompts.py` sends, but for what is small: notes, and what was said already.
    """
    request, asked = started.request, started.lanes[lane]
    prompt, mode = asked.get("prompt") or "", asked.get("system", "instead")
    messages = [message for message in request.get("messages") or () if isinstance(message, dict)]
    if lane == "draft":
        messages = [message for message in messages if message.get("role") in ("user", "assistant")]
    elif mode not in ("instead", "after"):
        messages = [message for message in messages if message.get("role") not in _SYSTEM]
    elif mode == "instead" and any(message.get("role") in _SYSTEM for message in messages):
        prompt = ""  # the client's own stands in its place
    size = len(_utf8(prompt)) + sum(len(_utf8(text_of(message.get("content")))) for message in messages)
    if lane == "full":
        calls = [message["tool_calls"] for message in messages if message.get("tool_calls")]
        size += sum(len(orjson.dumps(part)) for part in (*calls, request.get("tools")) if part)
    return size


def bytes_of(text: str) -> int:
    """A text's length in UTF-8."""
    return len(_utf8(text))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
