"""The released text of a turn: its length, its last speaker, how the lanes' texts meet, its digest."""

import hashlib

from common.names import Lane
from common.text import markdown_join
from common.turn.aloud import speech_ms
from common.turn.outputs import TextReleased


class Transcript:
    """The released text of one turn, capped at `most_chars`. `aloud`: it is spoken, which takes its time."""

    def __init__(self, most_chars: int, *, aloud: bool = False) -> None:
        self.chars = 0
        self.speaker: Lane | None = None
        self.heard_ms = 0  # until then the caller hears something
        self._most_chars = most_chars
        self._aloud = aloud
        self._said: list[str] = []  # by who speaks, without the seam before it
        self._digest = hashlib.sha256()

    def append(
        self, lane: Lane, text: str, at_ms: int, *, broken: bool = False, goes_on: bool = False
    ) -> tuple[TextReleased | None, bool]:
        """Let a text out, with a clean seam where another lane spoke before; whether that was too much.

        `broken`: the other broke off in mid-sentence; `goes_on`: this text was made to follow that one.
        """
        if self.speaker != lane or lane == "filler":  # each phrase stands by itself
            before, self._said = "".join(self._said), []
            said = markdown_join.join_texts(before, text, broken=broken, goes_on=goes_on)
        else:
            said = text
        room = self._most_chars - self.chars
        heard = said[:room]
        if heard:
            self._said.append(text)
            self._digest.update(heard.encode("utf-8", "surrogatepass"))
            self.chars += len(heard)
            self.speaker = lane
            self.heard_ms = max(self.heard_ms, at_ms) + speech_ms(heard) if self._aloud else at_ms
        return TextReleased(lane, heard, at_ms) if heard else None, len(said) > room

    def hash(self) -> str:
        """A digest of the text, to tell a replay that drifted."""
        return self._digest.hexdigest()[:16]
