"""Baidu ERNIE's own API, as far as its streams go, and the access tokens that it wants.

Sources: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy (chat), /s/Ilkkrb0i5 (tokens),
/s/tlmyncueh (error codes)
"""

import secrets
from typing import Any
from urllib.parse import parse_qs

import orjson

from simulator.chat import ChatRequest, RequestError
from simulator.connection import Connection, Scope
from simulator.dialect import SSE_HEADERS, Headers, require
from simulator.plan import Plan, Token

PATH = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"

_LIFE_S = 2_592_000  # 30 days
_UNKNOWN_TOKEN, _EXPIRED_TOKEN = 110, 111
_CODES = {400: 336003, 401: _UNKNOWN_TOKEN, 429: 18, 503: 336100}
_FAILED = 336000
_REASONS = {"stop": "normal", "tool_calls": "function_call"}
_SIDES = {"user": 0, "function": 0, "assistant": 1}


class TokenError(RequestError):
    """The access token is unknown or has expired; `code` is ERNIE's own."""

    def __init__(self, code: int) -> None:
        super().__init__("The access token is not valid.", status=401)
        self.code = code


class Tokens:
    """The access tokens that were issued. Any pair of keys gets one, unless the secret is `wrong`."""

    def __init__(self) -> None:
        self.issued = 0
        self._valid: set[str] = set()
        self._expired: set[str] = set()

    async def issue(self, scope: Scope, connection: Connection) -> None:
        """Answer `POST /oauth/2.0/token`."""
        given = _query(scope)
        right = given.get("grant_type") == "client_credentials" and given.get("client_id")
        if not right or given.get("client_secret", "wrong") == "wrong":
            await connection.answer(401, orjson.dumps({"error": "invalid_client"}))
            return
        self.issued += 1
        token = f"24.{secrets.token_hex(16)}.{_LIFE_S}"
        self._valid.add(token)
        answer = {"access_token": token, "expires_in": _LIFE_S, "refresh_token": "", "scope": "public"}
        await connection.answer(200, orjson.dumps(answer))

    def expire(self) -> None:
        """Make all tokens issued so far invalid."""
        self._expired |= self._valid
        self._valid.clear()

    def check(self, token: str) -> None:
        """Raise TokenError unless the token is valid."""
        if token not in self._valid:
            raise TokenError(_EXPIRED_TOKEN if token in self._expired else _UNKNOWN_TOKEN)


class Ernie:
    """The dialect of `POST /rpc/2.0/ai_custom/v1/wenxinworkshop/chat/<model>`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def model(self, scope: Scope, body: dict[str, Any]) -> Any:
        return scope["path"].removeprefix(PATH)

    def read(self, scope: Scope, body: dict[str, Any]) -> ChatRequest:
        self._tokens.check(_query(scope).get("access_token", ""))
        require(body.get("stream") is True, "Only streams are simulated.", "stream")
        require(0 < body.get("temperature", 0.8) <= 1, "It must be over 0, up to 1.", "temperature")
        require(body.get("max_output_tokens", 2) >= 2, "It must be 2 or more.", "max_output_tokens")
        messages = body.get("messages")
        require(isinstance(messages, list) and len(messages) % 2, "Their number must be odd.", "messages")
        said = messages or []
        for place, message in enumerate(said):
            side = _SIDES.get(message.get("role"))
            require(side == place % 2, "User and assistant must take turns.", "messages")
            holds = message.get("content", "").strip() or "function_call" in message
            require(holds, "A message must not be blank.", "messages")
        require(said[0]["role"] == "user", "The user speaks first.", "messages")
        return ChatRequest(
            model=self.model(scope, body),
            texts=(str(body.get("system") or ""), *(message["content"] for message in said)),
            prompt=next(message["content"] for message in reversed(said) if message["role"] == "user"),
            prefill=None,
            stream=True,
            include_usage=True,
            max_tokens=body.get("max_output_tokens"),
            n=1,
            wants_json=body.get("response_format") == "json_object",
            simulate=None,
        )

    def encoder(self, stream_id: str, created: int, request: ChatRequest) -> "_Encoder":
        return _Encoder(stream_id, created)

    def refusal(self, status: int, error: RequestError | None = None) -> tuple[int, bytes]:
        code = error.code if isinstance(error, TokenError) else _CODES.get(status, _FAILED)
        return 200, _error(code)  # its errors have a code and the status 200


class _Encoder:
    headers: Headers = SSE_HEADERS
    garbled = b'data: {"id":"as-\n\n'

    def __init__(self, stream_id: str, created: int) -> None:
        self._head = {"id": f"as-{stream_id[-10:]}", "object": "chat.completion", "created": created}
        self._sentences = 0
        self._call: dict[str, Any] | None = None
        self._usage: dict[str, int] = {}

    def opening(self, plan: Plan) -> bytes:
        self._usage = {"prompt_tokens": plan.prompt_tokens, "completion_tokens": 0}
        return b""

    def token(self, token: Token) -> bytes:
        self._usage["completion_tokens"] += 1
        if token.call:
            self._call = {"name": token.call.name, "arguments": token.call.arguments, "thoughts": ""}
        return self._event(token.text) if token.kind == "content" else b""

    def ending(self, plan: Plan) -> bytes:
        reason = _REASONS.get(plan.finish_reason, plan.finish_reason)
        call = {"function_call": self._call} if self._call else {}
        return self._event("", finish_reason=reason, is_truncated=reason == "length", is_end=True, **call)

    def error(self, status: int) -> bytes:
        return b"data: %b\n\n" % _error(_CODES.get(status, _FAILED))

    def _event(self, text: str, **end: Any) -> bytes:
        usage = {**self._usage, "total_tokens": sum(self._usage.values())}
        event = {
            **self._head,
            "sentence_id": self._sentences,
            "is_end": False,
            "is_truncated": False,
            "result": text,
            "need_clear_history": False,
            "finish_reason": "normal",
            "usage": usage,
            **end,
        }
        self._sentences += 1
        return b"data: %b\n\n" % orjson.dumps(event)


def _query(scope: Scope) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}


def _error(code: int) -> bytes:
    return orjson.dumps({"error_code": code, "error_msg": "As it was told to."})
