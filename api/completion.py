"""A turn in one piece, for clients that don't stream: its answer as a completion, or the turn itself."""

from typing import Any

from api.chunks import completion_head, finish_reason, whole_call
from api.live import LiveTurn
from common.releases import Called, Passed, Said


def whole_answer(live: LiveTurn) -> dict[str, Any]:
    """The answer of a turn that has ended, as one completion object."""
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    others: dict[int, dict[str, Any]] = {}
    ending = live.fold.ending
    assert ending is not None, "the turn goes on"
    for release in live.releases:
        if isinstance(release, Said):
            text.append(release.text)
        elif isinstance(release, Called):
            calls.append(whole_call(release))
        elif isinstance(release, Passed):
            _merge_choice(others.setdefault(release.choice.get("index", 0), {}), release.choice)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    first = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(ending)}
    extra = others.pop(0, {})
    message.update(extra.pop("message", {}))
    choices = [{**first, **extra}, *({"index": index, **others[index]} for index in sorted(others))]
    return {**completion_head(live, "chat.completion"), "choices": choices, "usage": live.usage}


def turn_object(live: LiveTurn) -> dict[str, Any]:
    """The turn as it stands; with its ending, and the answer as a completion, where it has ended."""
    turn: dict[str, Any] = {
        "id": live.turn.turn,
        "object": "turn",
        "session": live.turn.session.session,
        "created": live.created_s,
        "status": "live",
        "text": live.text,
    }
    if ending := live.fold.ending:
        told = {"reason": ending.reason, "degraded": ending.degraded, "error": ending.error}
        turn |= {"status": "ended", **told, "answer": whole_answer(live)}
    return turn


def _merge_choice(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Add a streamed choice's part to the whole: texts and lists grow, anything else is replaced."""
    for key, value in (part.get("delta") or {}).items():
        message = whole.setdefault("message", {"role": "assistant"} if part.get("index") else {})
        grows = isinstance(value, str) and isinstance(message.get(key), str) and key != "role"
        message[key] = message[key] + value if grows else value
    for key, value in part.items():
        if key == "logprobs" and value:
            kept = whole.setdefault("logprobs", {})
            for name, items in value.items():
                kept[name] = (kept.get(name) or []) + items if isinstance(items, list) else items
        elif key not in ("delta", "index", "logprobs") and value is not None:
            whole[key] = value
