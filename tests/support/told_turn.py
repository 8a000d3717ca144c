"""A turn for the tests of the fold, told one thing after the other."""

from typing import Any

from common.events import Event
from common.turn.fold import Fold
from common.turn.outputs import Due, Output
from tests.support.turn_events import begin, end, endings, fire, heard, say, started


class Turn:
    """A turn that is told one thing after the other; `out` is all that it let out."""

    def __init__(
        self, join: str = "skip_repeat", *, release: str = "token", late: bool = False, **policy: Any
    ):
        policy["handoff"] = {"join": join, **policy.get("handoff", {})}
        self.fold = Fold(started(release=release, late=late, **policy))
        self.out: list[Output] = []
        self.now_ms = 0
        self._length = {"draft": 0, "full": 0}
        self.feed(begin("draft"), begin("full"))

    def feed(self, *events: Event) -> None:
        for event in events:
            self.now_ms += 1
            self.out += self.fold.feed(event, self.now_ms)

    def says(self, lane: str, text: str) -> None:
        """A lane's next text, word by word."""
        for number, word in enumerate(text.split(" ")):
            piece = f" {word}" if number else word
            self.feed(say(lane, self._length[lane], piece))
            self._length[lane] += len(piece)

    def ends(self, lane: str, reason: str = "stop") -> None:
        self.feed(end(lane, reason, at=self._length[lane]))

    def comes(self, due: Due) -> None:
        """The time comes that the fold waits for."""
        (mine,) = [each for each in self.fold.dues() if each.number == due.number]
        self.now_ms = mine.at_ms
        self.out += self.fold.feed(fire(mine), self.now_ms)

    @property
    def text(self) -> str:
        return heard(self.out)

    @property
    def reason(self) -> str:
        (ending,) = endings(self.out)
        assert self.out[-1] is ending
        return ending.reason

    @property
    def degraded(self) -> bool:
        return endings(self.out)[0].degraded
