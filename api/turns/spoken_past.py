"""Puts words in place of earlier answers that a request names by their audio's id, as OpenAI's clients do.

Source: https://platform.openai.com/docs/guides/audio (multi-turn conversations)
"""

from collections.abc import AsyncIterable, Sequence
from typing import Any

from api.turns.history import read_history
from common.errors import BadRequest
from common.events import Entry, TurnEnded, TurnStarted
from common.turn.turn_log import TurnLog
from common.turn.version import UnknownFold

Message = dict[str, Any]

_PREFIX = "audio_"


def audio_id(turn: str) -> str:
    """The id of a turn's sound."""
    return _PREFIX + turn


def named_turns(messages: list[Message]) -> set[str]:
    """The turns whose sound stands for an assistant's words. Raises BadRequest for what is no such id."""
    return {turn for place, message in enumerate(messages) if (turn := _named(message, place))}


def in_words(messages: list[Message], said: dict[str, str]) -> list[Message]:
    """The messages with what was said in place of its sound. Raises BadRequest where that isn't known."""
    return [_in_words(message, place, said) for place, message in enumerate(messages)]


async def words_of(pages: AsyncIterable[Sequence[Entry]], turns: set[str], since_ms: int) -> dict[str, str]:
    """Return the heard words of these turns of a session, by its log; nothing that began before that time."""
    kept: dict[str, list[Entry]] = {}
    live = set[str]()
    async for page in pages:
        for entry in page:
            event, turn = entry.event, str(getattr(entry.event, "turn", ""))
            if isinstance(event, TurnStarted):
                for each in live:
                    kept[each].append(entry)  # it may have been broken off by this
                if turn in turns and entry.ms > since_ms:
                    kept[turn] = [entry]
                    live.add(turn)
            elif turn in kept:
                kept[turn].append(entry)
                if isinstance(event, TurnEnded):
                    live.discard(turn)
    return {turn: said for turn, entries in kept.items() if (said := _said(entries))}


def _said(entries: list[Entry]) -> str:
    log = TurnLog.of(entries)
    try:
        return read_history(log).said if log else ""
    except UnknownFold:
        return ""


def _named(message: Message, place: int) -> str:
    audio = message.get("audio")
    if message.get("role") != "assistant" or audio is None:
        return ""
    name = audio.get("id") if isinstance(audio, dict) else None
    if not isinstance(name, str) or not name:
        param = f"messages.{place}.audio.id"
        raise BadRequest(f"{param}: the id of an earlier answer's audio is wanted", param=param)
    return name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else name


def _in_words(message: Message, place: int, said: dict[str, str]) -> Message:
    if message.get("role") != "assistant" or "audio" not in message:
        return message
    rest = {name: value for name, value in message.items() if name != "audio"}
    if message["audio"] is None or message.get("content"):
        return rest  # its words are there
    words = said.get(_named(message, place))
    if words is None and not message.get("tool_calls"):
        param = f"messages.{place}.audio.id"
        raise BadRequest(
            f"{param}: the session has no such audio, or its words are no longer kept",
            code="audio_not_found",
            param=param,
        )
    return {**rest, "content": words}
