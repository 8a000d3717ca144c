"""What model servers might send, as a grammar: valid, odd and broken events of each dialect, cut anyhow.

Events are made by plain chance, by the thousand; hypothesis chooses among them, frames, spoils and cuts them.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

_DEEP: Any = "x"
for _ in range(300):
    _DEEP = [_DEEP]

_WORDS = ["Hello", " there", ". ", "你好", "😀", "é", "\u2028", "\n", " ", "", "{", '"', "\\", "x" * 2_000]
_ODD_WORDS = [
    "<think>",
    "</think>",
    "<th",
    "ink>",
    "</",
    "`",
    "<|channel|>",
    "final",
    "<|message|>",
    "<|end|>",
]
_HALVES = ["\ud83d", "\ude00"]
_SCALARS = [None, True, False, 0, -1, 2**70, -(2**70), 0.5, float("nan"), float("inf"), "", [], {}, _DEEP]
_REASONS = [None, None, None, "stop", "stop", "null", "", "length", "tool_calls", "MAX_TOKENS", "error", 7]
_POOL = 2_000


class Maker:
    """Makes events. What is likely is valid; anything may be anything."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def events(self, dialect: str) -> list[Any]:
        """Many events of a dialect."""
        make: Callable[[], Any] = getattr(self, f"_{dialect}")
        return [self._junk() if self._is(0.02) else make() for _ in range(_POOL)]

    def _is(self, likely: float) -> bool:
        return self._chance.random() < likely

    def _of(self, *values: Any) -> Any:
        return self._chance.choice(values)

    def _some(self, **fields: Callable[[], Any]) -> dict[str, Any]:
        """An object with some of these fields, one of them spoiled now and then."""
        return {
            name: self._junk() if self._is(0.02) else make() for name, make in fields.items() if self._is(0.4)
        }

    def _junk(self, deep: int = 0) -> Any:
        kind = self._chance.random()
        if kind < 0.6 or deep > 3:
            return self._of(*_SCALARS)
        if kind < 0.8:
            return self._words()
        items = range(self._chance.randrange(4))
        if kind < 0.9:
            return [self._junk(deep + 1) for _ in items]
        return {self._words(): self._junk(deep + 1) for _ in items}

    def _words(self) -> str:
        words = [self._of(*_WORDS) for _ in range(self._chance.randrange(4))]
        if self._is(0.1):
            words.insert(0, self._of(*_ODD_WORDS, *_HALVES))
        if self._is(0.05):
            words.append(self._of(*_ODD_WORDS, *_HALVES))
        return "".join(words)

    def _id(self) -> Any:
        return self._of("c1", "c2", "c3", "", None)

    def _name(self) -> Any:
        return self._of("find", "fi", "nd", "ring", "", None)

    def _count(self) -> Any:
        return self._of(0, 3, 9, 9, -1, 10**30, "3", "n/a", 1e300, None)

    def _arguments(self) -> Any:
        known: list[Any] = ["", "{", '"q":', '"x"}', "{}", '{"q":1}', None, {}, {"q": [None, True]}]
        return self._of(*known) if self._is(0.9) else self._words()

    def _content(self) -> Any:
        if self._is(0.8):
            return self._words()
        parts = (
            {"type": "text", "text": self._words()},
            {"type": "thinking", "thinking": [{"type": "text", "text": self._words()}]},
            {"type": "refusal", "refusal": self._words()},
            self._words(),
            self._junk(),
        )
        return (
            [self._of(*parts) for _ in range(self._chance.randrange(4))]
            if self._is(0.7)
            else self._of(*parts)
        )

    def _usage(self) -> Any:
        names = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens")
        return {
            **self._some(**dict.fromkeys(names, self._count)),
            **self._some(prompt_tokens_details=self._junk),
        }

    # OpenAI's dialect.

    def _call(self) -> Any:
        function = self._some(name=self._name, arguments=self._arguments, strict=self._junk)
        custom = {"custom": self._some(name=self._name, input=self._words)} if self._is(0.1) else {}
        kind = {"type": self._of("function", "function", "custom", None)} if self._is(0.3) else {}
        index = self._of(0, 0, 1, 2, -1, self._junk())
        extra = {"extra_content": self._junk()} if self._is(0.1) else {}
        return {"index": index, "id": self._id(), "function": function, **kind, **custom, **extra}

    def _delta(self) -> dict[str, Any]:
        delta: dict[str, Any] = {"content": self._content()} if self._is(0.7) else {}
        if self._is(0.15):
            delta["tool_calls"] = [self._call() for _ in range(self._chance.randrange(1, 3))]
        if self._is(0.2):
            delta |= self._some(
                role=lambda: "assistant",
                reasoning_content=self._words,
                function_call=lambda: self._some(name=self._name, arguments=self._arguments),
                refusal=self._words,
                annotations=lambda: [self._junk()],
                audio=lambda: self._some(id=self._id, data=self._words, transcript=self._words),
                reasoning_details=lambda: [self._some(index=self._count, text=self._words)],
            )
        return delta

    def _choice(self) -> dict[str, Any]:
        whole = "message" if self._is(0.05) else "delta"
        choice = {"index": self._of(0, 0, 0, 0, 0, 0, 1, "1", None), whole: self._delta()}
        choice["finish_reason"] = self._of(*_REASONS) if self._is(0.3) else None
        more = self._some(logprobs=self._junk, usage=self._usage, text=self._words, message=self._delta)
        return {**choice, **(more if self._is(0.1) else {})}

    def _openai(self) -> Any:
        if self._is(0.04):
            return self._some(
                error=self._junk,
                message=self._words,
                code=self._junk,
                detail=self._junk,
                object=lambda: self._of("error", "x"),
            )
        if self._is(0.1):
            return {"choices": self._of([], None), "usage": self._usage()}
        chunk = {"choices": [self._choice() for _ in range(self._of(1, 1, 1, 2))]}
        return {**chunk, **(self._some(usage=self._usage, citations=self._junk) if self._is(0.2) else {})}

    # Anthropic's.

    def _block(self) -> dict[str, Any]:
        kind = self._of("text", "text", "tool_use", "thinking", "server_tool_use", "new")
        more = self._some(
            id=self._id,
            name=self._name,
            input=self._arguments,
            text=self._words,
            thinking=self._words,
            citations=self._junk,
        )
        return {"type": kind, **more}

    def _anthropic(self) -> Any:
        index = {"index": self._of(0, 0, 1, 2, self._junk())}
        deltas = (
            {"type": "text_delta", "text": self._words()},
            {"type": "text_delta", "text": self._words()},
            {"type": "input_json_delta", "partial_json": self._arguments()},
            {"type": "thinking_delta", "thinking": self._words()},
            {"type": "citations_delta", "citation": self._junk()},
        )
        events = (
            {"type": "content_block_delta", **index, "delta": self._of(*deltas)},
            {"type": "content_block_delta", **index, "delta": self._of(*deltas)},
            {"type": "content_block_delta", **index, "delta": self._of(*deltas, self._junk())},
            {"type": "content_block_start", **index, "content_block": self._block()},
            {"type": "content_block_stop", **index},
            {"type": "message_start", "message": {"usage": self._usage()}},
            {"type": "message_delta", "delta": {"stop_reason": self._of(*_REASONS)}, "usage": self._usage()},
            {"type": self._of("message_stop", "ping", "new")},
        )
        whole = {"type": "message", "content": [self._block()], "stop_reason": self._of(*_REASONS)}
        return (
            self._of(whole, {"type": "error", "error": self._junk()}) if self._is(0.03) else self._of(*events)
        )

    # ERNIE's and YandexGPT's.

    def _ernie(self) -> Any:
        if self._is(0.04):
            return {"error_code": self._of(4, 17, 110, 336000, "x", None, 0), "error_msg": self._words()}
        event = {"result": self._content(), "is_end": self._of(*[False] * 6, True, True, None)}
        if self._is(0.1):
            event["function_call"] = self._some(name=self._name, arguments=self._arguments)
        if self._is(0.3):
            event |= self._some(
                finish_reason=lambda: self._of(*_REASONS),
                is_truncated=lambda: self._of(True, False),
                usage=self._usage,
                reasoning_content=self._words,
                search_info=self._junk,
            )
        return event

    def _yandex(self) -> Any:
        if self._is(0.04):
            return self._some(error=self._junk, result=self._junk)
        message: dict[str, Any] = {"role": "assistant", "text": self._content()}
        if self._is(0.2):
            calls = [{"functionCall": self._some(name=self._name, arguments=self._arguments)}]
            message = {"toolCallList": {"toolCalls": calls * self._of(0, 1, 1, 2)}}
        kinds = ("PARTIAL", "PARTIAL", "PARTIAL", "FINAL", "TOOL_CALLS", "CONTENT_FILTER", "TRUNCATED_FINAL")
        status = f"ALTERNATIVE_STATUS_{self._of(*kinds)}" if self._is(0.95) else self._of(None, 7)
        alternatives = [{"message": message, "status": status}] * self._of(0, *[1] * 20, 2)
        return {"result": {"alternatives": alternatives, "usage": self._usage()}}


