"""Tells from a turn's sound how much of its text a caller heard in so many milliseconds."""

from api.sessions.heard import HeardPart, chars_in_ms, chars_in_sound
from api.turns.live import LiveTurn
from common.names import TurnRef
from common.speech import stream
from common.speech.audio import Format, format_of
from common.speech.stream import Frame, SpeechState
from common.store import keys
from common.store.redis import Stores

_PAGE = 50  # frames: half a megabyte at most


async def chars_spoken_in(stores: Stores, live: LiveTurn, ms: float, chars_per_s: float) -> int:
    """Return how many characters of what was released the caller heard in that time. Raises StoreUnavailable.

    A turn that was not spoken here, or whose sound is no longer kept, is told by the rate.
    """
    text = live.text
    if live.started.speech:
        pieces = await _pieces(stores, live.turn, format_of(live.started.speech), ms)
        if pieces and not text[: pieces[0].start].strip():
            return chars_in_sound(text, pieces, ms, chars_per_s)
    return chars_in_ms(text, ms, chars_per_s)


async def _pieces(stores: Stores, turn: TurnRef, form: Format, ms: float) -> list[HeardPart]:
    """Return the sentences that were put into sound, up to the one in which that time is over."""
    state, after = SpeechState(), "-"
    pieces = list[HeardPart]()
    while True:
        (page,) = await stores.on_queue.run(
            lambda pipe, after=after: pipe.xrange(keys.audio(turn), min=after, count=_PAGE)  # type: ignore[misc]
        )
        for _, fields in page:
            frame = state.apply(stream.decode(fields))
            if isinstance(frame, Frame):
                _add(pieces, frame, form)
                if frame.last:
                    ms -= pieces[-1].ms
                    if ms <= 0:
                        return pieces
        if len(page) < _PAGE:
            return pieces
        after = f"({page[-1][0].decode()}"


def _add(pieces: list[HeardPart], frame: Frame, form: Format) -> None:
    """Let a frame be part of the last piece, or the first of the next one."""
    sound_ms = form.seconds(len(frame.data)) * 1000
    if pieces and not pieces[-1].whole and pieces[-1].start == frame.start:
        sound_ms += pieces.pop().ms
    pieces.append(HeardPart(frame.start, frame.end, sound_ms, frame.last))
