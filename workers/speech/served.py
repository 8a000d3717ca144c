"""A voice from any server that speaks OpenAI's `/audio/speech`.

Source: https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from collections.abc import AsyncGenerator

import httpx
import orjson

from common.settings import Settings
from common.watchdog import Watchdog
from workers.speech.voice import Sound, Utterance, VoiceError

_RATE = 24_000  # of its "pcm"


class ServedVoice:
    """Streams a sentence's samples as the server makes them."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._url = settings.speech_url.rstrip("/") + "/audio/speech"

    async def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]:
        """Yield the sounds of one sentence. A server that falls silent has failed."""
        settings, odd = self._settings, b""
        body = {
            "model": settings.speech_model,
            "input": utterance.text,
            "voice": utterance.voice or settings.speech_voice,
            "response_format": "pcm",
        }
        headers = {"Content-Type": "application/json"}
        if key := settings.speech_api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        try:
            async with Watchdog() as watchdog:
                watchdog.expect_within(settings.speech_timeout_s)
                async with self._client.stream(
                    "POST", self._url, content=orjson.dumps(body), headers=headers
                ) as response:
                    if response.status_code != 200:
                        raise VoiceError("voice_refused")
                    async for piece in response.aiter_raw():
                        watchdog.rest()
                        piece = odd + piece
                        odd = piece[len(piece) & ~1 :]  # half a sample
                        yield Sound(_RATE, piece[: len(piece) & ~1])
                        watchdog.expect_within(settings.speech_timeout_s)
        except TimeoutError:
            raise VoiceError("voice_silent") from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL):
            raise VoiceError("voice_unreachable") from None
