"""What of the full may be heard: all but the sentences at its opening that the draft has said already."""

from common.names import Lane
from common.text import markdown_join
from common.text.repeats import Opening
from common.turn.aloud import Units
from common.turn.lane_state import LaneState


class FullGate:
    """The full of one turn, as far as it may be let out. `judged`: its opening may repeat the draft.

    `units`: in which it is let out, where it is spoken.
    """

    def __init__(
        self, full: LaneState, draft: LaneState, units: Units | None = None, *, judged: bool
    ) -> None:
        self.opening = Opening() if judged else None
        self.taken = 0  # so much of its text was taken for letting out, or left out
        self._full = full
        self._draft = draft
        self._units = units
        self._lead = ""  # what it begins with, until it is known what goes before that

    def read_opening(self, spoken: int, *, flows: bool) -> int | None:
        """Where its first sentence begins that is to be said after so much of the draft; None without one.

        `flows`: its sentences can be waited for, to be judged whole.
        """
        if self.opening is None:
            return 0
        if not self.opening.decided:
            self.opening.set_spoken(self._draft.text, self._draft.sentences.ends, spoken)
            self.opening.scan(self._full.text, self._full.sentences.ends, self._full.over, flows)
        return self.opening.begin

    def has_to_say(self, begin: int = 0) -> bool:
        """Whether any of it could be let out from there on, were it to speak now."""
        upto = self._units.ends[-1] if self._units else len(self._full.text)
        return self._full.text.solid_before(upto) > begin

    def start_speaking(self, spoken: int) -> None:
        """The draft is heard so far, and no further."""
        if self.opening and not self.opening.decided:
            self.opening.set_spoken(self._draft.text, self._draft.sentences.ends, spoken)
            self.opening.start_speaking(self._full.text)

    def next_text(self, spoken: int, speaker: Lane | None) -> str:
        """What may be let out after whoever spoke last; while the opening is undecided, repeats are held."""
        whole, start, upto = self._full.text, self.taken, len(self._full.text)
        if self.opening and not self.opening.decided:
            self.read_opening(spoken, flows=False)
        if self.opening:
            upto = self.opening.releasable(whole)
        if self._units:
            upto = self._whole(upto)
        text = self.opening.without_repeats(whole, start, upto) if self.opening else whole[start:upto]
        self.taken = max(start, upto)
        text, self._lead = self._lead + text, ""
        if speaker in (None, "full"):
            return text
        if text.isspace():
            text = text[-markdown_join.LEAD :]  # of blanks that don't end the last ones are enough
        if not self._full.over and markdown_join.is_undecided(text):
            self._lead = text
            return ""
        return "" if text.isspace() else text

    def _whole(self, upto: int) -> int:
        """What of that is whole units. A held sentence is not told piece by piece: speech takes its time."""
        assert self._units
        settled = self.opening.settled if self.opening else 0
        return max(self._units.upto(upto), self._units.upto(settled))
