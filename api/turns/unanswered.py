"""Makes one message of what a caller said to nobody's answer and what follows: models take turns. Pure."""

import re
import unicodedata
from typing import Any

Message = dict[str, Any]

_MOST_CHARS = 4_000  # of what may be a fragment of speech; longer texts are compared as they are
_MOST_LINES = 8  # of earlier fragments from which the new words may begin anew
_FREE = 2  # so many words make a fragment whose last one may be half a word
# Scripts without spaces: each character is a word.
_ALONE = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)


def carried_on(talk: list[Message], own: list[Message]) -> tuple[list[Message], list[Message]]:
    """The talk and a client's own messages after it, where both may be the user's at the seam.

    What `own` says again is no longer in the talk; else the last message of the one and the first of the
    other become one of `own`.
    """
    if not (talk and own and _is_users(talk[-1]) and _is_users(own[0])):
        return talk, own
    begin = len(talk)
    while begin and _is_users(talk[begin - 1]):
        begin -= 1
    unanswered = talk[begin:]
    if unanswered == own[: len(unanswered)]:
        return talk[:begin], own  # a client that tells the whole story
    both = joined(talk[-1], own[0])
    return (talk, own) if both is None else (talk[:-1], [both, *own[1:]])


def joined(before: Message, now: Message) -> Message | None:
    """Both as one message: `now` alone, where it repeats or extends the other. None of two speakers."""
    if _rest(before) != _rest(now):
        return None
    earlier, later = before.get("content"), now.get("content")
    if earlier == later:
        return now
    if isinstance(earlier, str) and isinstance(later, str):
        return {**now, "content": _one_text(earlier, later)}
    return {**now, "content": [*_parts(earlier), *_parts(later)]}


def _one_text(earlier: str, later: str) -> str:
    """The later text, in place of the fragments at the earlier one's end that it begins with."""
    if not later.strip():
        return earlier
    for start in _beginnings(earlier):
        if _extends(later, earlier[start:]):
            return earlier[:start] + later
    return f"{earlier}\n{later}"


def _beginnings(text: str) -> list[int]:
    """Return where the whole text and each of its last lines begin, the longest first."""
    starts, at = list[int](), len(text)
    while len(starts) < _MOST_LINES and (at := text.rfind("\n", 0, at)) >= 0:
        starts.append(at + 1)
    return [0, *reversed(starts)]


def _extends(text: str, fragment: str) -> bool:
    """Return True if a text begins with the fragment's words, whatever their case and punctuation.

    A recognizer may have cut it in mid-word.
    """
    if len(fragment) > _MOST_CHARS:
        return text.startswith(fragment)
    words = _words(fragment)
    first = _words(text[: 2 * len(fragment) + 100])[: len(words)]
    if not words or len(first) < len(words):
        return not fragment.strip() or (not words and text.startswith(fragment.strip()))
    half = len(words) >= _FREE and first[-1].startswith(words[-1])
    return first[:-1] == words[:-1] and (first[-1] == words[-1] or half)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    marked = "".join(" " if unicodedata.category(char)[0] in "PZC" else char for char in plain)
    return _ALONE.sub(r" \1 ", marked).split()


def _is_users(message: Message) -> bool:
    return message.get("role") == "user"


def _rest(message: Message) -> Message:
    """Return a message's fields beside its content: two names are two people."""
    return {name: value for name, value in message.items() if name != "content"}


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
