"""The joins by the names that policies call them by. A new one is a file beside this, and its name here."""

from typing import Literal

from common.turn.joins.append import Append
from common.turn.joins.base import Join
from common.turn.joins.continue_ import Continue
from common.turn.joins.skip_repeat import SkipRepeat

JoinName = Literal["append", "skip_repeat", "continue"]

JOINS: dict[JoinName, Join] = {
    "append": Append(),
    "skip_repeat": SkipRepeat(),
    "continue": Continue(),
}


def join_of(name: JoinName, *, drafted: bool, hedged: bool) -> Join:
    """Return a turn's join. `drafted`: a draft may be heard; `hedged`: it is begun late, as a hedge."""
    if not drafted:
        return JOINS["append"]  # nothing comes before the full
    join = JOINS[name]
    return join.beside_hedge if hedged else join
