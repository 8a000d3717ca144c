"""Decides what of the draft may be heard: by token or by sentence, and no commitment where it is guarded."""

from common.text.commitments import commits
from common.text.markdown_join import dangling_markup
from common.turn.aloud import Units
from common.turn.draft_cut import is_whole
from common.turn.lane_state import LaneState
from common.turn.policy import DraftPolicy


class DraftGate:
    """The draft of one turn as far as its policy lets it speak. `units`: in which, where it is spoken."""

    def __init__(self, policy: DraftPolicy, draft: LaneState, units: Units | None = None) -> None:
        self._policy = policy
        self._draft = draft
        self._units = None if policy.guard else units
        self._by_sentence = policy.guard or policy.release == "sentence"
        self._checked = 0  # how many sentences were looked at
        self.blocked_by: str | None = None  # what it would have committed to
        self.releasable = 0
        self._whole: bool | None = None  # once it is over: whether it breaks off no sentence

    @property
    def silent(self) -> bool:
        """Return True if the draft will say no more than is releasable now."""
        return self._draft.over or self.blocked_by is not None

    @property
    def answers(self) -> bool:
        """Return True if the draft came to its end with something to hear, and nothing was guarded."""
        heard = (
            not self._draft.failed
            and self.blocked_by is None
            and 0 <= self._draft.text.first < self.releasable
        )
        return self._draft.over and heard

    def update(self) -> None:
        """Take in what the draft has said since."""
        if self._units:
            if not self._draft.failed:
                self.releasable = self._units.ends[-1]
            return
        if not self._by_sentence:
            text = self._draft.text
            self.releasable = max(
                self.releasable, len(text) - (0 if self._draft.over else dangling_markup(text))
            )
            return
        if self._draft.over and self._whole is None:
            self._whole = is_whole(self._draft, len(self._draft.text))
        whole, ends = self._whole is not False, self._draft.sentences.ends
        while self.blocked_by is None and self._checked < len(ends) - (not whole):
            end = ends[self._checked]
            if self._policy.guard:
                self.blocked_by = commits(self._draft.text[self.releasable : end], self._policy.guard_rules)
            if self.blocked_by is None:
                self.releasable = end
            self._checked += 1
        if self._draft.over and self.blocked_by is None and whole:
            self.releasable = len(self._draft.text)
