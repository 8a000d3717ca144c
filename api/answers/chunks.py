"""A turn's outputs as OpenAI's chunks, each in its place.

Source: https://platform.openai.com/docs/api-reference/chat/create-chat-completion (streaming)
Places follow from the log alone, not from how text was cut into chunks, so an answer can be gone on with
from any of them.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from api.answers.completion import completion_head, ending_mark, finish_reason, is_cut, whole_answer
from api.answers.cursor import START, Place
from api.answers.encoder import AnswerEncoder
from api.turns.live import LiveTurn
from common.errors import presented
from common.turn.outputs import Output, PassedThrough, TextReleased, ToolCalled, TurnEnding


class ChunkEncoder(AnswerEncoder):
    """Chat completion chunks, with what platforms ask for between them."""

    def __init__(self, live: LiveTurn, after: Place = START) -> None:
        super().__init__(live, after)
        self._include_usage = bool(live.started.reply.get("usage"))
        self._lanes = bool(live.started.reply.get("lanes"))
        self._metadata = live.started.reply.get("metadata")  # goes before the first chunk
        self._tells_speaker = bool(live.started.reply.get("meta"))
        self._speaker = ""
        self._role = b'"role":"assistant",'  # goes with the first chunk
        self._head = orjson.dumps(completion_head(live, "chat.completion.chunk"))[:-1]

    def encode(self, outputs: Iterable[Output]) -> bytes:
        """Return the chunks of these outputs, one after the other."""
        first = self._metadata_chunk() if self._metadata and outputs else b""
        return first + super().encode(outputs)

    def encode_delta(self, delta: dict[str, Any], *, chars: int = 0, frames: int = 0) -> bytes:
        """Return a chunk of another delta, which tells so much more of the text and of the frames."""
        first = self._metadata_chunk() if self._metadata else b""
        self._chars += chars
        self._frames += frames
        return first + self._chunk(self._choice(delta), None)

    def whole(self) -> dict[str, Any]:
        """Return the completion object."""
        return whole_answer(self._live)

    def on_text(self, output: TextReleased) -> bytes:
        """Return the text's chunk. This runs for every token, so its JSON is made by hand."""
        meta = b""
        if self._tells_speaker and output.lane != self._speaker:
            meta = self._speaker_chunk(output)
        text, role = output.text, self._take_role()
        if self._chars < self._after.chars:  # of a text that begins before the place the rest is left
            text, role = text[self._after.chars - self._chars :], b""
        self._chars += len(output.text)
        choice = b'{"index":0,"delta":{%b"content":%b},"logprobs":null,"finish_reason":null}' % (
            role,
            orjson.dumps(text),
        )
        return meta + self._chunk(choice, self._mark(output.lane, output.at_ms))

    def on_tool_call(self, output: ToolCalled) -> bytes:
        """Return one chunk with the whole call."""
        self._frames += 1
        delta = {"tool_calls": [{"index": output.index, **output.call.whole()}]}
        return self._chunk(self._choice(delta), self._mark("full", output.at_ms))

    def on_passed_through(self, output: PassedThrough) -> bytes:
        """Return the model's choice as it came."""
        self._frames += 1
        choice = {"index": 0, "delta": {}, "finish_reason": None, **output.choice}
        return self._chunk(orjson.dumps(choice), self._mark("full", output.at_ms))

    def on_ending(self, output: TurnEnding) -> bytes:
        """Return the error, the finish reason, the usage and `[DONE]`."""
        self._frames += 1
        events = []
        if output.error:
            events.append(self._event(orjson.dumps({"error": presented(output.error)})))
            self._frames += 1
        mark = ending_mark(output) if self._lanes or is_cut(output) else None
        events.append(self._chunk(self._choice({}, finish_reason(output)), mark))
        if self._include_usage:
            self._frames += 1
            usage = orjson.dumps(self._live.usage)
            events.append(self._event(b'%b,"choices":[],"usage":%b}' % (self._head, usage)))
        self._frames += 1
        return b"".join([*events, self._event(b"[DONE]")])

    def _metadata_chunk(self) -> bytes:
        """Return Agora's first chunk, by which its engine knows how to treat the answer.

        Source: https://docs.agora.io/en/conversational-ai/develop/custom-llm
        """
        metadata, self._metadata = self._metadata, None
        head = completion_head(self._live, "chat.completion.custom_metadata")
        self._frames += 1
        return self._event(orjson.dumps({**head, "choices": [], "metadata": metadata}))

    def _speaker_chunk(self, output: TextReleased) -> bytes:
        """Return Tencent's chunk for the client that is not spoken: somebody else speaks now.

        Source: https://cloud.tencent.com/document/product/647/122399
        """
        self._speaker = output.lane
        self._frames += 1
        chunk = {
            "id": f"chatcmpl-{self._live.turn.turn}",
            "type": "meta.info",
            "created": self._live.created_s,
            "metainfo": {"speaker": output.lane, "ms": output.at_ms},
        }
        return self._event(orjson.dumps(chunk))

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

    def _chunk(self, choice: bytes, mark: dict[str, Any] | None) -> bytes:
        tail = b',"fast_reply":%b}' % orjson.dumps(mark) if mark else b"}"
        usage = b',"usage":null' if self._include_usage else b""
        return self._event(b'%b,"choices":[%b]%b%b' % (self._head, choice, usage, tail))
