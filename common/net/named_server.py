"""A model's server that a request names itself, as JAICP's `llmRequest` does, as `turn.started` has it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# All that may stand beside the secret's name in a header that is written down.
_SCHEME = re.compile(r"[A-Za-z-]* ?\Z")


@dataclass(frozen=True, slots=True)
class NamedServer:
    """`url`: where its answers are asked for, empty for Caila; `secret`: the name of the tenant's secret.

    `headers`: those that name the secret, as templates; `sealed`: names of those that are kept elsewhere,
    and `query` says that the URL's query is, too: any of it may be a key.
    """

    url: str
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    query: bool = False

    @staticmethod
    def read(value: Mapping[str, Any]) -> "NamedServer":
        """As `turn.started` has it."""
        return NamedServer(**value)


def is_template(value: str, secret: str) -> bool:
    """Return whether a header's value is nothing but a scheme and the secret's name."""
    rest = _name(secret).sub("", value, count=1) if secret else value
    return rest != value and bool(_SCHEME.match(rest))


def fill_in(value: str, secret: str, secret_value: str) -> str:
    """Return a header's value with the secret in place of its name."""
    return _name(secret).sub(lambda _: secret_value, value) if secret else value


def shows(value: str, secret: str) -> bool:
    """Return whether a header's value holds the secret's name, in whose place it is sent."""
    return bool(secret and _name(secret).search(value))


def _name(secret: str) -> re.Pattern[str]:
    """Return the secret's name, where it is a word of its own."""
    return re.compile(rf"(?<![\w-]){re.escape(secret)}(?![\w-])")
