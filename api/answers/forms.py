"""Which form a turn's answer takes. A new form is a subclass of `AnswerEncoder` and a line here."""

from api.answers.audio_chunks import AudioChunkEncoder
from api.answers.chunks import ChunkEncoder
from api.answers.encoder import AnswerEncoder
from api.answers.sentence_events import SentenceEncoder
from common.events import TurnStarted


def encoder_of(started: TurnStarted) -> type[AnswerEncoder]:
    """Return the encoder of the form that a turn was asked for in, as its start says."""
    if started.speech:
        return AudioChunkEncoder
    if "calls_event" in started.reply:
        return SentenceEncoder
    return ChunkEncoder
