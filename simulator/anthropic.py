"""Anthropic's Messages API, as far as its streams go.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from typing import Any

import orjson

from simulator.chat import ChatRequest, RequestError
from simulator.connection import Scope
from simulator.dialect import SSE_HEADERS, Headers, header, require
from simulator.plan import Plan, Token

_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_BLOCKS: dict[str, dict[str, Any]] = {
    "content": {"type": "text", "text": ""},
    "reasoning_content": {"type": "thinking", "thinking": "", "signature": ""},
}


class Anthropic:
    """The dialect of `POST /v1/messages`."""

    def model(self, scope: Scope, body: dict[str, Any]) -> Any:
        return body.get("model")

    def read(self, scope: Scope, body: dict[str, Any]) -> ChatRequest:
        if not header(scope, b"x-api-key") and not header(scope, b"authorization"):
            raise RequestError("A key is needed.", status=401)
        require(header(scope, b"anthropic-version"), "A version is needed.")
        require(body.get("stream") is True, "Only streams are simulated.", "stream")
        model, limit, messages = body.get("model"), body.get("max_tokens"), body.get("messages")
        require(isinstance(model, str) and model, "A model is needed.", "model")
        require(isinstance(limit, int) and limit > 0, "A limit is needed.", "max_tokens")
        require(isinstance(messages, list) and messages, "A message is needed.", "messages")
        require(0 <= body.get("temperature", 1) <= 1, "It must be from 0 to 1.", "temperature")
        spoken = [_read_message(message) for message in messages or []]
        require(spoken[0][0] == "user", "The user speaks first.", "messages")
        users = [text for role, text in spoken if role == "user"]
        role, last = spoken[-1]
        prefill = last if role == "assistant" else None
        require(prefill is None or prefill == prefill.rstrip(), "A prefill must not end in a space.")
        return ChatRequest(
            model=str(model),
            texts=(str(body.get("system") or ""), *(text for _, text in spoken)),
            prompt=users[-1],
            prefill=prefill,
            stream=True,
            include_usage=True,
            max_tokens=limit,
            n=1,
            wants_json=False,
            simulate=None,
        )

    def encoder(self, stream_id: str, created: int, request: ChatRequest) -> "_Encoder":
        return _Encoder(stream_id, request.model)

    def refusal(self, status: int, error: RequestError | None = None) -> tuple[int, bytes]:
        return status, orjson.dumps(_error(status))


class _Encoder:
    """Tokens of one kind are one block; each call is a block of its own."""

    headers: Headers = SSE_HEADERS
    garbled = b'event: content_block_delta\ndata: {"type": "content_blo\n\n'

    def __init__(self, stream_id: str, model: str) -> None:
        self._head = {"id": stream_id, "type": "message", "role": "assistant", "model": model}
        self._block = -1
        self._kind = ""

    def opening(self, plan: Plan) -> bytes:
        usage = {"input_tokens": plan.prompt_tokens, "output_tokens": 1}
        message: dict[str, Any] = self._head | {"content": [], "stop_reason": None, "usage": usage}
        return _event({"type": "message_start", "message": message}) + _event({"type": "ping"})

    def token(self, token: Token) -> bytes:
        frames = b""
        if token.call or token.kind != self._kind:
            frames, self._kind, self._block = self._stop(), token.kind, self._block + 1
            block = _BLOCKS.get(token.kind)
            if token.call:
                block = {"type": "tool_use", "id": token.call.id, "name": token.call.name, "input": {}}
            frames += _event({"type": "content_block_start", "index": self._block, "content_block": block})
        delta = {"type": "content_block_delta", "index": self._block, "delta": _delta(token)}
        return frames + _event(delta)

    def ending(self, plan: Plan) -> bytes:
        reason = _REASONS.get(plan.finish_reason, "end_turn")
        delta = {"stop_reason": reason, "stop_sequence": None}
        usage = {"output_tokens": len(plan.tokens)}
        end = _event({"type": "message_delta", "delta": delta, "usage": usage})
        return self._stop() + end + _event({"type": "message_stop"})

    def error(self, status: int) -> bytes:
        return _event(_error(status))

    def _stop(self) -> bytes:
        return _event({"type": "content_block_stop", "index": self._block}) if self._kind else b""


def _read_message(message: Any) -> tuple[str, str]:
    require(isinstance(message, dict) and message.get("role") in ("user", "assistant"), "No such role.")
    content = message.get("content")
    if isinstance(content, list):
        require(all(block.get("text") != "" for block in content), "A text block must not be empty.")
        content = "".join(block.get("text", "") for block in content)
    require(isinstance(content, str), "A content is needed.", "content")
    return message["role"], content


def _delta(token: Token) -> dict[str, Any]:
    if token.kind == "tool_calls":
        return {"type": "input_json_delta", "partial_json": token.text}
    if token.kind == "reasoning_content":
        return {"type": "thinking_delta", "thinking": token.text}
    return {"type": "text_delta", "text": token.text}


def _error(status: int) -> dict[str, Any]:
    kind = _KINDS.get(status, "api_error" if status >= 500 else _KINDS[400])
    return {"type": "error", "error": {"type": kind, "message": "As it was told to."}}


def _event(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
