"""Says one planned answer at its pace, with the faults its behaviour asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from time import monotonic
from typing import Literal

from simulator.behaviour import Behaviour
from simulator.connection import Connection, ConnectionCut
from simulator.dialect import Dialect, Encoder
from simulator.ledger import Outcome, StreamRecord
from simulator.plan import Plan

_STREAM_ERROR_STATUS = 500


class Pace:
    """The time at which each token is due; absolute, so a late token does not delay the next."""

    def __init__(self, start_s: float, behaviour: Behaviour, tokens: int, seed: str) -> None:
        self._tpot_s = behaviour.tpot_ms / 1000
        self._first_s = start_s + behaviour.ttft_ms / 1000
        self._shifts_s: list[float] = []
        if behaviour.jitter:
            random = Random(seed)
            shifts = [behaviour.jitter * (random.random() - 0.5) for _ in range(tokens + 1)]
            self._first_s += shifts[0] * behaviour.ttft_ms / 1000
            # A shift is at most half of the step, so the order holds.
            self._shifts_s = [0.0, *(shift * self._tpot_s for shift in shifts[1:])]

    def due_s(self, index: int) -> float:
        """Monotonic time at which token `index` is due; the one after the last has a time too."""
        shift_s = self._shifts_s[index] if self._shifts_s else 0.0
        return self._first_s + index * self._tpot_s + shift_s

    def count_due(self, now_s: float, begin: int, end: int) -> int:
        """Return how many of the tokens from `begin` to `end` are due."""
        index = begin
        while index < end and self.due_s(index) <= now_s:
            index += 1
        return index - begin


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a stream after `tokens` tokens."""

    kind: Literal["finish", "no_done", "stall", "cut", "error"]
    tokens: int


def find_ending(behaviour: Behaviour, tokens: int) -> Ending:
    """Return the first fault that an answer of this many tokens reaches, else its natural end."""
    faults = [
        Ending("stall", -1 if behaviour.stall_after is None else behaviour.stall_after),
        Ending("cut", -1 if behaviour.cut_after is None else behaviour.cut_after),
        Ending("error", -1 if behaviour.error_after is None else behaviour.error_after),
    ]
    reached = [fault for fault in faults if 0 <= fault.tokens <= tokens]
    natural = Ending("no_done" if behaviour.no_done else "finish", tokens)
    return min(reached, key=lambda fault: fault.tokens, default=natural)


class Speaker:
    """One answer on its way to one client; every way of saying it returns the outcome."""

    def __init__(
        self,
        connection: Connection,
        plan: Plan,
        behaviour: Behaviour,
        pace: Pace,
        record: StreamRecord,
        dialect: Dialect,
    ) -> None:
        self._dialect = dialect
        self._connection = connection
        self._plan = plan
        self._behaviour = behaviour
        self._pace = pace
        self._record = record
        self._ending = find_ending(behaviour, len(plan.tokens))

    async def stream(self, encoder: Encoder) -> Outcome:
        """Say it token by token; raises ConnectionCut."""
        await self._connection.open(200, list(encoder.headers))
        asides = self._asides(encoder)
        if not await self._say_tokens(encoder, asides):
            return "cut"
        ending, total = self._ending, len(self._plan.tokens)
        if ending.kind == "stall":
            return await self.stall()
        # A fault takes the next token's place in time; the natural end follows the last token.
        natural = ending.kind in ("finish", "no_done") and total > 0
        if not natural and not await self._connection.sleep_until(self._pace.due_s(ending.tokens)):
            return "cut"
        if ending.kind == "cut":
            raise ConnectionCut
        body = asides.get(total, b"") if ending.tokens == total else b""
        if ending.kind == "error":
            body += encoder.error(_STREAM_ERROR_STATUS)
        elif ending.kind == "finish":
            body += encoder.ending(self._plan)
        return await self._close(body)

    async def complete(self, body: bytes) -> Outcome:
        """Say it in one response once its last token is due; raises ConnectionCut."""
        ending = self._ending
        if ending.kind == "stall":
            return await self.stall()
        steps = ending.tokens if ending.kind in ("cut", "error") else max(len(self._plan.tokens) - 1, 0)
        if not await self._connection.sleep_until(self._pace.due_s(steps)):
            return "cut"
        if ending.kind == "error":
            return await self._fail(_STREAM_ERROR_STATUS)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._connection.open(200, headers)
        if ending.kind == "cut":
            await self._connection.write(body[: len(body) // 2])
            raise ConnectionCut
        if self._garbles():
            body = body[: len(body) // 2].ljust(len(body))
        self._record.token_s += [monotonic()] * len(self._plan.tokens)
        return await self._close(body)

    async def stall(self) -> Outcome:
        """Say nothing until the client leaves."""
        while await self._connection.sleep_until(None):
            pass
        return "cut"

    async def refuse(self, status: int) -> Outcome:
        """Answer an HTTP error when the first token would be due."""
        if not await self._connection.sleep_until(self._pace.due_s(0)):
            return "cut"
        return await self._fail(status)

    async def _fail(self, status: int) -> Outcome:
        self._connection.unwatch()
        retry_after_s = self._behaviour.retry_after_s
        headers = [] if retry_after_s is None else [(b"retry-after", f"{retry_after_s:g}".encode())]
        http_status, body = self._dialect.refusal(status)
        await self._connection.answer(http_status, body, *headers)
        return "faulted"

    def _asides(self, encoder: Encoder) -> dict[int, bytes]:
        """Return what is sent together with a token, before it."""
        asides = {0: encoder.opening(self._plan)}
        garble_after = self._behaviour.garble_after
        if garble_after is not None:
            asides[garble_after] = asides.get(garble_after, b"") + encoder.garbled
        return asides

    async def _say_tokens(self, encoder: Encoder, asides: dict[int, bytes]) -> bool:
        frames = self._frames(encoder, asides)
        said, end = 0, self._ending.tokens
        while said < end:
            if not await self._connection.sleep_until(self._pace.due_s(said)):
                return False
            due = self._pace.count_due(monotonic(), said, end)
            await self._connection.write(b"".join(islice(frames, due)))
            self._record.token_s += [monotonic()] * due
            said += due
        return self._connection.left_s is None

    def _frames(self, encoder: Encoder, asides: dict[int, bytes]) -> Iterator[bytes]:
        for index, token in enumerate(self._plan.tokens):
            chunk = encoder.token(token)
            yield asides[index] + chunk if index in asides else chunk

    async def _close(self, body: bytes) -> Outcome:
        if self._connection.left_s is not None:
            return "cut"
        self._connection.unwatch()
        await self._connection.write(body, last=True)
        return "finished" if self._ending.kind == "finish" and not self._garbles() else "faulted"

    def _garbles(self) -> bool:
        after = self._behaviour.garble_after
        return after is not None and after <= len(self._plan.tokens)
