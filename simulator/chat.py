"""Chat Completions requests, read and checked as far as the simulator needs them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_MOST_CHOICES = 128


class RequestError(ValueError):
    """The client's mistake, answered with `status`; `param` names the field, if it is one."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.status = param, status


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The fields of a request that the simulator uses; `prompt` is the text of the last user message."""

    model: str
    texts: tuple[str, ...]  # of all messages
    prompt: str
    prefill: str | None  # text of the last message if the assistant said it
    stream: bool
    include_usage: bool
    max_tokens: int | None
    n: int
    wants_json: bool
    simulate: object  # JSON of a Behaviour, None if absent


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; raises RequestError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("The body must be a JSON object.")
    return value


def parse_chat_request(body: Mapping[str, Any]) -> ChatRequest:
    """Check a request body; raises RequestError."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("You must name a model.", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError("You must send at least one message.", "messages")
    spoken = [_read_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    users = [text for role, text in spoken if role == "user"]
    last_role, last_text = spoken[-1]
    limit_name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    options = body.get("stream_options") or {}
    answer_format = body.get("response_format") or {}
    for name, value in (("stream_options", options), ("response_format", answer_format)):
        if not isinstance(value, dict):
            raise RequestError("It must be an object.", name)
    return ChatRequest(
        model=model,
        texts=tuple(text for _, text in spoken),
        prompt=users[-1] if users else "",
        prefill=last_text if last_role == "assistant" else None,
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        max_tokens=_count(body, limit_name),
        n=_count(body, "n", most=_MOST_CHOICES) or 1,
        wants_json=answer_format.get("type") in ("json_object", "json_schema"),
        simulate=body.get("simulate"),
    )


def _read_message(message: object, place: str) -> tuple[str, str]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RequestError("A message must be an object with a role.", place)
    content = message.get("content")
    if content is None:
        return message["role"], ""
    if isinstance(content, str):
        return message["role"], content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise RequestError("It must be a text or a list of parts.", f"{place}.content")
    parts = [part.get("text") for part in content if part.get("type") == "text"]
    if not all(isinstance(text, str) for text in parts):
        raise RequestError("A text part must have a text.", f"{place}.content")
    return message["role"], "".join(parts)


def _count(body: Mapping[str, Any], name: str, most: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most and value > most):
        raise RequestError(
            "It must be a whole number of 1 or more" + (f", up to {most}." if most else "."), name
        )
    return value
