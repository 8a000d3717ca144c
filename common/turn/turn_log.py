"""One turn as its session's log tells it: its start, its entries, its ending, its fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from common.events import Entry, Event, TurnEnded, TurnStarted, place
from common.turn.fold import Fold
from common.turn.outputs import Output

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class TurnLog:
    """A session's log from a turn's start on, as far as it was read; it has other turns' entries too."""

    started: TurnStarted
    entries: Sequence[Entry]

    @staticmethod
    def of(entries: Sequence[Entry]) -> "TurnLog | None":
        """Return the turn that these entries begin with; None where they begin with no start."""
        started = entries[0].event if entries else None
        return TurnLog(started, entries) if isinstance(started, TurnStarted) else None

    @staticmethod
    def find(entries: Sequence[Entry], turn: str) -> "TurnLog | None":
        """Return the turn if it starts among these entries."""
        for at, entry in enumerate(entries):
            if isinstance(entry.event, TurnStarted) and entry.event.turn == turn:
                return TurnLog(entry.event, entries[at:])
        return None

    def extended(self, later: Sequence[Entry]) -> "TurnLog":
        """Return the log with what follows it."""
        return TurnLog(self.started, [*self.entries, *later])

    @property
    def start_ms(self) -> int:
        """The time when the turn started, on the log server's clock."""
        return self.entries[0].ms

    @property
    def later(self) -> Sequence[Entry]:
        """The entries after the turn's start."""
        return self.entries[1:]

    @property
    def own(self) -> list[Entry]:
        """The entries of this turn alone."""
        return [entry for entry in self.entries if entry.event.turn == self.started.turn]

    @property
    def ended(self) -> TurnEnded | None:
        """The turn's ending, if it has ended; of several the first counts."""
        return self._ending[0] if self._ending else None

    @property
    def ended_ms(self) -> int | None:
        """The time when the turn ended, on the log server's clock."""
        return self._ending[1] if self._ending else None

    @cached_property
    def _ending(self) -> tuple[TurnEnded, int] | None:
        for entry in self.entries:
            if isinstance(entry.event, TurnEnded) and entry.event.turn == self.started.turn:
                return entry.event, entry.ms
        return None

    def events(self, kind: type[E]) -> list[E]:
        """Return the turn's own events of a kind."""
        return [entry.event for entry in self.own if isinstance(entry.event, kind)]

    def fold(self) -> Fold:
        """Fold the turn as far as its log goes. Raises UnknownFold."""
        return self.fold_to_end().fold

    def fold_to_end(self) -> "FoldingTurn":
        """Do the same, to be gone on with. Raises UnknownFold."""
        turn = FoldingTurn.begin(self)
        for entry in self.later:
            turn.feed(entry)
        return turn

    def fold_with_outputs(self) -> tuple[Fold, list[Output]]:
        """Fold the turn and return also all that it lets out. Raises UnknownFold."""
        turn = FoldingTurn.begin(self)
        return turn.fold, [output for entry in self.later for output in turn.feed(entry) or ()]


@dataclass(slots=True)
class FoldingTurn:
    """A turn that is folded as its log goes on, entry by entry, up to and with `last`."""

    fold: Fold
    start_ms: int
    last: tuple[int, int]

    @staticmethod
    def begin(log: TurnLog) -> "FoldingTurn":
        """Return the turn at its start. Raises UnknownFold."""
        return FoldingTurn.at_start(Fold(log.started), log.entries[0])

    @staticmethod
    def at_start(fold: Fold, start: Entry) -> "FoldingTurn":
        """Return a turn of which only the start was folded."""
        return FoldingTurn(fold, start.ms, place(start.id))

    @property
    def last_id(self) -> str:
        """The id of the entry that was folded last."""
        millis, number = self.last
        return f"{millis}-{number}"

    def feed(self, entry: Entry) -> list[Output] | None:
        """Fold an entry and return what it lets out; None where it was folded before."""
        here = place(entry.id)
        if here <= self.last:
            return None
        self.last = here
        return self.fold.feed(entry.event, here[0] - self.start_ms)
