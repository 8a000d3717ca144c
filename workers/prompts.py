"""What each lane's model is sent."""

from typing import Any

from common.events import TurnStarted
from common.keys import Lane

Message = dict[str, Any]


def body_for(started: TurnStarted, lane: Lane, said: str) -> dict[str, Any]:
    """The request to a lane's model; `said` is what earlier attempts have already said."""
    asked = started.lanes[lane]
    body = _draft_body(started, asked) if lane == "draft" else _full_body(started, asked)
    if said:
        # Most servers go on from a trailing assistant message.
        body["messages"] = [*body["messages"], {"role": "assistant", "content": said}]
    return body


def _full_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    messages: list[Message] = started.request["messages"]
    if asked["prompt"] and not any(m["role"] in ("system", "developer") for m in messages):
        messages = [{"role": "system", "content": asked["prompt"]}, *messages]
    return {**started.request, "model": asked["model"], "messages": messages}


def _draft_body(started: TurnStarted, asked: dict[str, Any]) -> dict[str, Any]:
    """The conversation as text: the draft has no tools, so calls and their results would only confuse it."""
    spoken = [
        {"role": message["role"], "content": message["content"]}
        for message in started.request["messages"]
        if message["role"] in ("user", "assistant") and message.get("content")
    ]
    prompt = [{"role": "system", "content": asked["prompt"]}] if asked["prompt"] else []
    return {**asked["params"], "model": asked["model"], "messages": [*prompt, *spoken]}
