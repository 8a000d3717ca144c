"""Asking the models of a lane, one after the other as they fail, and writing down what they say."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from common.events import TurnStarted
from common.profiles import Upstream
from common.seam import join
from common.settings import Settings
from common.watchdog import Watchdog
from workers.prompts import body_for
from workers.providers.base import Finish, Other, Piece, Provider, ToolPiece, UpstreamError, Usage
from workers.publisher import LaneWriter

_USAGE_WAIT_S = 1.0
_FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter")


@dataclass(slots=True)
class Answer:
    """How a lane's answer ended, as far as it is known."""

    reason: str = ""
    usage: dict[str, Any] | None = None
    error: UpstreamError | None = None
    tried: list[str] = field(default_factory=list)


class Asker:
    """Puts one lane's request to its models."""

    def __init__(self, settings: Settings, provider: Provider, on_first: Callable[[], None]) -> None:
        self._settings = settings
        self._provider = provider
        self._on_first = on_first  # called when the first model asked says its first word, or is given up
        self._heard = False

    async def ask(
        self, upstreams: list[Upstream], started: TurnStarted, before: str, writer: LaneWriter, answer: Answer
    ) -> None:
        """Ask each in turn until one ends its answer; the next goes on from what was said.

        `before` is what another lane has said that this one is to go on from.
        """
        for upstream in upstreams:
            answer.error, self._heard = None, False
            answer.tried.append(upstream.model)
            said = before + join(before, writer.state.text, goes_on=True)
            if said.isspace():
                said = ""  # a model that gave only blanks has begun nothing
            body = body_for(started, writer.job.lane, upstream.model, said, upstream.prefix)
            await self._ask_one(upstream, body, writer, answer)
            if answer.error is None or writer.state.calls:
                return  # a call that has begun is not made again by another model

    async def _ask_one(
        self, upstream: Upstream, body: dict[str, Any], writer: LaneWriter, answer: Answer
    ) -> None:
        try:
            async with Watchdog() as watchdog, aclosing(self._provider.stream(upstream, body)) as pieces:
                watchdog.expect_within(self._settings.first_token_timeout_s)
                async for piece in pieces:
                    self._write(writer, piece, answer)
                    if answer.reason:
                        watchdog.expect_within(_USAGE_WAIT_S)
                    elif self._heard:
                        watchdog.expect_within(self._settings.next_token_timeout_s)
        except TimeoutError:
            if not answer.reason:  # after the answer's end only its usage is missing
                code = "upstream_stalled" if self._heard else "upstream_first_token_timeout"
                if not self._heard and len(answer.tried) == 1:
                    self._on_first()  # so long it was waited for, at least
                answer.error = UpstreamError(code, "the model's server fell silent")
        except UpstreamError as error:
            if not answer.reason:
                answer.error = error

    def _write(self, writer: LaneWriter, piece: Piece, answer: Answer) -> None:
        if isinstance(piece, str):
            # Blank text and thoughts are not heard: a model that gives only those is still silent.
            if not self._heard and not piece.isspace():
                self._first(answer)
            writer.say(piece)
        elif isinstance(piece, ToolPiece):
            if not self._heard:
                self._first(answer)
            writer.call(piece.index, piece.id, piece.name, piece.arguments)
        elif isinstance(piece, Other):
            writer.add(piece.choice)
        elif isinstance(piece, Finish):
            # An older word for the same: the model wants its function called.
            reason = "tool_calls" if piece.reason == "function_call" else piece.reason
            answer.reason = reason if reason in _FINISH_REASONS else "stop"
        elif isinstance(piece, Usage):
            answer.usage = piece.tokens

    def _first(self, answer: Answer) -> None:
        self._heard = True
        if len(answer.tried) == 1:
            self._on_first()


def estimate(writer: LaneWriter) -> dict[str, Any]:
    """Where the server didn't say what a broken-off answer cost: servers send about a token a piece."""
    return {
        "prompt_tokens": 0,
        "completion_tokens": writer.pieces,
        "total_tokens": writer.pieces,
        "estimated": True,
    }