DIALECTS = ("openai", "anthropic", "ernie", "yandex")

# How they are framed, packed and cut.

_ENDS = [b"\n\n"] * 6 + [b"\r\n\r\n", b"\r\r", b"\n", b"", b"\n\n: hi\n\n", b"\n\ndata:\n\n"]
_HEADS = [b"data: "] * 6 + [
    b"data:",
    b"event: error\ndata: ",
    b"event: x\nid: 1\ndata: ",
    b"",
    b"\xef\xbb\xbfdata: ",
]
_LOOSE = [
    b"data: [DONE]\n\n",
    b": hi\n\n",
    b"\n",
    b"data: {\n\n",
    b"data: \xff\xe4\n\n",
    b"<html>",
    b"retry: 5\n\n",
]


_DONE = {"message": {"role": "assistant", "text": "Hello there. Bye."}, "status": "ALTERNATIVE_STATUS_FINAL"}
_LAST: dict[str, list[Any]] = {  # what ends an answer as it should be
    "openai": [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}],
    "anthropic": [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}],
    "ernie": [{"result": "", "is_end": True}],
    "yandex": [{"result": {"alternatives": [_DONE]}}],
}


@dataclass(frozen=True)
class Answer:
    """One answer of a server: what goes over the network, and where it breaks."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes]
    breaks: bool
    size: int  # of all that it says, unpacked


@st.composite
def answers(draw: st.DrawFn, dialect: str, pool: list[Any]) -> Answer:
    """An answer in this dialect, of events of the pool."""
    framed = dialect != "yandex" or draw(st.sampled_from([False, False, False, True]))
    ascii_only, head, end = draw(st.booleans()), draw(st.sampled_from(_HEADS)), draw(st.sampled_from(_ENDS))
    chosen = draw(st.lists(st.sampled_from(pool), max_size=12))
    parts = [
        _framed(event, ascii_only, head if framed else b"", end if framed else b"\n") for event in chosen
    ]
    if draw(st.integers(0, 3)):
        parts += [
            _framed(event, ascii_only, head if framed else b"", end if framed else b"\n")
            for event in _LAST[dialect]
        ]
    if draw(st.integers(0, 9)) == 0:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(_LOOSE)))
    if draw(st.integers(0, 15)) == 0 and parts:
        parts[-1] = parts[-1][: draw(st.integers(0, len(parts[-1])))]
    if draw(st.integers(0, 3)) and framed:
        parts.append(b"data: [DONE]\n\n")
    body = b"".join(parts)
    if draw(st.integers(0, 30)) == 0:
        body *= draw(st.sampled_from([10, 300]))
    if len(parts) == 1 and draw(st.integers(0, 5)) == 0:
        body = body.removeprefix(b"data: ")
    packing = draw(st.sampled_from([""] * 12 + ["gzip", "deflate", "br"]))
    packers: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
    packed = packers.get(packing, bytes)(body)
    kind = draw(st.sampled_from(["text/event-stream", "application/json", ""]))
    headers = {"content-type": kind, **({"content-encoding": packing} if packing else {})}
    status = draw(st.sampled_from([200] * 60 + [400, 401, 429, 500, 503]))
    return Answer(status, headers, _cut(draw, packed), draw(st.integers(0, 15)) == 0, len(body))


def _framed(event: Any, ascii_only: bool, head: bytes, end: bytes) -> bytes:
    return head + json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + end


def _cut(draw: st.DrawFn, body: bytes) -> list[bytes]:
    size = draw(st.sampled_from([1, 2, 3, 7, 64, 1_000, 16_384]))
    size = max(size, len(body) // 2_000)
    return [body[at : at + size] for at in range(0, len(body), size)]
