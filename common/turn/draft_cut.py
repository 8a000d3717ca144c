"""Finds where a draft stops that the full has overtaken. Pure."""

from bisect import bisect_right

from common.text.growing_text import is_among
from common.text.markdown_join import word_boundary
from common.text.sentences import rests_at_end
from common.turn.lane_state import LaneState
from common.turn.policy import HandoverPolicy


class DraftCut:
    """The place where one draft stops, looked for as it goes on; each character is looked at once.

    `floor`: what of it was released when the full overtook.
    """

    def __init__(self, policy: HandoverPolicy, draft: LaneState, floor: int) -> None:
        self.floor = floor
        self._policy = policy
        self._draft = draft
        self._seen = floor  # up to here of the overrun word ends were looked for
        self._word = floor  # the last one found

    def place(self, free: int) -> int | None:
        """Return where in its text the draft stops, or None while it may still finish its sentence.

        `free` is what may be released at all.
        """
        floor, text, ends = self.floor, self._draft.text, self._draft.sentences.ends
        if not floor or self._policy.cut == "now":
            return floor
        if is_among(ends, text.solid_before(floor)):
            return floor
        if floor == len(text) and self._draft.sentences.rests:
            return floor
        after = bisect_right(ends, floor)
        if after < len(ends) and ends[after] - floor <= self._policy.overrun_chars:
            return min(ends[after], free)
        if self._draft.over and len(text) - floor <= self._policy.overrun_chars:
            return min(len(text), free)
        return None

    def overruns(self) -> bool:
        """Return True if the draft's sentence goes on for longer than it may."""
        return self._draft.over or len(self._draft.text) - self.floor > self._policy.overrun_chars

    def may_say(self) -> int:
        """Return how far the draft may be heard while it ends its sentence: by whole words."""
        text, most = self._draft.text, self.floor + self._policy.overrun_chars
        known = min(most, len(text) - 1)  # what follows there can't change any more
        if known > self._seen:
            self._word = self._word_end(known)
            self._seen = known
        return self._word_end(most)

    def _word_end(self, upto: int) -> int:
        found = word_boundary(self._draft.text, self._seen, upto)
        return found if found > self._seen else self._word


def is_whole(draft: LaneState, place: int) -> bool:
    """Return True if the draft's text up to this place breaks off no sentence."""
    end, ends = draft.text.solid_before(place), draft.sentences.ends
    if not end:
        return True
    known = is_among(ends, end)
    if known and draft.finished and draft.finished.reason != "stop":
        known = end != ends[-1]  # the last one is where it was broken off
    return known or rests_at_end(draft.text[:place])
