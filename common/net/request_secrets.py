"""The shape of the rules for where a request may have a secret sent."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Target = Annotated[
    str,
    Field(
        pattern=r"^(?:https?://)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$",
        max_length=300,
    ),
]
"""An origin, or a host, which means its HTTPS server."""
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
USUAL_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
"""The headers in which servers usually take keys."""


class RequestSecret(BaseModel):
    """The servers to which a request may send a secret, and the headers in which it may."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    origins: tuple[Target, ...]
    headers: tuple[HeaderName, ...] = USUAL_HEADERS
