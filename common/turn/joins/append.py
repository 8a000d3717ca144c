"""`append`: the full's text follows as it is."""

from common.turn.joins.base import Join


class Append(Join):
    """The plain way."""
