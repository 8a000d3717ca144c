"""A turn as its log tells it up to now."""

from collections.abc import Sequence

from common.events import Entry, TurnStarted
from common.turn.fold import Fold


def fold_turn(entries: Sequence[Entry]) -> Fold:
    """The fold of a turn's entries, the first of which is its start. Raises UnknownFold."""
    started = entries[0].event
    assert isinstance(started, TurnStarted)
    fold = Fold(started)
    for entry in entries[1:]:
        fold.feed(entry.event, entry.ms - entries[0].ms)
    return fold
