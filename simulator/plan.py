"""Decides, before the first byte is sent, every token of one answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from simulator.behaviour import Behaviour, ToolCall, is_draft
from simulator.chat import ChatRequest
from simulator.texts import Answers
from simulator.tokens import split_tokens


@dataclass(frozen=True, slots=True)
class Token:
    """One step of an answer and the delta, in JSON, which carries it; `call` is set where a call opens."""

    kind: Literal["reasoning_content", "content", "tool_calls"]
    text: str
    delta: bytes
    call: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The tokens of an answer and how it ends."""

    tokens: tuple[Token, ...]
    finish_reason: str
    prompt_tokens: int
    n: int

    def message(self) -> dict[str, Any]:
        """The whole answer as the message of a choice."""
        reasoning = "".join(token.text for token in self.tokens if token.kind == "reasoning_content")
        calls = self._tool_calls()
        content = "".join(token.text for token in self.tokens if token.kind == "content")
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["content"] = content or None
            message["tool_calls"] = calls
        return message

    def _tool_calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        for token in self.tokens:
            if token.call is not None:
                function = {"name": token.call.name, "arguments": ""}
                calls.append({"id": token.call.id, "type": "function", "function": function})
            elif token.kind == "tool_calls":
                calls[-1]["function"]["arguments"] += token.text
        return calls

    def usage(self) -> dict[str, Any]:
        """Token counts of the request and of all its choices."""
        completion = len(self.tokens) * self.n
        reasoning = sum(token.kind == "reasoning_content" for token in self.tokens) * self.n
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def make_plan(request: ChatRequest, behaviour: Behaviour, answers: Answers, stream_id: str) -> Plan:
    """Choose the words, go on after a prefill they begin with, and apply the token limit."""
    tokens = list(_words("reasoning_content", behaviour.reasoning or ""))
    text = _text(request, behaviour, answers)
    if request.prefill and text.startswith(request.prefill):
        text = text[len(request.prefill) :]
    tokens += _words("content", text)
    for index, call in enumerate(behaviour.tool_calls):
        tokens += _tool_call_tokens(index, call, f"call_{stream_id[-20:]}{index:04}")
    finish_reason = "tool_calls" if behaviour.tool_calls else "stop"
    if request.max_tokens is not None and len(tokens) > request.max_tokens:
        tokens, finish_reason = tokens[: request.max_tokens], "length"
    return Plan(
        tokens=tuple(tokens),
        finish_reason=behaviour.finish_reason or finish_reason,
        prompt_tokens=sum(len(split_tokens(said)) for said in request.texts),
        n=request.n,
    )


def _text(request: ChatRequest, behaviour: Behaviour, answers: Answers) -> str:
    if behaviour.text is not None:
        return behaviour.text
    if behaviour.tool_calls:
        return ""
    answer = answers.find(request.prompt)
    text = answer.draft if is_draft(request.model) else answer.full
    return json.dumps({"answer": text}, ensure_ascii=False) if request.wants_json else text


# Models say the same answers again and again: encode each once.
@lru_cache(maxsize=1024)
def _words(kind: Literal["reasoning_content", "content"], text: str) -> tuple[Token, ...]:
    return tuple(Token(kind, piece, orjson.dumps({kind: piece})) for piece in split_tokens(text))


def _tool_call_tokens(index: int, call: ToolCall, made_up_id: str) -> Iterator[Token]:
    named = ToolCall(call.name, call.arguments, call.id or made_up_id)
    opening = {"id": named.id, "type": "function", "function": {"name": named.name, "arguments": ""}}
    yield Token("tool_calls", "", _tool_delta(index, opening), call=named)
    for piece in split_tokens(call.arguments):
        yield Token("tool_calls", piece, _tool_delta(index, {"function": {"arguments": piece}}))


def _tool_delta(index: int, part: dict[str, Any]) -> bytes:
    return orjson.dumps({"tool_calls": [{"index": index, **part}]})
