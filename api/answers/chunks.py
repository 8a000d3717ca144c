"""A turn's releases as the bytes of OpenAI's chunks, each in its place.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion (streaming)
Places follow from the log alone, not from how text was cut into chunks: so an answer can be gone on with
from any of them.
"""

from typing import Any

import orjson

from api.answers.cursor import START, Place
from api.turns.live import LiveTurn
from common.errors import presented
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled, TurnEnding

# What is no whole answer never ends with `stop`. `length` is OpenAI's own word for one that was cut; `error`
# is what others say, behind an error at which OpenAI's clients stop reading.
_FINISH = {"interrupted": "length", "superseded": "length", "error": "error"}


class ChunkWriter:
    """Writes the chunks of one answer for one client, from a place on: what lies before it is passed over."""

    def __init__(self, live: LiveTurn, after: Place = START) -> None:
        self._live = live
        self._after = after
        self._include_usage = bool(live.started.reply.get("usage"))
        self._lanes = bool(live.started.reply.get("lanes"))
        self._metadata = live.started.reply.get("metadata")  # goes before the first chunk
        self._tells_speaker = bool(live.started.reply.get("meta"))
        self._speaker = ""
        self._chars = 0
        self._frames = 0
        self._role = b'"role":"assistant",'  # goes with the first chunk
        self._head = orjson.dumps(completion_head(live, "chat.completion.chunk"))[:-1]

    @property
    def place(self) -> Place:
        """Where the answer stands after what was written."""
        return Place(self._chars, self._frames)

    def write(self, releases: list[Output]) -> bytes:
        """The events of these releases, one after the other."""
        first = self._tell_metadata() if self._metadata and releases else b""
        return first + b"".join(map(self._one, releases))

    def add(self, delta: dict[str, Any], *, chars: int = 0, frames: int = 0) -> bytes:
        """An event of another delta, with which so much more of the text and of the frames is told."""
        first = self._tell_metadata() if self._metadata else b""
        self._chars += chars
        self._frames += frames
        return first + self._event(self._choice(delta), None)

    def _one(self, release: Output) -> bytes:
        if isinstance(release, TextReleased):
            meta = b""
            if self._tells_speaker and release.lane != self._speaker:
                meta = self._tell_speaker(release)
            text, role = release.text, self._take_role()
            if self._chars < self._after.chars:  # of a text that begins before the place the rest is left
                text, role = text[self._after.chars - self._chars :], b""
            self._chars += len(release.text)
            # By hand: this is the one place that runs for every token.
            delta = b'{"index":0,"delta":{%b"content":%b},"logprobs":null,"finish_reason":null}' % (
                role,
                orjson.dumps(text),
            )
            return meta + self._event(delta, self._mark(release.lane, release.at_ms))
        self._frames += 1
        if isinstance(release, ToolCalled):
            return self._event(self._choice(call_delta(release)), self._mark("full", release.at_ms))
        if isinstance(release, PassedThrough):
            choice = {"index": 0, "delta": {}, "finish_reason": None, **release.choice}
            return self._event(orjson.dumps(choice), self._mark("full", release.at_ms))
        return self._close(release)

    def _tell_metadata(self) -> bytes:
        """Agora's first chunk, by which its engine knows how to treat the answer.

        Source: https://docs.agora.io/en/conversational-ai/develop/custom-llm
        """
        metadata, self._metadata = self._metadata, None
        head = completion_head(self._live, "chat.completion.custom_metadata")
        return self._frame({**head, "choices": [], "metadata": metadata})

    def _tell_speaker(self, said: TextReleased) -> bytes:
        """Tencent's chunk for the client that is not spoken: somebody else speaks now.

        Source: https://cloud.tencent.com/document/product/647/122399
        """
        self._speaker = said.lane
        head = {
            "id": f"chatcmpl-{self._live.turn.turn}",
            "type": "meta.info",
            "created": self._live.created_s,
        }
        return self._frame({**head, "metainfo": {"speaker": said.lane, "ms": said.at_ms}})

    def _frame(self, value: dict[str, Any]) -> bytes:
        self._frames += 1
        return self._line(orjson.dumps(value))

    def _close(self, ending: TurnEnding) -> bytes:
        frames = []
        if ending.error:
            frames.append(self._line(orjson.dumps({"error": presented(ending.error)})))
            self._frames += 1
        mark = ending_mark(ending) if self._lanes or ending.reason in _FINISH else None
        frames.append(self._event(self._choice({}, finish_reason(ending)), mark))
        if self._include_usage:
            self._frames += 1
            usage = orjson.dumps(self._live.usage)
            frames.append(self._line(b'%b,"choices":[],"usage":%b}' % (self._head, usage)))
        self._frames += 1
        return b"".join([*frames, self._line(b"[DONE]")])

    def _choice(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        role = {"role": "assistant"} if self._take_role() else {}
        return orjson.dumps(
            {"index": 0, "delta": {**role, **delta}, "logprobs": None, "finish_reason": finish}
        )

    def _take_role(self) -> bytes:
        role, self._role = self._role, b""
        return role

    def _mark(self, lane: str, at_ms: int) -> dict[str, Any] | None:
        return {"lane": lane, "ms": at_ms} if self._lanes else None

    def _event(self, choice: bytes, mark: dict[str, Any] | None) -> bytes:
        tail = b',"fast_reply":%b}' % orjson.dumps(mark) if mark else b"}"
        usage = b',"usage":null' if self._include_usage else b""
        return self._line(b'%b,"choices":[%b]%b%b' % (self._head, choice, usage, tail))

    def _line(self, data: bytes) -> bytes:
        """An event, unless the client has had it."""
        here = self.place
        if self._after.covers(here):
            return b""
        return b"id: %b\ndata: %b\n\n" % (here.cursor(self._live.turn.turn).encode(), data)


def completion_head(live: LiveTurn, kind: str) -> dict[str, Any]:
    """What every chunk, and the whole answer, begins with."""
    return {
        "id": f"chatcmpl-{live.turn.turn}",
        "object": kind,
        "created": live.created_s,
        "model": live.started.reply.get("model") or live.started.profile,
    }


def finish_reason(ending: TurnEnding) -> str:
    """OpenAI's word for an ending."""
    return _FINISH.get(ending.reason, ending.reason)


def ending_mark(ending: TurnEnding) -> dict[str, Any]:
    """How a turn ended, where OpenAI has no word for it."""
    return {"ended": ending.reason, "ms": ending.at_ms, "degraded": ending.degraded}


def call_delta(called: ToolCalled) -> dict[str, Any]:
    """One whole tool call in the streaming form."""
    return {"tool_calls": [{"index": called.index, **whole_call(called)}]}


def whole_call(called: ToolCalled) -> dict[str, Any]:
    """One whole tool call as a message holds it."""
    return called.call.whole()
