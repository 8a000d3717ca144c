"""Places in a turn's answer, and the cursors by which a client names one."""

import re
from dataclasses import dataclass

from common.errors import BadRequest
from common.names import TURN_ID

_CURSOR = re.compile(TURN_ID[1:-1].join("()") + r"-(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,8})\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an answer: characters of text before it, and frames that are no text."""

    chars: int = 0
    frames: int = 0

    def covers(self, other: "Place") -> bool:
        """Return True if a client that has come this far has had all up to the other place."""
        return other.chars <= self.chars and other.frames <= self.frames

    def cursor(self, turn: str) -> str:
        """The place as the `id:` of a turn's event."""
        return write_cursor(turn, self.chars, self.frames).decode()


START = Place()


def write_cursor(turn: str, chars: int, frames: int) -> bytes:
    """Return the `id:` of the event of a turn that ends there."""
    return f"{turn}-{chars}-{frames}".encode()


def read_cursor(text: str, turn: str) -> Place:
    """The place that a cursor of this turn names. Raises BadRequest."""
    found = _CURSOR.match(text)
    if not found:
        raise BadRequest(
            "a cursor is the `id` of one of the turn's events", code="invalid_cursor", param="after"
        )
    if found[1] != turn:
        raise BadRequest("the cursor is of another turn", code="cursor_of_another_turn", param="after")
    return Place(int(found[2]), int(found[3]))


def past_the_end() -> BadRequest:
    """Nothing was ever sent from there."""
    return BadRequest("the cursor lies past the end of the answer", code="cursor_past_end", param="after")
