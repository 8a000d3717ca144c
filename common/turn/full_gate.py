"""Decides what of the full may be heard: all but what the turn's join leaves out of its opening."""

from common.names import Lane
from common.text import markdown_join
from common.text.opening import Opening
from common.turn.aloud import Units
from common.turn.lane_state import LaneState


class FullGate:
    """The full of one turn, as far as it may be let out. `units`: in which, where it is spoken."""

    def __init__(
        self, full: LaneState, draft: LaneState, opening: Opening, units: Units | None = None
    ) -> None:
        self.opening = opening
        self.taken = 0  # so much of its text was taken for letting out, or left out
        self._full = full
        self._draft = draft
        self._units = units
        self._lead = ""  # what it begins with, until it is known what goes before that

    def read_opening(self, spoken: int, *, flows: bool) -> int | None:
        """Return where its first sentence begins that is to be said after so much of the draft.

        None while there is none. `flows`: its sentences can be waited for, to be judged whole.
        """
        self.opening.set_spoken(self._draft.text, self._draft.sentences.ends, spoken)
        self.opening.scan(self._full.text, self._full.sentences.ends, self._full.over, flows)
        return self.opening.begin

    def say_whole(self) -> None:
        """Leave nothing out, whatever was read of the opening."""
        self.opening = Opening()

    def has_to_say(self, begin: int = 0) -> bool:
        """Return True if any of it could be let out from there on, were it to speak now."""
        upto = self._units.ends[-1] if self._units else len(self._full.text)
        return self._full.text.solid_before(upto) > begin

    def start_speaking(self, spoken: int) -> None:
        """Take in that the draft is heard so far, and no further."""
        self.opening.set_spoken(self._draft.text, self._draft.sentences.ends, spoken)
        self.opening.start_speaking(self._full.text)

    def next_text(self, spoken: int, speaker: Lane | None) -> str:
        """Return what may be let out after whoever spoke last; what may yet be left out is held."""
        self.read_opening(spoken, flows=False)
        whole, start = self._full.text, self.taken
        upto = self._whole(self.opening.releasable(whole))
        text = self.opening.said_between(whole, start, upto)
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
        """Return how much of that is whole units, where it is spoken.

        A held sentence is not told piece by piece: speech takes its time.
        """
        if not self._units:
            return upto
        return max(self._units.upto(upto), self._units.upto(self.opening.settled))
