"""The shapes OpenAI puts on the wire: chunks, whole answers and errors."""

from http import HTTPStatus
from typing import Any

import orjson

from simulator.plan import Plan

DONE = b"data: [DONE]\n\n"
GARBLED = b'data: {"id": "chatcmpl-\xe2\x80\xa6, "choices": [{"ind\n\n'

_ERROR_KINDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


class ChunkEncoder:
    """Makes the chunks of one stream; all but the delta is encoded once."""

    def __init__(self, stream_id: str, created: int, model: str, *, n: int, with_usage: bool) -> None:
        base = {"id": stream_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._base = orjson.dumps(base)[:-1]
        self._heads = [
            b'data: %b,"choices":[{"index":%d,"delta":' % (self._base, index) for index in range(n)
        ]
        # OpenAI: with include_usage every other chunk has a usage of null.
        self._end = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"
        self._delta_end = b',"logprobs":null,"finish_reason":null}' + self._end

    def delta(self, delta: bytes) -> bytes:
        """One chunk for each choice with this delta, which is JSON."""
        return b"".join([head + delta + self._delta_end for head in self._heads])

    def role(self, *, has_content: bool) -> bytes:
        """The first chunks: who speaks."""
        content = "" if has_content else None
        return self.delta(orjson.dumps({"role": "assistant", "content": content, "refusal": None}))

    def finish(self, reason: str) -> bytes:
        """The chunks which end the choices."""
        end = b',"logprobs":null,"finish_reason":%b}' % orjson.dumps(reason) + self._end
        return b"".join(head + b"{}" + end for head in self._heads)

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The chunk without choices which carries the token counts."""
        return b'data: %b,"choices":[],"usage":%b}\n\n' % (self._base, orjson.dumps(usage))


def completion(stream_id: str, created: int, model: str, plan: Plan) -> bytes:
    """The body of an answer which is not streamed."""
    message = plan.message()
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": plan.finish_reason}
        for index in range(plan.n)
    ]
    return orjson.dumps(
        {
            "id": stream_id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": choices,
            "usage": plan.usage(),
        }
    )


def error_body(status: int, message: str | None = None, param: str | None = None) -> bytes:
    """An error in OpenAI's shape; its type and code follow from the HTTP status."""
    server_side = ("server_error", None)
    kind, code = _ERROR_KINDS.get(status, server_side if status >= 500 else _ERROR_KINDS[400])
    return orjson.dumps(
        {"error": {"message": message or _phrase(status), "type": kind, "param": param, "code": code}}
    )


def error_event(status: int) -> bytes:
    """An error in the middle of a stream."""
    return b"data: %b\n\n" % error_body(status)


def _phrase(status: int) -> str:
    try:
        return f"Simulated error: {HTTPStatus(status).phrase}."
    except ValueError:
        return f"Simulated error: {status}."
