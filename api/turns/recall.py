"""Looks back from a turn: to its own start, if this is a retry, and to what its session remembers."""

import asyncio
import logging
from dataclasses import dataclass, replace

import orjson

from api.requests.idempotency import IdempotencyKey, KeyClaim, StartedBefore, StoredKey
from api.requests.turn_request import TurnRequest
from api.turns.history import History, read_history
from api.turns.spoken_past import in_words, named_turns, words_of
from api.turns.starter import PlannedTurn
from common import driver
from common.errors import BadRequest
from common.events import Entry, TurnInterrupted, TurnStarted
from common.log.stream import FIRST_PAGE, decode_entries, next_count, read_after
from common.names import SessionRef, TurnRef
from common.sessions.archive import ArchiveUnavailable
from common.sessions.sessions import SessionEntry, Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Pipeline, Stores
from common.tenants.directory import Directory
from common.tenants.profiles import Memory
from common.turn.tool_history import repaired
from common.turn.turn_log import TurnLog
from common.turn.version import UnknownFold

logger = logging.getLogger(__name__)

Raw = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class TurnContext:
    """A turn that knows its past, and `claim`: the key that is to stand for it."""

    planned: PlannedTurn
    claim: KeyClaim | None = None


class Recall:
    """Looks back from a planned turn. What its session remembers follows from the log, or the archive."""

    def __init__(self, settings: Settings, stores: Stores, sessions: Sessions, directory: Directory) -> None:
        self._settings = settings
        self._stores = stores
        self._sessions = sessions
        self._directory = directory

    async def recall(self, planned: PlannedTurn) -> TurnContext:
        """Look for an earlier start and for what to remember, in one round trip if both servers are one.

        Raises StartedBefore where the request is a retry, Conflict where its key was used for another,
        BadRequest where there is nothing to go on with, StoreUnavailable.
        """
        turn, started, request = planned.turn, planned.started, planned.request
        tenant = self._directory.tenant(turn.session.tenant)
        profile = tenant.get(started.profile) if tenant else None
        memory = profile.memory if profile else Memory("off")  # deleted, since the turn was planned
        remembers = _remembers(memory, request)
        if not remembers and request.idempotency is None:
            started = _with_messages(await self._in_words(turn.session, started))
            return TurnContext(replace(planned, started=started))
        known, (held, tail) = await asyncio.gather(
            self._sessions.find(turn.session), self._look(turn.session, request, remembers)
        )
        claim = None
        if request.idempotency:
            if held and known is None:  # of two servers the one with the index was asked too early
                known = await self._sessions.find(turn.session)
            if before := _valid(held, known):
                before.check(request.idempotency)
                earlier = TurnRef(turn.session, before.turn)
                unheard = await self._unheard(earlier)
                if unheard is None:
                    raise StartedBefore(earlier)
                claim = self._claim(turn, request.idempotency, held)
                return TurnContext(replace(planned, started=_as_before(started, unheard)), claim)
            claim = self._claim(turn, request.idempotency, held)
        started = await self._in_words(turn.session, started)
        if remembers and known:
            last = await self._last_turn(turn.session, known, tail, memory)
            started = _with_history(started, last, memory)
        return TurnContext(replace(planned, started=_with_messages(started)), claim)

    async def _in_words(self, session: SessionRef, started: TurnStarted) -> TurnStarted:
        """The turn with words for earlier answers that are named by their audio's ids.

        Raises BadRequest, StoreUnavailable.
        """
        messages = started.request["messages"]
        if not any(message.get("role") == "assistant" and "audio" in message for message in messages):
            return started
        turns, said = named_turns(messages), dict[str, str]()
        if turns and (known := await self._sessions.find(session)):
            said = await words_of(self._sessions.entries(session), turns, known.void_ms)
        return replace(started, request={**started.request, "messages": in_words(messages, said)})

    async def _unheard(self, turn: TurnRef) -> TurnStarted | None:
        """The start of a turn that was stopped before its first word, as nobody was there; None of another.

        Where the reply to a start was lost, its client has heard of no turn at all.
        """
        log = await self._sessions.turn(turn)
        stops = log.events(TurnInterrupted) if log else []
        if log is None or not stops or stops[0].by not in ("sweep", "disconnect"):
            return None
        try:
            fold = log.fold()
        except UnknownFold:
            return None
        ended = fold.ending is not None and fold.ending.reason == "interrupted"
        return log.started if ended and not fold.released else None

    def _claim(self, turn: TurnRef, once: IdempotencyKey, seen: bytes | None) -> KeyClaim:
        held = StoredKey(turn.turn, once.fingerprint, self._stores.log_clock.now_ms())
        return KeyClaim(
            keys.idempotency(turn.session, once.key), seen, held, min(once.most_s, self._settings.retention_s)
        )

    async def _look(
        self, session: SessionRef, request: TurnRequest, remembers: bool
    ) -> tuple[bytes | None, Raw]:
        """Return what the request's key holds, and the log's last page, newest first, as of one moment."""

        def build(pipe: Pipeline) -> None:
            if request.idempotency:
                pipe.get(keys.idempotency(session, request.idempotency.key))
            if remembers:
                pipe.xrevrange(keys.log(session), count=FIRST_PAGE)

        replies = await self._stores.on_log.run(build)
        return replies[0] if request.idempotency else None, replies[-1] if remembers else []

    async def _last_turn(
        self, session: SessionRef, known: SessionEntry, tail: Raw, memory: Memory
    ) -> TurnLog | None:
        """Return the session's last turn; None where it is forgotten."""
        since_ms = self._stores.log_clock.now_ms() - memory.expiry_ms
        log = await self._read_back(session, tail)
        if log is None and self._settings.archive_url and known.last_turn_ms > since_ms:
            log = await self._archived(session)
        if log is None or log.start_ms <= max(since_ms, known.void_ms):
            return None
        return await self._stop(session, log)

    async def _read_back(self, session: SessionRef, tail: Raw) -> TurnLog | None:
        """Return the log's last turn, read backwards, by pages of so many bytes."""
        raw, page, count = list(tail), tail, FIRST_PAGE
        while not any(map(_is_start, page)):
            if len(page) < count:
                return None
            before, count = f"({page[-1][0].decode()}", next_count(page)
            page = await self._stores.log.xrevrange(keys.log(session), max=before, count=count)
            raw += page
        begin = next(place for place, item in enumerate(raw) if _is_start(item))
        return TurnLog.of(decode_entries(raw[begin::-1]))

    async def _archived(self, session: SessionRef) -> TurnLog | None:
        """Return the same from the archive. Where that is away, a call without memory is better than none."""
        last: list[Entry] = []
        try:
            async with asyncio.timeout(self._settings.redis_timeout_s):
                async for page in self._sessions.entries(session):
                    for entry in page:
                        if isinstance(entry.event, TurnStarted):
                            last = []
                        last.append(entry)
        except (ArchiveUnavailable, TimeoutError) as error:
            reason = error.reason if isinstance(error, ArchiveUnavailable) else type(error).__name__
            logger.warning("a turn starts without memory", extra={"error": reason})
            return None
        return TurnLog.of(last)

    async def _stop(self, session: SessionRef, log: TurnLog) -> TurnLog:
        """Stop a turn that goes on, so that what was said of it is known, unless both may go on."""
        started = log.started
        if log.ended or not started.policy.get("barge_in", True):
            return log
        await driver.interrupt(self._stores, TurnRef(session, started.turn), "next_turn")
        return log.extended(await read_after(self._stores, session, log.entries[-1].id))


