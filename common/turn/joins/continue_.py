"""`continue`: the full waits until the draft has come to an end, and is asked to go on from there."""

from typing import TYPE_CHECKING

from common.turn.joins.base import Join
from common.turn.joins.skip_repeat import SkipRepeat

if TYPE_CHECKING:
    from common.turn.fold_state import FoldState


class Continue(Join):
    """The full waits for `handoff.continue_wait_ms` at most; after half of it a sentence's end will do."""

    full_hears_draft = True
    draft_stands_by = True

    @property
    def beside_hedge(self) -> Join:
        """A quick full doesn't wait for a draft that is only its hedge."""
        return SkipRepeat()

    def listen_ms(self, turn: "FoldState") -> int:
        """Return the first half of the wait."""
        return turn.policy.handoff.continue_wait_ms // 2

    def finish_ms(self, turn: "FoldState") -> int:
        """Return the rest of the wait."""
        return turn.policy.handoff.continue_wait_ms - self.listen_ms(turn)

    def overtakes(self, turn: "FoldState") -> bool:
        """Return True if the draft is silent while the full waits for it; else a time ends the wait."""
        return turn.full_waits and turn.draft_gate.silent
