"""The shapes OpenAI puts on the wire: chunks, whole answers and errors."""

from http import HTTPStatus
from typing import Any

import orjson

from simulator.chat import ChatRequest, RequestError, parse_chat_request
from simulator.connection import Scope
from simulator.dialect import SSE_HEADERS, Headers
from simulator.plan import Plan, Token

_DONE = b"data: [DONE]\n\n"

_ERROR_KINDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


class ChunkEncoder:
    """Makes the chunks of one stream; all but the delta is encoded once."""

    headers: Headers = SSE_HEADERS
    garbled = b'data: {"id": "chatcmpl-\xe2\x80\xa6, "choices": [{"ind\n\n'

    def __init__(self, stream_id: str, created: int, model: str, *, n: int, with_usage: bool) -> None:
        base = {"id": stream_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._base = orjson.dumps(base)[:-1]
        self._heads = [
            b'data: %b,"choices":[{"index":%d,"delta":' % (self._base, index) for index in range(n)
        ]
        # OpenAI: with include_usage every other chunk has a usage of null.
        self._end = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"
        self._with_usage = with_usage
        self._delta_end = b',"logprobs":null,"finish_reason":null}' + self._end

    def opening(self, plan: Plan) -> bytes:
        """The first chunks: who speaks."""
        only_tools = bool(plan.tokens) and all(token.kind == "tool_calls" for token in plan.tokens)
        content = None if only_tools else ""
        return self._delta(orjson.dumps({"role": "assistant", "content": content, "refusal": None}))

    def token(self, token: Token) -> bytes:
        """One chunk for each choice."""
        return self._delta(token.delta)

    def ending(self, plan: Plan) -> bytes:
        """The chunks which end the choices, the one with the token counts, and the mark of the end."""
        end = b',"logprobs":null,"finish_reason":%b}' % orjson.dumps(plan.finish_reason) + self._end
        body = b"".join(head + b"{}" + end for head in self._heads)
        if self._with_usage:
            body += b'data: %b,"choices":[],"usage":%b}\n\n' % (self._base, orjson.dumps(plan.usage()))
        return body + _DONE

    def error(self, status: int) -> bytes:
        """An error in the middle of a stream."""
        return b"data: %b\n\n" % error_body(status)

    def _delta(self, delta: bytes) -> bytes:
        return b"".join([head + delta + self._delta_end for head in self._heads])


class OpenAI:
    """The dialect of `POST /v1/chat/completions`."""

    def model(self, scope: Scope, body: dict[str, Any]) -> Any:
        return body.get("model")

    def read(self, scope: Scope, body: dict[str, Any]) -> ChatRequest:
        return parse_chat_request(body)

    def encoder(self, stream_id: str, created: int, request: ChatRequest) -> ChunkEncoder:
        return ChunkEncoder(stream_id, created, request.model, n=request.n, with_usage=request.include_usage)

    def refusal(self, status: int, error: RequestError | None = None) -> tuple[int, bytes]:
        return status, error_body(status, str(error) if error else None, error.param if error else None)


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


def _phrase(status: int) -> str:
    try:
        return f"Simulated error: {HTTPStatus(status).phrase}."
    except ValueError:
        return f"Simulated error: {status}."
