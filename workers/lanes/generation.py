"""Asking the models of a lane, one after the other as they fail, and writing down what they say."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from common.events import TurnStarted
from common.settings import Settings
from common.tenants.profiles import Upstream
from common.text.markdown_join import join_texts
from common.turn.token_counts import sound_usage
from common.watchdog import Watchdog
from workers.lanes.annotations import Annotations
from workers.lanes.failures import Failures, RefusedDrafts
from workers.lanes.publisher import LaneWriter
from workers.lanes.refusals import understand
from workers.lanes.relearning import Relearned
from workers.prompts import body_for
from workers.providers.base import (
    Finish,
    PassThrough,
    Provider,
    StreamPart,
    ToolCallDelta,
    UpstreamError,
    Usage,
)
from workers.providers.exchange import garbled
from workers.upstreams import Upstreams

_USAGE_WAIT_S = 3.0  # after an answer's end; a server that doesn't close ends a turn so much later
_MOST_BYTES = 32 * 1_048_576  # of a lane's answer, all that is not spoken too
_MOST_CALLS = 10_000
_LEAST_PAUSE_S = 0.2  # before a busy server is asked again, though it says that it need not be long
_MOST_TRIES = 10  # of one model that is busy
_FINISH_REASONS = ("stop", "length", "tool_calls", "function_call", "content_filter")


@dataclass(slots=True)
class GenerationResult:
    """The end of a lane's answer, as far as it is known."""

    reason: str = ""
    usage: dict[str, Any] | None = None
    error: UpstreamError | None = None
    tried: list[str] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)