def _remembers(memory: Memory, request: TurnRequest) -> bool:
    """Return True if the turn is to know what its session remembers. A nameless one has nothing."""
    if request.session is None:
        return False
    if request.memory is not None:
        return request.memory
    if memory.mode != "auto":
        return memory.mode == "on"
    return not any(message["role"] == "assistant" for message in request.body["messages"])


def _as_before(started: TurnStarted, unheard: TurnStarted) -> TurnStarted:
    """The start with the messages of the same request's earlier one: what that remembered, and its own."""
    request = {**started.request, "messages": unheard.request["messages"]}
    return replace(started, request=request, remembered=unheard.remembered, record=unheard.record)


def _valid(held: bytes | None, known: SessionEntry | None) -> StoredKey | None:
    """Return the value of a key, unless it is of a deleted session."""
    if held is None or known is None:
        return None
    found = StoredKey(**orjson.loads(held))
    return found if found.ms > known.void_ms else None


def _with_history(started: TurnStarted, last: TurnLog | None, memory: Memory) -> TurnStarted:
    """Return the start with what is remembered before its messages; it is kept no better than that."""
    if last is None or last.started.record == "none":
        return started
    before = last.started
    try:
        history = read_history(last)
    except UnknownFold:
        logger.warning("what was said is not known to this version", extra={"turn": before.turn})
        history = History(before.request["messages"], known=False)
    messages, remembered = history.before(started.request["messages"], memory.max_messages, memory.max_bytes)
    record = before.record if remembered and started.record == "full" else started.record
    request = {**started.request, "messages": messages}
    return replace(started, request=request, remembered=remembered, record=record)


def _with_messages(started: TurnStarted) -> TurnStarted:
    """The turn, if it has any message: a request without one goes on with its session. Raises BadRequest.

    Of its tools' calls and results those that belong together are left.
    """
    asked = started.request["messages"]
    messages = repaired(asked)
    if messages:
        return (
            started
            if messages is asked
            else replace(started, request={**started.request, "messages": messages})
        )
    raise BadRequest("messages: there are none, and no session remembers any to go on with", param="messages")


def _is_start(item: tuple[bytes, dict[bytes, bytes]]) -> bool:
    return b"turn.started" in item[1]
