"""What is logged of an exception that nobody has foreseen: its kind and place, without anybody's words."""

import traceback
from pathlib import Path
from typing import Any

_PLACES = 4


def about(bug: BaseException) -> dict[str, Any]:
    """Facts for a log line: a message may hold what a caller or a model has said, so it is left out."""
    places = traceback.extract_tb(bug.__traceback__)[-_PLACES:]
    return {
        "error": type(bug).__name__,
        "at": [f"{Path(place.filename).name}:{place.lineno}" for place in places],
    }
