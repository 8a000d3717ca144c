"""What of a request's recordings is sent to be written down."""

import asyncio
from typing import Any

import pytest

from api.turns.transcription import Transcriber
from common.errors import BadRequest
from common.settings import Settings


def test_a_request_has_so_many_recordings_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body holds tens of thousands of empty ones, each of which would be a request to the server."""

    async def write_down(self: Transcriber, part: dict[str, Any]) -> dict[str, Any]:
        return {"type": "text", "text": "Hello."}

    monkeypatch.setattr(Transcriber, "_part", write_down)
    transcriber = Transcriber(Settings(transcription_url="http://speech.example"))
    spoken = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    most = [{"role": "user", "content": [spoken] * 100}] * 2
    assert len(asyncio.run(transcriber.write_down(most))) == 2
    with pytest.raises(BadRequest, match="200 recordings"):
        asyncio.run(transcriber.write_down([*most, {"role": "user", "content": [spoken]}]))
