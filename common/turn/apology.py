"""The apology of a turn that failed: which phrase is said. Pure, so that every replay says the same."""

from typing import Any
from zlib import crc32

from common.text.language import language_of_messages
from common.turn.policy import ApologyPolicy


def apology_for(policy: ApologyPolicy, messages: list[dict[str, Any]], turn: str) -> str:
    """The phrase in the language of the caller's last words, else one for any; empty where there is none.

    Which of several hangs on the turn's name. Of a turn whose words are not kept nothing is said again.
    """
    if not (messages and policy.phrases):
        return ""
    phrases = policy.phrases.get(language_of_messages(messages)) or policy.phrases.get("*", ())
    return phrases[crc32(turn.encode()) % len(phrases)] if phrases else ""


def chosen(policy: ApologyPolicy, messages: list[dict[str, Any]], turn: str) -> ApologyPolicy:
    """The policy with the turn's own phrase alone: what masks the caller's words must not change it."""
    phrase = apology_for(policy, messages, turn)
    return ApologyPolicy(phrases={"*": (phrase,)} if phrase else {})
