"""How much of the data is tried: a part with all tests, all of it by `make soak`."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = bool(os.environ.get("FAST_REPLY_TEST_ALL"))


def sample(rows: Sequence[T], most: int) -> Sequence[T]:
    """So many of the rows, from all over, the same ones each time; all of them where all is to be tried."""
    return rows if ALL or len(rows) <= most else rows[:: len(rows) // most][:most]
