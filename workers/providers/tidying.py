"""Makes any provider's parts fit to be stored and spoken: whole characters, no thoughts."""

from collections.abc import Iterator

from workers.providers.base import Finish, PassThrough, StreamPart
from workers.providers.halves import Halves
from workers.providers.thoughts import Thoughts

_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


class Tidier:
    """Tidies one answer's parts, one after the other. `begins_in_thought`: see Thoughts."""

    def __init__(self, *, begins_in_thought: bool = False) -> None:
        self._halves = Halves()
        self._thoughts = Thoughts(begins=begins_in_thought)

    @property
    def ended_unbegun(self) -> bool:
        """True if a thought ended that no mark had begun."""
        return self._thoughts.ended_unbegun

    def feed(self, piece: StreamPart) -> Iterator[StreamPart]:
        """Yield the tidied parts of a part."""
        yield from self._told(self._halves.feed(piece))

    def end(self) -> Iterator[StreamPart]:
        """Yield what was held back, as nothing more comes."""
        for piece in self._halves.end():
            yield from self._told(piece)
        yield from self._thoughts.pause()

    def _told(self, piece: StreamPart) -> Iterator[StreamPart]:
        if isinstance(piece, str):
            yield from self._thoughts.feed(piece)
            return
        if isinstance(piece, PassThrough) and not piece.choice.get("index"):
            if any(key in piece.choice.get("delta", ()) for key in _THOUGHTS):
                yield from self._thoughts.trust()  # its server tells them apart
        elif isinstance(piece, Finish) and piece.alone:
            yield from self._thoughts.pause()
        yield piece
