"""Applies a tenant's limits: which turns are admitted, and what the client of a refused one is told."""

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from api.limits import admission_script
from api.limits.admission_script import AdmissionRequest, LimitStatus
from api.requests.turn_request import TurnRequest
from common.errors import BadRequest, RateLimited
from common.events import TurnStarted
from common.knowledge.chunking import TARGET
from common.log import kept_bytes
from common.names import SessionRef, TurnRef
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store.redis import Stores, StoreUnavailable
from common.tenants.config import Limits
from common.tenants.directory import Directory
from common.tenants.tenant import Tenant
from common.turn.token_counts import most as most_tokens

logger = logging.getLogger(__name__)

_MOST_TOKENS = 10**12  # whatever a request names
_TEXT_PART = {"type", "text"}
_NOT_TEXT = ("image_url", "input_audio", "file")


class Admissions:
    """Admits turns as their tenants' limits allow, and refuses floods without asking the store."""

    def __init__(self, settings: Settings, stores: Stores, sessions: Sessions, directory: Directory) -> None:
        self._settings = settings
        self._stores = stores
        self._sessions = sessions
        self._directory = directory
        self._full: dict[str, _Full] = {}
        self._burying: set[asyncio.Task[None]] = set()

    def check_sizes(self, request: TurnRequest) -> None:
        """Raise BadRequest if a message is longer than the tenant allows."""
        most = self._limits(request.tenant).max_message_chars
        for index, message in enumerate(request.body["messages"] if most else ()):
            if (chars := sum(map(len, _texts(message.get("content"))))) > most:
                raise BadRequest(
                    f"messages.{index}: {chars} characters, of {most} at most",
                    code="message_too_long",
                    param=f"messages.{index}.content",
                )

    def refuse_flood(self, tenant: Tenant) -> None:
        """Raise RateLimited while it is known that no turn of this tenant can be admitted."""
        full = self._full.get(tenant.id)
        if full is None:
            return
        passed_ms = math.ceil((time.monotonic() - full.at_s) * 1000)
        if passed_ms >= full.standing.wait_ms or full.limits != tenant.limits:
            del self._full[tenant.id]
            return
        raise _refusal(full.limits, full.standing.later(passed_ms))

    async def admit(self, turn: TurnRef, started: TurnStarted) -> dict[str, str]:
        """Admit a turn, and return the headers that tell its client where the tenant stands.

        Raises RateLimited, StoreUnavailable.
        """
        return await self._ask(turn, started)

    async def check(self, turn: TurnRef, started: TurnStarted) -> None:
        """Raise RateLimited if the turn would not be admitted now. Raises StoreUnavailable."""
        await self._ask(turn, started, dry_run=True)

    async def _ask(self, turn: TurnRef, started: TurnStarted, *, dry_run: bool = False) -> dict[str, str]:
        tenant = self._directory.tenant(turn.session.tenant)
        if tenant is None or not admission_script.is_limited(tenant.limits):
            return {}
        self.refuse_flood(tenant)
        limits, at_s = tenant.limits, time.monotonic()
        supersedes = bool(started.policy.get("barge_in", True))
        stores, now_ms = self._stores, self._stores.queue_clock.now_ms()
        ask = AdmissionRequest(
            turn,
            limits,
            _most_tokens(started, limits),
            supersedes,
            dry_run,
            _size_of(started) if limits.kept_bytes else 0,
            kept_bytes.until_ms(self._settings, now_ms),
            kept_bytes.lasts_s(self._settings),
        )
        standing = await admission_script.admit(stores, ask, self._settings.turn_lease_ms)
        if standing.refused_by == "turns_per_minute":
            self._full[tenant.id] = _Full(limits, standing, at_s)
        if standing.refused_by:
            raise _refusal(limits, standing)
        if standing.replaced:
            self._bury(tenant.id, standing)
        return _headers(limits, standing)

    async def release(self, turn: TurnRef) -> None:
        """Give back what was reserved for an admitted turn that never started."""
        if not admission_script.is_limited(self._limits(turn.session.tenant)):
            return
        self._full.pop(turn.session.tenant, None)
        try:
            await admission_script.release(self._stores, turn)
        except StoreUnavailable as error:  # the sweep does it when the turn's lease lapses
            logger.warning("could not take a turn back", extra={"error": error.reason})

    def close(self) -> None:
        """Stop deleting replaced sessions; the retention job deletes the rest."""
        for task in self._burying:
            task.cancel()

    def _limits(self, name: str) -> Limits:
        tenant = self._directory.tenant(name)
        return tenant.limits if tenant else Limits()

    def _bury(self, tenant: str, standing: LimitStatus) -> None:
        task = asyncio.create_task(self._drop_replaced(tenant, standing))
        self._burying.add(task)
        task.add_done_callback(self._burying.discard)

    async def _drop_replaced(self, tenant: str, standing: LimitStatus) -> None:
        try:
            for quoted in standing.replaced:
                session = SessionRef.parse(f"{tenant}:{quoted}")
                await self._sessions.drop_void(session, standing.void_ms)
        except StoreUnavailable as error:  # they are hidden already; the retention job drops the rest
            logger.warning("could not drop replaced sessions", extra={"error": error.reason})


