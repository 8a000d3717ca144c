"""The hand-over's two questions: has the full overtaken, and where does the draft stop. Pure."""

from bisect import bisect_right

from common.text.growing_text import is_among
from common.text.markdown_join import word_boundary
from common.text.repeats import Opening
from common.text.sentences import rests_at_end
from common.turn.lane_state import LaneState
from common.turn.policy import HandoverPolicy

FINISH_MS = 1_000
"""So long the draft may take to finish its sentence once it is overtaken: speech is slower than text."""


def listen_ms(policy: HandoverPolicy) -> int:
    """Under `continue`: so long a draft that goes on is listened to; then the end of its sentence will do."""
    return policy.continue_wait_ms // 2


def finish_ms(policy: HandoverPolicy, continues: bool) -> int:
    """How long the draft may take to finish its sentence. Under `continue` the full waits for it."""
    return policy.continue_wait_ms - listen_ms(policy) if continues else FINISH_MS


def overtakes(
    policy: HandoverPolicy, full: LaneState, opening: Opening | None, begin: int, spoken: int
) -> bool:
    """Whether the full holds enough to take over from a draft that goes on and of which `spoken` is out.

    `begin` is where the first sentence of the full begins that is to be said.
    """
    new = len(full.text) - begin
    if full.over or policy.when == "first_token":
        return True
    if policy.when == "length":
        return new >= spoken
    if opening:
        return opening.overtakes(full.text, policy.min_chars)
    return bool(full.sentences.ends) or new >= policy.min_chars


class DraftCut:
    """Where a draft stops that was overtaken, looked for as it goes on; each character is looked at once."""

    def __init__(self, policy: HandoverPolicy, draft: LaneState) -> None:
        self.floor = 0
        """What of the draft was released when the full overtook."""
        self._policy = policy
        self._draft = draft
        self._seen = 0  # up to here of the overrun word ends were looked for
        self._word = 0  # the last one found

    def begin(self, floor: int) -> None:
        """The full has overtaken."""
        self.floor = self._seen = self._word = floor

    def cut(self, free: int) -> int | None:
        """Where in its text the draft stops, or None while it may still finish its sentence.

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
        """Whether the draft's sentence goes on for longer than it may."""
        return self._draft.over or len(self._draft.text) - self.floor > self._policy.overrun_chars

    def may_say(self) -> int:
        """How far the draft may be heard while it ends its sentence: whole words, within the overrun."""
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
    """Whether the draft's text up to this place breaks off no sentence."""
    end, ends = draft.text.solid_before(place), draft.sentences.ends
    if not end:
        return True
    known = is_among(ends, end)
    if known and draft.finished and draft.finished.reason != "stop":
        known = end != ends[-1]  # the last one is where it was broken off
    return known or rests_at_end(draft.text[:place])
