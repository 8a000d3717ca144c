"""Which voice a worker speaks with."""

import httpx

from common.settings import Settings
from workers.speech.espeak import EmbeddedVoice
from workers.speech.served import ServedVoice
from workers.speech.voice import StandIn, Voice


def open_voice(settings: Settings, client: httpx.AsyncClient) -> Voice:
    """The server's voice, with the embedded one to stand in for it; without a server that one alone."""
    embedded = EmbeddedVoice()
    return StandIn(ServedVoice(settings, client), embedded) if settings.speech_url else embedded
