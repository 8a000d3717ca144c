"""`skip_repeat`: sentences at the full's opening that only say again what the draft has said are left out."""

from common.text.opening import Opening
from common.text.repeats import RepeatFilter
from common.turn.joins.base import Join


class SkipRepeat(Join):
    """While the full only repeats, the draft goes on."""

    def opening(self) -> Opening:
        """Return the filter of repeats."""
        return RepeatFilter()