@dataclass(frozen=True, slots=True)
class _Full:
    """A tenant that has used up its turns per minute. `at_s`: when that was read, on the process's own
    clock.
    """

    limits: Limits
    standing: LimitStatus
    at_s: float


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a part of a request, except in pictures, sound and files. It may be deeply
    nested.
    """
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            if part.keys() == _TEXT_PART and part["type"] == "text" and isinstance(part["text"], str):
                yield part["text"]  # the fast path: most parts look like this
                continue
            kind = part.get("type")
            no_text = kind if kind in _NOT_TEXT else ""  # stands in the field of that name
            waiting += [each for name, each in part.items() if name not in ("type", no_text)]


def _most_tokens(started: TurnStarted, limits: Limits) -> int:
    """Return the most tokens a turn should cost: the prompt and longest answer of each lane that may run."""
    request, knowledge = started.request, started.lanes["full"].get("knowledge")
    messages = _bytes_of(request["messages"])
    tokens = 0
    for lane, asked in started.lanes.items():
        prompt = messages + _bytes_of(asked["prompt"])
        if lane == "full":
            prompt += _bytes_of([request.get("tools"), request.get("functions")])
            prompt += knowledge["top_k"] * TARGET if knowledge else 0
        answer = _longest_answer(asked.get("params") or request, limits)
        tokens += most_tokens(prompt) + answer
    return min(tokens, _MOST_TOKENS)


def _size_of(started: TurnStarted) -> int:
    try:
        return kept_bytes.size_of([started])
    except orjson.JSONEncodeError:
        return 0  # writing it to the log fails with a clear error


def _bytes_of(value: Any) -> int:
    return sum(len(text) if text.isascii() else len(text.encode()) for text in _texts(value))


def _longest_answer(params: dict[str, Any], limits: Limits) -> int:
    named = [_number(params.get(name)) for name in ("max_completion_tokens", "max_tokens")]
    return max(filter(None, named), default=limits.answer_tokens) * (params.get("n") or 1)


def _number(value: Any) -> int:
    """Return a value as the model's server may read it, as a whole number; 0 if it is none.

    The parameters of an `llmRequest` are for the full model to judge, so they may be anything.
    """
    try:
        return max(0, math.ceil(float(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


_WHY: dict[str, tuple[str, str, str]] = {
    "turns_per_minute": (
        "requests",
        "rate_limit_exceeded",
        "over the limit of {0.turns_per_minute} turns a minute",
    ),
    "live_turns": ("requests", "too_many_live_turns", "over the limit of {0.live_turns} turns at once"),
    "tokens_per_day": (
        "tokens",
        "tokens_per_day_exceeded",
        "over the limit of {0.tokens_per_day} tokens a day",
    ),
    "sessions_kept": (
        "requests",
        "too_many_sessions",
        "over the limit of {0.sessions_kept} sessions, all of which are live",
    ),
    "kept_bytes": (
        "requests",
        "storage_limit",
        "over the limit of {0.kept_bytes} bytes of sessions: delete some, or wait until they expire",
    ),
}


def _refusal(limits: Limits, standing: LimitStatus) -> RateLimited:
    kind, code, message = _WHY[standing.refused_by]
    return RateLimited(
        message.format(limits),
        code=code,
        kind=kind,
        retry_after_s=max(1, _seconds(standing.wait_ms)),
        headers=_headers(limits, standing),
    )


def _headers(limits: Limits, standing: LimitStatus) -> dict[str, str]:
    """Return the `x-ratelimit-…` headers for the limits that are set."""
    counts = (
        ("requests", limits.turns_per_minute, standing.starts, standing.window_ms),
        ("tokens", limits.tokens_per_day, standing.tokens, standing.day_left_ms),
    )
    headers = {}
    for kind, most, used, reset_ms in counts:
        if most:
            headers[f"x-ratelimit-limit-{kind}"] = str(most)
            headers[f"x-ratelimit-remaining-{kind}"] = str(max(0, most - used))
            headers[f"x-ratelimit-reset-{kind}"] = _duration(_seconds(reset_ms))
    return headers


def _seconds(ms: int) -> int:
    return math.ceil(ms / 1000)


def _duration(seconds: int) -> str:
    """Return a duration as OpenAI writes it: `6m0s`."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if hours or minutes else []
    return "".join([*parts, f"{seconds}s"])
