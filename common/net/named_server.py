"""A model's server that the request itself names, as JAICP's `llmRequest` does, and `turn.started` records
it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# All that may stand beside the secret's name in a header that is stored in the clear.
_SCHEME = re.compile(r"[A-Za-z-]* ?\Z")


@dataclass(frozen=True, slots=True)
class NamedServer:
    """`url`: where its answers are requested, empty for Caila; `secret`: the name of the tenant's secret.

    `headers`: templates of those that name the secret; `sealed`: the names of headers stored elsewhere;
    `query`: the URL's query is stored there, too. Any of these may be a key.
    """

    url: str
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    query: bool = False

    @staticmethod
    def read(value: Mapping[str, Any]) -> "NamedServer":
        """Return the server that `turn.started` records."""
        return NamedServer(**value)


def is_template(value: str, secret: str) -> bool:
    """Return True if a header's value is nothing but a scheme and the secret's name."""
    rest = _name(secret).sub("", value, count=1) if secret else value
    return rest != value and bool(_SCHEME.match(rest))


def fill_in(value: str, secret: str, secret_value: str) -> str:
    """Return a header's value with the secret in place of its name."""
    return _name(secret).sub(lambda _: secret_value, value) if secret else value


def shows(value: str, secret: str) -> bool:
    """Return True if a header's value holds the secret's name, which the secret replaces when sent."""
    return bool(secret and _name(secret).search(value))


def _name(secret: str) -> re.Pattern[str]:
    """Return the pattern of the secret's name as a whole word."""
    return re.compile(rf"(?<![\w-]){re.escape(secret)}(?![\w-])")
