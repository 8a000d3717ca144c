"""Parameters of a draft's request as its model's server wants them: renamed, left out, added."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator

_OURS = frozenset(
    (
        "model",
        "messages",
        "stream",
        "stream_options",
        "n",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
    )
)
_MOST_BYTES = 4_096


def _sound(params: dict[str, Any]) -> dict[str, Any]:
    if wrong := next((name for name in params if name in _OURS), None):
        raise ValueError(f"{wrong} is not to be set here")
    try:
        size = len(orjson.dumps(params))
    except (TypeError, ValueError):
        raise ValueError("this is no JSON") from None
    if size > _MOST_BYTES:
        raise ValueError(f"at most {_MOST_BYTES} bytes of JSON")
    return params


DraftParams = Annotated[dict[str, Any], AfterValidator(_sound)]


def with_params(usual: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The usual parameters with the wanted ones over them; null, or `false` for a usual one, leaves it out.

    TOML has no null, and neither of the usual ones is a switch.
    """
    kept = {name: value for name, value in usual.items() if wanted.get(name) is not False}
    wanted = {name: value for name, value in wanted.items() if name not in usual or value is not False}
    return {name: value for name, value in {**kept, **wanted}.items() if value is not None}
