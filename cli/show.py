"""Shows a streamed turn in a terminal: who speaks in color, since when, and the times that matter."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

LANE_STYLES = {"filler": "magenta", "draft": "yellow", "full": "green"}
_MARGIN = 18  # of the text: the lane's name and its milliseconds stand left of it
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKS_ANYWHERE = re.compile(r"[\u2e80-\uffef]")  # Chinese has no spaces
_WORD = re.compile(rf"\n|[^\S\n]+|{_BREAKS_ANYWHERE.pattern}|[^\s\u2e80-\uffef]+")


def printable(text: str) -> str:
    """Remove control characters from a text: what a model says must not steer the terminal."""
    return _CONTROL.sub("", text)


@dataclass(slots=True)
class Marks:
    """The moments of a turn, in milliseconds since its start."""

    first_sound_ms: int | None = None
    hand_over_ms: int | None = None
    end_ms: int | None = None

    def __str__(self) -> str:
        named = {
            "first sound": self.first_sound_ms,
            "hand-over": self.hand_over_ms,
            "end": self.end_ms,
        }
        return " · ".join(f"{name} {ms:,} ms" for name, ms in named.items() if ms is not None)


class TurnView:
    """Draws one turn, piece by piece as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lane: str | None = None
        self._column = 0
        self._begun = ""  # what is out of the word at the end
        self._wraps = console.is_terminal and not console.is_dumb_terminal
        self.marks = Marks()

    def asked(self, text: str) -> None:
        """Draw what the user says."""
        self._begin("you", "", "bold")
        self._flow(text, "")
        self._console.print()

    def said(self, lane: str, text: str, ms: int) -> None:
        """Draw a piece of the answer."""
        self.marks.end_ms = ms
        if not text:
            return
        if lane != self._lane:
            self._enter(lane, ms)
            text = text.lstrip()
        self._flow(text, LANE_STYLES.get(lane, ""))

    def ended(self, note: str = "") -> None:
        """Draw the turn's times, and a note where something is to be said of its ending."""
        if self.marks.end_ms is None:
            return  # nothing came
        if self._lane is not None:
            self._console.print()
        line = " · ".join(part for part in (str(self.marks), note) if part)
        self._console.print(Text(" " * _MARGIN + line, "dim"), soft_wrap=True)

    def _enter(self, lane: str, ms: int) -> None:
        if self._lane is None:
            self.marks.first_sound_ms = ms
        else:
            self._console.print()
        if lane == "full" and self._lane is not None:
            self.marks.hand_over_ms = ms
        self._lane = lane
        self._begin(lane, f"{ms:,} ms", f"bold {LANE_STYLES.get(lane, '')}")

    def _begin(self, name: str, when: str, style: str) -> None:
        head = Text.assemble((f"{name:<6}", style), (f"{when:>{_MARGIN - 8}}", "dim"), "  ")
        self._write(head)
        self._column, self._begun = _MARGIN, ""

    def _flow(self, text: str, style: str) -> None:
        """Break lines under their beginning, where it is a terminal and not a pipe."""
        out = ""
        for word in _WORD.findall(printable(text)):
            if word == "\n" or (word.isspace() and not self._fits(word)):
                out += self._broken()
            elif self._fits(word):
                out += self._put(word)
            else:
                begun = self._begun  # the word came in pieces, and the first ones are out already
                self._write(Text(out, style))
                if begun:
                    self._console.control(_back(cell_len(begun)))
                out = self._broken() + self._put(begun + word)
        self._write(Text(out, style))

    def _fits(self, word: str) -> bool:
        at_margin = self._column - cell_len(self._begun) <= _MARGIN  # no other line would do better
        return not self._wraps or at_margin or self._column + cell_len(word) <= self._console.width

    def _put(self, word: str) -> str:
        if word.isspace() and self._column == _MARGIN:
            return ""
        self._column += cell_len(word)
        self._begun = "" if word.isspace() or _BREAKS_ANYWHERE.match(word) else self._begun + word
        return word

    def _broken(self) -> str:
        self._column, self._begun = _MARGIN, ""
        return "\n" + " " * _MARGIN

    def _write(self, text: Text) -> None:
        self._console.print(text, end="", soft_wrap=True)


def _back(cells: int) -> Control:
    """Take the last cells of a line back."""
    return Control((ControlType.CURSOR_BACKWARD, cells), (ControlType.ERASE_IN_LINE, 0))


class Terminal:
    """The one place where lines of many processes meet: each line whole, none inside a turn being drawn."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._held: list[tuple[str, str]] | None = None

    def say(self, name: str, line: str) -> None:
        """Print a process's line under its name."""
        if self._held is not None:
            self._held.append((name, line))
            return
        text = Text.assemble((f"{name:<11} ", "cyan dim"), (printable(line), "dim"))
        self.console.print(text, soft_wrap=True)

    @contextmanager
    def undisturbed(self) -> Iterator[Console]:
        """The console, with the processes' lines held back meanwhile."""
        self._held = []
        try:
            yield self.console
        finally:
            held, self._held = self._held, None
            for name, line in held:
                self.say(name, line)
