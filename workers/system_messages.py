"""The system messages that the full is sent: the profile's prompt, and the client's own where allowed."""

from typing import Any

Message = dict[str, Any]

ROLES = ("system", "developer")


def with_system(messages: list[Message], prompt: str, mode: str) -> list[Message]:
    """Return the messages with the profile's prompt.

    `mode` says what becomes of the client's system messages. `instead`: they replace the prompt; `after`:
    they follow it; otherwise all of them are left out.
    """
    if mode not in ("instead", "after"):
        messages = [message for message in messages if message["role"] not in ROLES]
    told = any(message["role"] in ROLES for message in messages)
    if not prompt or (told and mode == "instead"):
        return messages
    first = messages[0]
    if first["role"] not in ROLES:
        return [{"role": "system", "content": prompt}, *messages]
    # One message: some servers take no system message but the first.
    return [{**first, "content": _behind(prompt, first["content"])}, *messages[1:]]


def with_note(messages: list[Message], note: str) -> list[Message]:
    """Return the messages with our note at the end of the first system message."""
    if not messages or messages[0]["role"] not in ROLES:
        return [{"role": "system", "content": note}, *messages]
    first, content = messages[0], messages[0].get("content")
    if isinstance(content, list):  # parts are joined without a break
        return [{**first, "content": [*content, {"type": "text", "text": f"\n\n{note}"}]}, *messages[1:]]
    return [{**first, "content": _behind(content, note) if content else note}, *messages[1:]]


def _behind(prompt: str, content: Any) -> Any:
    if isinstance(content, list):
        return [{"type": "text", "text": prompt}, *content]
    return f"{prompt}\n\n{content}" if content else prompt
