"""Describes unexpected exceptions for the log: their kind and place, without anybody's words."""

import traceback
from pathlib import Path
from typing import Any

_PLACES = 4
_MOST = 3


def about(bug: BaseException, places: int = _PLACES) -> dict[str, Any]:
    """Return fields for a log line, without the exception's message: it may quote a caller or a model."""
    found = traceback.extract_tb(bug.__traceback__)[-places:]
    facts: dict[str, Any] = {
        "error": type(bug).__name__,
        "at": [f"{Path(place.filename).name}:{place.lineno}" for place in found],
    }
    if isinstance(bug, BaseExceptionGroup):
        facts["of"] = [about(each, places) for each in bug.exceptions[:_MOST]]
    return facts
