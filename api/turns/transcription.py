"""Recorded speech in a request, turned into text before the turn starts, where it may start.

By the door and not by the workers: both lanes need the text, and nobody's voice comes to rest in the log.
Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

import asyncio
import base64
import binascii
import logging
from typing import Any

import httpx

from common.errors import BadRequest, Unavailable
from common.settings import Settings

logger = logging.getLogger(__name__)

Message = dict[str, Any]
_MOST = 200  # recordings in a request: each is a request of its own to the server


def holds_audio(messages: list[Message]) -> bool:
    """Return True if any message has recorded speech in it."""
    return any(_is_audio(part) for message in messages for part in _parts(message))


class Transcriber:
    """Asks an OpenAI-compatible server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.transcription_url.rstrip("/") + "/audio/transcriptions"
        key = settings.transcription_api_key.get_secret_value()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.AsyncClient | None = None  # made when it is first needed

    async def write_down(self, messages: list[Message]) -> list[Message]:
        """The messages with text in place of speech. Raises BadRequest, Unavailable."""
        if sum(_is_audio(part) for message in messages for part in _parts(message)) > _MOST:
            raise BadRequest(
                f"messages: at most {_MOST} recordings", code="too_many_recordings", param="messages"
            )
        return list(await asyncio.gather(*(self._message(message) for message in messages)))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client:
            await self._client.aclose()

    async def _message(self, message: Message) -> Message:
        parts = _parts(message)
        if not any(map(_is_audio, parts)):
            return message
        return {**message, "content": list(await asyncio.gather(*map(self._part, parts)))}

    async def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        if not _is_audio(part):
            return part
        data, name = _recording(part)
        self._client = self._client or httpx.AsyncClient(
            timeout=self._settings.transcription_timeout_s, trust_env=False
        )
        try:
            response = await self._client.post(
                self._url,
                headers=self._headers,
                files={"file": (f"speech.{name}", data)},
                data={"model": self._settings.transcription_model, "response_format": "json"},
            )
            response.raise_for_status()
            return {"type": "text", "text": str(response.json()["text"])}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            logger.warning("could not transcribe", extra={"error": type(error).__name__})
            message = "the speech could not be turned into text; try again"
            raise Unavailable(message, code="transcription_failed") from None


def _parts(message: Message) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_audio(part: dict[str, Any]) -> bool:
    return part.get("type") == "input_audio"


def _recording(part: dict[str, Any]) -> tuple[bytes, str]:
    """The file in a part and the ending of its name. Raises BadRequest."""
    audio = part.get("input_audio")
    try:
        data = base64.b64decode(audio["data"], validate=True)  # type: ignore[index]
        name = str(audio.get("format") or "wav")  # type: ignore[union-attr]
    except (TypeError, KeyError, AttributeError, binascii.Error, ValueError):
        message = "input_audio has `data` in base64 and a `format`"
        raise BadRequest(message, code="invalid_value", param="messages.content.input_audio") from None
    return data, name if name.isalnum() else "wav"
