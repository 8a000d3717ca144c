"""Reads the fields that voice platforms write into a body beside OpenAI's."""

from collections.abc import Iterator, Mapping
from typing import Any

_COUNTS = ("max_tokens", "max_completion_tokens")
_WHOLE = (*_COUNTS, "n", "top_logprobs", "seed", "turn_id")  # integers, by whatever wrote them
_OF_A_PAGE = ("metadata", "options")  # of Gradio's messages: model servers refuse what they don't know

# Vapi: https://docs.vapi.ai/customization/custom-llm/using-your-server (`metadataSendMode`)
# ElevenLabs: https://elevenlabs.io/docs/conversational-ai/customization/llm/custom-llm
_OBJECTS: Mapping[str, tuple[str, ...]] = {
    "call": ("id", "type"),
    "customer": ("id", "number"),
    "phoneNumber": ("id", "number"),
    "assistant": ("id",),
    "squad": ("id",),
    "workflow": ("id",),
}
_IDS = ("user_id", "call_id", "callId", "call_control_id", "agent_id", "assistantId", "credentialId")
_EXTRA = "elevenlabs_extra_body"
_MOST_EXTRAS = 8


def tidy(body: dict[str, Any]) -> dict[str, Any]:
    """The body as OpenAI's own clients would write it; what is really wrong in it stays so."""
    tidied = {name: _whole(value) if name in _WHOLE else value for name, value in body.items()}
    for name in _COUNTS:
        if tidied.get(name) == -1:  # "no limit", as some servers have it
            del tidied[name]
    messages = tidied.get("messages")
    if isinstance(messages, list):
        tidied["messages"] = [_message(message) for message in messages]
    return tidied


def kept_here(body: Mapping[str, Any]) -> set[str]:
    """The fields that a platform adds to tell of its call: no model's server is sent them."""
    objects = {name for name in _OBJECTS if isinstance(body.get(name), dict | None)}
    return {name for name in (*objects, *_IDS, _EXTRA) if name in body}


def caller_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the caller's ids and numbers that those fields hold, without descriptions."""
    return dict(_named(body))


def _named(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, parts in _OBJECTS.items():
        told = body.get(name)
        if isinstance(told, dict):
            yield from ((f"{name}.{part}", told[part]) for part in parts if part in told)
    yield from ((name, body[name]) for name in _IDS if name in body)
    extra = body.get(_EXTRA)
    if isinstance(extra, dict):
        ids = [name for name in extra if str(name).lower().endswith("id") and len(str(name)) <= 64]
        yield from ((f"{_EXTRA}.{name}", extra[name]) for name in ids[:_MOST_EXTRAS])


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _message(message: Any) -> Any:
    if not isinstance(message, dict) or not message.keys() & set(_OF_A_PAGE):
        return message
    return {name: value for name, value in message.items() if name not in _OF_A_PAGE}
