"""Tool calls and results in a conversation, put right: model servers refuse one without the other. Pure."""

from typing import Any

Message = dict[str, Any]

THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
"""What of a message a model thought: while its tools are at work many want that back beside their calls."""

_SILENT = {"role", "content", "name", "annotations", "extra_content", "provider_specific_fields", *THOUGHTS}


def repaired(messages: list[Message]) -> list[Message]:
    """The conversation with each call followed by its result; calls and results that are alone are left out.

    A result that came late is moved to its call. What isn't in the usual form is the model server's to judge.
    """
    calls = [(place, ids) for place, message in enumerate(messages) if (ids := _ids(message)) is not None]
    results = [place for place, message in enumerate(messages) if message.get("role") == "tool"]
    if not calls and not results:
        return messages
    if any(None in ids for _, ids in calls):
        return messages
    matched = _match(messages, calls, results)
    if _is_whole(messages, calls, results, matched):
        return messages
    put: list[Message] = []
    answered = dict(calls)
    for place, message in enumerate(messages):
        if message.get("role") == "tool":
            continue
        found = matched.get(place, {})
        if place in answered and len(found) < len(answered[place]):
            message = _without_unanswered(message, set(found))
        if message.get("role") != "assistant" or _says(message):
            put += [message, *(messages[found[each]] for each in answered.get(place, ()) if each in found)]
    return put


def _ids(message: Message) -> list[Any] | None:
    """The ids of a message's calls, None for one of another form; None where it calls nothing."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not isinstance(calls, list) or not calls:
        return None
    ids = [call.get("id") if isinstance(call, dict) else None for call in calls]
    return [each if isinstance(each, str) and each else None for each in ids]


def _match(
    messages: list[Message], calls: list[tuple[int, list[Any]]], results: list[int]
) -> dict[int, dict[str, int]]:
    """For each message that calls, where the last result of each of its calls is: ids may be used again."""
    owner: dict[str, int] = {}
    matched: dict[int, dict[str, int]] = {place: {} for place, _ in calls}
    by_place = dict(calls)
    of_tools = set(results)
    for place, message in enumerate(messages):
        if place in by_place:
            owner.update(dict.fromkeys(by_place[place], place))
        elif place in of_tools and (call := owner.get(str(message.get("tool_call_id")))) is not None:
            matched[call][str(message.get("tool_call_id"))] = place
    return matched


def _is_whole(
    messages: list[Message],
    calls: list[tuple[int, list[Any]]],
    results: list[int],
    matched: dict[int, dict[str, int]],
) -> bool:
    """Return True if each call's results, and nothing else, stand directly behind it."""
    for place, ids in calls:
        behind = set(range(place + 1, place + 1 + len(ids)))
        if len(set(ids)) != len(ids) or set(matched[place].values()) != behind:
            return False
    return len(results) == sum(len(found) for found in matched.values())


def _without_unanswered(message: Message, answered: set[str]) -> Message:
    calls = [call for call in message["tool_calls"] if call["id"] in answered]
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return {**rest, "tool_calls": calls} if calls else rest


def _says(message: Message) -> bool:
    return bool(message.get("content")) or any(message[key] for key in message.keys() - _SILENT)


def without_thoughts(messages: list[Message]) -> list[Message]:
    """The same conversation without what models thought in it."""
    return [{key: value for key, value in m.items() if key not in THOUGHTS} for m in messages]
