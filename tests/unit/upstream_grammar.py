"""What model servers might send, as a grammar: valid, odd and broken events of each dialect, cut anyhow."""

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

_DEEP: Any = "x"
for _ in range(300):
    _DEEP = [_DEEP]

_MARKS = [
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
    "[THINK]",
]
_HALVES = ["\ud83d", "\ude00"]
_WORDS = ["Hello", " there", ". ", "你好", "😀", "é", "\u2028", "\n", " ", "", "{", '"', "\\", "x" * 2_000]
words = st.lists(st.sampled_from([*_WORDS * 3, *_MARKS, *_HALVES]), max_size=5).map("".join)
ids = st.sampled_from(["c1", "c2", "c3", "", None])
names = st.sampled_from(["find", "fi", "nd", "ring", "", None])
counts = st.one_of(st.integers(0, 9), st.sampled_from([-1, 10**30, "3", "n/a", 1e300, None]))
junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        words,
        st.sampled_from([[], {}, _DEEP]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)
arguments = st.one_of(
    st.sampled_from(["", "{", '"q":', '"x"}', "{}", '{"q":1}', None, {}, {"q": [None, True]}]), words
)


def some(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with these fields, and some of the others."""
    return st.fixed_dictionaries(required, optional=optional)


# OpenAI's dialect.

part = st.one_of(
    words.map(lambda text: {"type": "text", "text": text}),
    words.map(lambda text: {"type": "thinking", "thinking": [{"type": "text", "text": text}]}),
    words.map(lambda text: {"type": "refusal", "refusal": text}),
    words,
    junk,
)
content = st.one_of(words, words, words, st.lists(part, max_size=3), junk)
call = some(
    {"function": some({}, name=names, arguments=arguments, strict=junk)},
    index=st.one_of(st.integers(-1, 3), junk),
    id=ids,
    type=st.sampled_from(["function", "custom", None]),
    custom=some({}, name=names, input=words),
    extra_content=junk,
)
delta = some(
    {},
    role=st.just("assistant"),
    content=content,
    reasoning_content=words,
    tool_calls=st.lists(call, max_size=3),
    function_call=some({}, name=names, arguments=arguments),
    refusal=words,
    annotations=st.lists(junk, max_size=2),
    audio=some({}, id=ids, data=words, transcript=words),
    reasoning_details=st.lists(some({}, index=counts, text=words), max_size=2),
)
reason = st.sampled_from(
    [None, None, None, "stop", "null", "", "length", "tool_calls", "MAX_TOKENS", "error", 7]
)
usage = some(
    {}, prompt_tokens=counts, completion_tokens=counts, total_tokens=counts, prompt_tokens_details=junk
)
choice = some(
    {"index": st.sampled_from([0, 0, 0, 0, 1, 2, "1", None])},
    delta=delta,
    message=delta,
    finish_reason=reason,
    logprobs=junk,
    usage=usage,
    text=words,
)
openai_event = st.one_of(
    *[some({"choices": st.lists(choice, min_size=1, max_size=2)}, usage=usage, citations=junk, id=ids)] * 6,
    some({"choices": st.sampled_from([[], None])}, usage=usage, x_groq=some({}, usage=usage, error=junk)),
    some({}, error=junk, message=words, code=junk, detail=junk, object=st.sampled_from(["error", "x"])),
)

# Anthropic's.

block = some(
    {"type": st.sampled_from(["text", "tool_use", "thinking", "server_tool_use", "new"])},
    id=ids,
    name=names,
    input=junk,
    text=words,
    thinking=words,
    citations=junk,
)
anthropic_delta = st.one_of(
    words.map(lambda text: {"type": "text_delta", "text": text}),
    arguments.map(lambda given: {"type": "input_json_delta", "partial_json": given}),
    words.map(lambda text: {"type": "thinking_delta", "thinking": text}),
    junk.map(lambda value: {"type": "citations_delta", "citation": value}),
    some({}, stop_reason=reason),
    junk,
)
anthropic_event = some(
    {
        "type": st.sampled_from(
            [
                *("message_start", "content_block_start", "content_block_delta", "content_block_delta"),
                *("content_block_stop", "message_delta", "message_stop", "message", "ping", "error", "new"),
            ]
        )
    },
    index=st.one_of(st.integers(0, 2), junk),
    message=some({}, usage=usage),
    content_block=block,
    content=st.lists(block, max_size=2),
    delta=anthropic_delta,
    usage=some({}, input_tokens=counts, output_tokens=counts, cache_read_input_tokens=counts),
    error=junk,
)

# ERNIE's and YandexGPT's.

ernie_event = some(
    {"result": content, "is_end": st.sampled_from([False, False, False, True, None, 7])},
    function_call=some({}, name=names, arguments=arguments),
    finish_reason=reason,
    is_truncated=st.booleans(),
    usage=usage,
    error_code=st.sampled_from([4, 17, 110, 336000, "x", None, 0]),
    reasoning_content=words,
    search_info=junk,
)
yandex_call = some({}, functionCall=some({}, name=names, arguments=arguments))
alternative = some(
    {},
    message=some({}, text=content, toolCallList=some({}, toolCalls=st.lists(yandex_call, max_size=2))),
    status=st.sampled_from(
        [
            *("ALTERNATIVE_STATUS_PARTIAL", "ALTERNATIVE_STATUS_FINAL", "ALTERNATIVE_STATUS_TOOL_CALLS"),
            *("ALTERNATIVE_STATUS_CONTENT_FILTER", "ALTERNATIVE_STATUS_TRUNCATED_FINAL", None, 7),
        ]
    ),
)
yandex_event = some(
    {},
    result=st.one_of(some({"alternatives": st.lists(alternative, max_size=2)}, usage=usage), junk),
    error=junk,
)

EVENTS = {"openai": openai_event, "anthropic": anthropic_event, "ernie": ernie_event, "yandex": yandex_event}

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


@dataclass(frozen=True)
class Answer:
    """One answer of a server: what goes over the network, and where it breaks."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes]
    breaks: bool

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


@st.composite
def answers(draw: st.DrawFn, dialect: str) -> Answer:
    """An answer in this dialect."""
    framed = dialect != "yandex" or draw(st.sampled_from([False, False, False, True]))
    parts = [_framed(draw, event, framed=framed) for event in draw(st.lists(_spoiled(dialect), max_size=8))]
    if draw(st.integers(0, 2)) == 0:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(_LOOSE)))
    if draw(st.integers(0, 3)):
        parts.append(b"data: [DONE]\n\n")
    body = b"".join(parts)
    if draw(st.integers(0, 30)) == 0:
        body *= draw(st.sampled_from([10, 300]))
    if len(parts) == 1 and draw(st.integers(0, 5)) == 0:
        body = body.removeprefix(b"data: ")
    packing = draw(st.sampled_from([""] * 12 + ["gzip", "deflate", "br"]))
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(packing, bytes)(body)
    kind = draw(st.sampled_from(["text/event-stream", "application/json", ""]))
    headers = {"content-type": kind, **({"content-encoding": packing} if packing else {})}
    status = draw(st.sampled_from([200] * 20 + [400, 401, 429, 500, 503]))
    return Answer(status, headers, _cut(draw, packed), draw(st.integers(0, 15)) == 0)


def _framed(draw: st.DrawFn, event: Any, *, framed: bool) -> bytes:
    ascii_only = draw(st.booleans())
    data = json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 40)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    if not framed:
        return data + b"\n"
    return draw(st.sampled_from(_HEADS)) + data + draw(st.sampled_from(_ENDS))


def _spoiled(dialect: str) -> st.SearchStrategy[Any]:
    """Mostly what the dialect has, sometimes with anything in its place."""
    return st.one_of(*[EVENTS[dialect]] * 12, junk, st.lists(EVENTS[dialect], max_size=2))


def _cut(draw: st.DrawFn, body: bytes) -> list[bytes]:
    size = draw(st.sampled_from([1, 2, 3, 7, 64, 1_000, 16_384]))
    size = max(size, len(body) // 2_000)
    return [body[at : at + size] for at in range(0, len(body), size)]
