"""Filler phrases: which of a policy's are right for a conversation."""

from typing import Any

from common.language import language_of_messages
from common.policy import FillerPolicy


def phrases_for(policy: FillerPolicy, messages: list[dict[str, Any]]) -> tuple[str, ...]:
    """The phrases in the language of the user's last message; those for any language where there are none."""
    return policy.phrases.get(language_of_messages(messages)) or policy.phrases.get("*", ())