class Generation:
    """Puts one lane's request to its models."""

    def __init__(
        self,
        settings: Settings,
        provider: Provider,
        upstreams: Upstreams,
        writer: LaneWriter,
        answer: GenerationResult,
        on_first: Callable[[], None],
        most_chars: int = 0,
        relearned: Relearned | None = None,
        refused: RefusedDrafts | None = None,
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._upstreams = upstreams
        self._writer = writer
        self._answer = answer
        self._on_first = on_first  # called when the first model asked says its first word, or is given up
        self._most_chars = most_chars  # the text ends there; 0 is no bound
        self._heard = False
        self._ended_alone = True  # the word for the end came by itself, as it does where it means so
        self._spoke_on = False  # behind the word for its end
        self._may_be_empty = False
        self._annotations = Annotations()
        self._relearned = relearned or Relearned()
        self._refused = refused or RefusedDrafts()

    async def run(self, upstreams: list[Upstream], started: TurnStarted, before: str) -> None:
        """Ask each in turn until one ends its answer; the next goes on from what was said.

        `before` is what another lane has said that this one is to go on from.
        """
        writer, answer = self._writer, self._answer
        # A model that is to go on from an answer may have nothing to add.
        self._may_be_empty = bool(before.strip()) and started.policy["draft"]["style"] == "answer"
        for upstream in upstreams:
            answer.error, answer.reason, answer.usage, self._heard = None, "", None, False
            spoke_before = bool(writer.pieces)
            self._ended_alone, self._spoke_on = True, False
            answer.tried.append(upstream.model)
            said = before + join_texts(before, str(writer.state.text), goes_on=True)
            if said.isspace():
                said = ""  # a model that gave only blanks has begun nothing
            body = body_for(started, writer.job.lane, upstream.model, said, upstream.prefix)
            own = list(started.lanes["draft"]["params"]) if writer.job.lane == "draft" else []
            await self._ask_one(upstream, body, own, patient=upstream is upstreams[-1])
            self._note(upstream)
            if spoke_before:
                answer.usage = None  # it tells what one of several has cost
            if answer.error is None or writer.state.calls:
                return  # a call that has begun is not made again by another model

    def _note(self, upstream: Upstream) -> None:
        """Take note of how it went, for the operator."""
        error = self._answer.error
        if self._writer.job.lane == "draft":
            self._refused.note(upstream, self._writer.job, error)
        elif error:
            self._answer.failures.add(upstream, error)

    async def _ask_one(
        self, upstream: Upstream, body: dict[str, Any], own: list[str], *, patient: bool
    ) -> None:
        """Ask; where there is nobody else, a busy one is waited for as long as a silent one would be.

        `own`: parameters that are ours: one that the server refuses is renamed or left out.
        """
        now_s, answer = asyncio.get_running_loop().time, self._answer
        give_up_s, tries = now_s() + self._settings.first_token_timeout_s, 0
        while True:
            answer.error = None
            tries += 1
            try:
                wait_s = give_up_s - now_s() if patient else 0
                async with self._upstreams.admit(upstream, self._writer.job, wait_s):
                    await self._listen(upstream, self._relearned.adapt(upstream, body), give_up_s - now_s())
                    for choice in self._annotations.rest():
                        self._writer.append_extra(choice)
                    if answer.error is None and self._is_empty():
                        answer.error = UpstreamError("upstream_empty", "the model's answer was empty")
                    if answer.error:
                        understand(answer.error, body)
                        self._upstreams.record_failure(upstream, answer.error)
            except UpstreamError as not_asked:
                answer.error = not_asked
            if answer.error and own and self._relearned.learn(upstream, answer.error, own):
                continue
            again_s = answer.error.retry_after_s if answer.error and patient and not self._heard else None
            if again_s is None or tries >= _MOST_TRIES:
                return
            pause_s = max(
                _LEAST_PAUSE_S * tries - again_s, 0.0
            )  # what it says is waited for where it is asked
            if now_s() + again_s + pause_s > give_up_s:
                return
            await asyncio.sleep(pause_s)

    async def _listen(self, upstream: Upstream, body: dict[str, Any], first_s: float) -> None:
        """Write down what the model says; its first word is expected within so many seconds."""
        answer = self._answer
        try:
            async with Watchdog() as watchdog, aclosing(self._provider.stream(upstream, body)) as pieces:
                watchdog.expect_within(first_s)
                size = 0
                async for piece in pieces:
                    size += _size(piece)
                    if size > _MOST_BYTES:
                        raise garbled()
                    if not self._heard and _is_heard(piece):
                        self._heard = True
                        self._upstreams.record_success(upstream)
                        self._first()
                    self._doubt_end(piece)
                    self._write(piece)
                    if answer.reason == "length" and self._is_full:
                        return  # whatever else it would say
                    if self._heard:
                        ended = answer.reason and self._ended_alone and not self._spoke_on
                        watchdog.expect_within(
                            _USAGE_WAIT_S if ended else self._settings.next_token_timeout_s
                        )
        except TimeoutError:
            if not answer.reason:  # after the answer's end only its usage is missing
                code = "upstream_stalled" if self._heard else "upstream_first_token_timeout"
                if not self._heard:
                    self._first()  # so long it was waited for, at least
                answer.error = UpstreamError(code, "the model's server fell silent")
        except UpstreamError as error:
            if not answer.reason or self._spoke_on:
                answer.error = error

    def _doubt_end(self, piece: StreamPart) -> None:
        """Some servers say with each piece that the answer ends: their word is no end, only their silence."""
        if isinstance(piece, Finish):
            self._ended_alone = piece.alone
        elif self._answer.reason and _is_heard(piece):
            self._spoke_on = True

    def _write(self, piece: StreamPart) -> None:
        writer, answer = self._writer, self._answer
        if isinstance(piece, str):
            self._say(piece)
        elif isinstance(piece, ToolCallDelta):
            writer.append_tool_call(piece.index, piece.id, piece.name, piece.arguments, piece.rest)
        elif isinstance(piece, PassThrough):
            if choice := self._annotations.feed(piece.choice):
                writer.append_extra(choice)
        elif isinstance(piece, Finish):
            answer.reason = piece.reason if piece.reason in _FINISH_REASONS else "stop"
        elif isinstance(piece, Usage):
            answer.usage = sound_usage(piece.tokens) or answer.usage

    def _is_empty(self) -> bool:
        """Return True if the model has ended its answer and the lane has nothing in it."""
        state, stopped_short = self._writer.state, self._answer.reason in ("length", "content_filter")
        return not (self._may_be_empty or state.speaks or state.gives or stopped_short)

    @property
    def _is_full(self) -> bool:
        return 0 < self._most_chars <= len(self._writer.state.text)

    def _say(self, piece: str) -> None:
        room = self._most_chars - len(self._writer.state.text) if self._most_chars else len(piece)
        if room > 0:
            self._writer.append_text(piece[:room])
        if len(piece) > room:
            self._answer.reason = "length"

    def _first(self) -> None:
        if len(self._answer.tried) == 1:
            self._on_first()


def _is_heard(piece: StreamPart) -> bool:
    """Blank text and thoughts are not heard: a model that gives only those is still silent."""
    return isinstance(piece, ToolCallDelta) or (isinstance(piece, str) and not piece.isspace())


def _size(piece: StreamPart) -> int:
    """About how many bytes a piece takes. Raises UpstreamError where it can't be written down.

    A server says what it likes, and a piece that broke the worker's publisher would end all its turns.
    """
    if isinstance(piece, str):
        return len(piece)
    if isinstance(piece, ToolCallDelta):
        texts = (piece.id, piece.name, piece.arguments)
        if not (0 <= piece.index < _MOST_CALLS and all(isinstance(text, str) for text in texts)):
            raise garbled()
    try:
        return len(orjson.dumps([[[[[[[[piece]]]]]]]]))  # events and reports wrap it up
    except TypeError:
        raise garbled() from None
