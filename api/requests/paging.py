"""Reads how much of a list is asked for at once."""

from collections.abc import Mapping

from common.errors import BadRequest


def read_limit(query: Mapping[str, str], usual: int, most: int) -> int:
    """Read `limit` of a query, from 1 to `most`; `usual` where it isn't said. Raises BadRequest."""
    text = query.get("limit", str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= most):
        raise BadRequest(f"limit is a number from 1 to {most}", param="limit")
    return int(text)
