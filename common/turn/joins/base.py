"""The interface of a join. A join overrides what it does differently from `append`, the plain one.

Joins have no state: all that changes during a turn is in its fold.
"""

from typing import TYPE_CHECKING

from common.text.opening import Opening

if TYPE_CHECKING:  # which has a join itself
    from common.turn.fold_state import FoldState

FINISH_MS = 1_000
"""So long the draft may take to finish its sentence once it is overtaken: speech is slower than text."""


class Join:
    """Decides how the full takes over from the draft, and how its text follows."""

    full_hears_draft = False
    """Whether the full is asked only when it is known what the draft will have said, to go on from there."""

    draft_stands_by = False
    """Whether the draft goes on unheard after the handover, in case the full fails before it is heard."""

    @property
    def beside_hedge(self) -> "Join":
        """The join of a turn whose draft is begun late, as a hedge against a slow full."""
        return self

    def opening(self) -> Opening:
        """Return what decides which of the full's first sentences are said."""
        return Opening()

    def listen_ms(self, turn: "FoldState") -> int:
        """Return how long a full that hears the draft waits before the end of a sentence will do."""
        return 0

    def finish_ms(self, turn: "FoldState") -> int:
        """Return how long the draft may take to finish its sentence."""
        return FINISH_MS

    def overtakes(self, turn: "FoldState") -> bool:
        """Return True if the full takes over now from a draft that may still speak."""
        full, spoken = turn.full, turn.spoken["draft"]
        if full.failed or not full.answers:
            return False
        if full.calls or not full.speaks:
            return True
        if turn.aloud and not full.over and not turn.full_gate.has_to_say():
            return False  # where it is spoken, a token is no sound yet
        if not spoken:
            turn.full_gate.say_whole()  # nothing was said that could be repeated, nor is to be waited for
            return True
        policy = turn.policy.handoff
        idle = turn.draft_gate.silent and spoken == turn.draft_gate.releasable
        # Whoever wants the first token doesn't wait until a sentence can be judged as a whole.
        flows = not idle and policy.when != "first_token"
        begin = turn.full_gate.read_opening(spoken, flows=flows)
        if begin is None or not turn.full_gate.has_to_say(begin):
            return False
        if idle or full.over or policy.when == "first_token":
            return True
        new = len(full.text) - begin
        if policy.when == "length":
            return new >= spoken
        return turn.full_gate.opening.whole or new >= policy.min_chars
