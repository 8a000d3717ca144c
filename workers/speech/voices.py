"""Opens the voice that a worker speaks with."""

import logging

import httpx

from common.settings import Settings
from workers.speech.espeak import EmbeddedVoice
from workers.speech.scripts import LIMIT
from workers.speech.served import ServedVoice
from workers.speech.voice import StandIn, Voice

logger = logging.getLogger(__name__)
_LIMITED = f"{LIMIT}: FAST_REPLY_SPEECH_URL names a server that does"


def open_voice(settings: Settings, client: httpx.AsyncClient) -> Voice:
    """Open the server's voice with the embedded one as its stand-in, or the embedded one alone."""
    embedded = EmbeddedVoice()
    if settings.speech_url:
        return StandIn(ServedVoice(settings, client), embedded)
    logger.warning(_LIMITED)
    return embedded
