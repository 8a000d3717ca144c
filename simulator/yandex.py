"""YandexGPT's own API, as far as its streams go: each line holds the whole text so far.

Source: https://yandex.cloud/en/docs/foundation-models/text-generation/api-ref/TextGeneration/completion
"""

from http import HTTPStatus
from typing import Any

import orjson

from simulator.chat import ChatRequest, RequestError
from simulator.connection import Scope
from simulator.dialect import Headers, header, require
from simulator.plan import Plan, Token

_STATUS = "ALTERNATIVE_STATUS_"
_FINAL = {"length": "TRUNCATED_FINAL", "content_filter": "CONTENT_FILTER", "tool_calls": "TOOL_CALLS"}
_ROLES = ("system", "user", "assistant")


class Yandex:
    """The dialect of `POST /foundationModels/v1/completion`."""

    def model(self, scope: Scope, body: dict[str, Any]) -> Any:
        return str(body.get("modelUri")).rpartition("/")[2]

    def read(self, scope: Scope, body: dict[str, Any]) -> ChatRequest:
        if header(scope, b"authorization").partition(" ")[0] not in ("Api-Key", "Bearer"):
            raise RequestError("A key is needed.", status=401)
        uri, options, messages = body.get("modelUri"), body.get("completionOptions"), body.get("messages")
        require(isinstance(uri, str) and uri.startswith("gpt://") and uri.count("/") >= 3, "No such model.")
        require(isinstance(options, dict) and options.get("stream") is True, "Only streams are simulated.")
        limit = options.get("maxTokens") if options else None
        require(limit is None or (isinstance(limit, str) and limit.isdecimal()), "An int64 is a text.")
        require(0 <= (options or {}).get("temperature", 0) <= 1, "It must be from 0 to 1.", "temperature")
        require(isinstance(messages, list) and messages, "A message is needed.", "messages")
        for message in messages or []:
            require(message.get("role") in _ROLES, "No such role.", "messages")
            contents = message.keys() & {"text", "toolCallList", "toolResultList"}
            require(len(contents) == 1, "A message has one content.", "messages")
        said = messages or []
        return ChatRequest(
            model=self.model(scope, body),
            texts=tuple(message.get("text", "") for message in said),
            prompt=next((m["text"] for m in reversed(said) if m["role"] == "user" and "text" in m), ""),
            prefill=None,
            stream=True,
            include_usage=True,
            max_tokens=int(limit) if limit else None,
            n=1,
            wants_json=body.get("jsonObject") is True,
            simulate=None,
        )

    def encoder(self, stream_id: str, created: int, request: ChatRequest) -> "_Encoder":
        return _Encoder()

    def refusal(self, status: int, error: RequestError | None = None) -> tuple[int, bytes]:
        return status, orjson.dumps(_error(status))


class _Encoder:
    headers: Headers = ((b"content-type", b"application/json"),)
    garbled = b'{"result":{"alternatives":[{"mess\n'

    def __init__(self) -> None:
        self._text = ""
        self._calls: list[dict[str, Any]] = []
        self._prompt_tokens = self._tokens = 0

    def opening(self, plan: Plan) -> bytes:
        self._prompt_tokens = plan.prompt_tokens
        return b""

    def token(self, token: Token) -> bytes:
        self._tokens += 1
        if token.call:
            self._calls.append({"name": token.call.name, "arguments": orjson.loads(token.call.arguments)})
        if token.kind != "content":
            return b""  # calls come whole, at the end
        self._text += token.text
        return self._line("PARTIAL")

    def ending(self, plan: Plan) -> bytes:
        return self._line(_FINAL.get(plan.finish_reason, "FINAL"))

    def error(self, status: int) -> bytes:
        return orjson.dumps(_error(status)) + b"\n"

    def _line(self, status: str) -> bytes:
        message: dict[str, Any] = {"role": "assistant"}
        if status == "TOOL_CALLS":
            message["toolCallList"] = {"toolCalls": [{"functionCall": call} for call in self._calls]}
        else:
            message["text"] = self._text
        usage = {
            "inputTextTokens": str(self._prompt_tokens),
            "completionTokens": str(self._tokens),
            "totalTokens": str(self._prompt_tokens + self._tokens),
        }
        alternative = {"message": message, "status": _STATUS + status}
        return orjson.dumps({"result": {"alternatives": [alternative], "usage": usage}}) + b"\n"


def _error(status: int) -> dict[str, Any]:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return {
        "error": {"grpcCode": 3, "httpCode": status, "message": "As it was told to.", "httpStatus": phrase}
    }
