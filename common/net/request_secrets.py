"""The shape of the rules that say where a request may have a secret sent."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Target = Annotated[
    str,
    Field(
        pattern=r"^(?:https?://)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$",
        max_length=300,
    ),
]
"""An origin, or a host, which is its HTTPS server."""
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
USUAL_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
"""Those in which servers are shown keys."""


class RequestSecret(BaseModel):
    """The servers to which a request may send a secret, and the headers in which it may."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    origins: tuple[Target, ...]
    headers: tuple[HeaderName, ...] = USUAL_HEADERS
