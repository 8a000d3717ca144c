"""Stand-ins for `/v1/audio/speech` and `/v1/audio/transcriptions`: a tone as long as the text, and set words.

Source: https://platform.openai.com/docs/api-reference/audio
"""

import time
from array import array
from email import message_from_bytes
from math import pi, sin
from typing import Any

import orjson

from simulator.behaviour import Behaviour
from simulator.chat import RequestError, parse_json_object
from simulator.chunks import error_body
from simulator.connection import Connection, ConnectionCut, Scope
from simulator.ledger import Ledger
from simulator.models import Models

RATE = 24_000
CHAR_MS = 60
"""A character of the text sounds so long."""
HEARD = "When do you open?"
"""What a recording says, unless the model's `text` says otherwise."""

_PIECE_MS = 100
_PIECE = array("h", (int(8_000 * sin(2 * pi * 440 * n / RATE)) for n in range(RATE * _PIECE_MS // 1000)))


class Audio:
    """The models behind both paths.

    They use a behaviour's ttft_ms, status, cut_after (in pieces) and text.
    """

    def __init__(self, models: Models, ledger: Ledger) -> None:
        self._models = models
        self._ledger = ledger

    async def speak(self, scope: Scope, connection: Connection) -> None:
        """Send the text's samples in pieces. Raises RequestError, ConnectionCut."""
        body = parse_json_object(await connection.read_body())
        self._ledger.note_request(body)
        if body.get("response_format") != "pcm" or not isinstance(body.get("input"), str):
            raise RequestError("Only a text and pcm are understood.", "response_format")
        behaviour = self._models.behaviour(str(body.get("model")))
        if not await _begin(connection, behaviour):
            return
        await connection.open(200, [(b"content-type", b"audio/pcm")])
        samples = len(body["input"]) * CHAR_MS * RATE // 1000
        pieces = -(-samples // len(_PIECE))
        for number in range(pieces):
            if number == behaviour.cut_after:
                raise ConnectionCut
            await connection.write(_PIECE[: samples - number * len(_PIECE)].tobytes())
        await connection.write(b"", last=True)

    async def write_down(self, scope: Scope, connection: Connection) -> None:
        """Answer with the model's words. Raises RequestError."""
        fields = _form(scope, await connection.read_body())
        if "file" not in fields or "model" not in fields:
            raise RequestError("A file and a model are needed.", "file")
        model = fields["model"].decode()
        self._ledger.note_request({"model": model, "file": len(fields["file"])})
        behaviour = self._models.behaviour(model)
        if await _begin(connection, behaviour):
            await connection.answer(200, orjson.dumps({"text": behaviour.text or HEARD}))


async def _begin(connection: Connection, behaviour: Behaviour) -> bool:
    """Let the model think; return True if it then answers with 200."""
    connection.watch()
    here = await connection.sleep_until(time.monotonic() + behaviour.ttft_ms / 1000)
    connection.unwatch()
    if here and behaviour.status is not None:
        await connection.answer(behaviour.status, error_body(behaviour.status, "As it was told to."))
        return False
    return here


def _form(scope: Scope, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form."""
    kind = dict(scope["headers"]).get(b"content-type", b"")
    form: Any = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + body)
    if not form.is_multipart():
        raise RequestError("A multipart form is needed.", "file")
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) or b""
        for part in form.get_payload()
    }
