"""Sessions for the redactor's tests: turns whose words are not to be kept, written and looked for."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from common.events import Delta, Event, LaneFinished, LaneStarted, TurnEnded, TurnStarted
from common.names import SessionRef, TurnRef
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.fold import Fold
from common.turn.version import FOLD_VERSION
from tests.support.ended_turns import put
from tests.support.redis_replies import reply
from workers.redaction.redactor import Redactor

USAGE = {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}
SAID = "Write down 555-123-4567, please. Goodbye."
MASKED = "Write down xxx-xxx-xxxx, please. Goodbye."


def events_of(turn: str, record: str = "redacted", *, over: bool = True) -> list[Event]:
    """A turn that says a number in pieces. `over`: its worker has written its last word."""
    request = {"messages": [{"role": "user", "content": "I am jane@example.com"}]}
    lanes: dict[str, dict[str, Any]] = {"full": {"model": "full", "prompt": ""}}
    begun = TurnStarted(turn, "fast-reply", request, {}, lanes, "off", 1, FOLD_VERSION, record=record)
    lane: list[Event] = [LaneStarted(turn, "full", 1, "w:1")]
    lane += [Delta(turn, "full", 1, at, SAID[at : at + 4], 0) for at in range(0, len(SAID), 4)]
    finish = LaneFinished(turn, "full", 1, len(SAID), "stop", USAGE, None, 0)
    fold = Fold(begun)
    for event in [*lane, finish]:
        fold.feed(event, 1)
    ended = TurnEnded(turn, "stop", fold.released, fold.usage(), fold.hash(), False, None)
    if not over:  # its first attempt stands still, another has spoken
        return [begun, *lane, LaneStarted(turn, "full", 2, "w:2"), replace(finish, attempt=2), ended]
    return [begun, *lane, finish, ended]


async def add_private(
    stores: Stores, session: SessionRef, record: str = "redacted", *, over: bool = True, due: bool = True
) -> TurnRef:
    """A turn that has ended, and is to be rewritten now; its session is in the index."""
    turn = TurnRef(session, secrets.token_hex(6))
    for event in events_of(turn.turn, record, over=over):
        await put(stores, session, event)
    now_ms = stores.queue_clock.now_ms()
    await stores.queue.zadd(keys.sessions(session.tenant), {session.quoted: now_ms})
    await reply(stores.queue.sadd(keys.KEPT, session.tenant))
    if due:
        await stores.queue.zadd(keys.REDACTING, {str(turn): now_ms})
    return turn


async def raw_log(stores: Stores, session: SessionRef) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: list[tuple[bytes, dict[bytes, bytes]]] = await stores.log.xrange(keys.log(session))
    return found


async def is_listed(stores: Stores, turn: TurnRef) -> bool:
    """Whether the turn is still to be looked at."""
    return await stores.queue.zscore(keys.REDACTING, str(turn)) is not None


async def look(redactor: Redactor, eyes: Stores) -> int:
    """One look at all that is listed, whatever it waits for."""
    for member in await eyes.queue.zrange(keys.REDACTING, 0, -1):
        await eyes.queue.zadd(keys.REDACTING, {member: 1})
    return await redactor.redact()


@asynccontextmanager
async def redacting(settings: Settings) -> AsyncIterator[tuple[Stores, Redactor]]:
    """A redactor, and other eyes on the same stores."""
    async with open_stores(settings) as eyes, open_stores(settings) as stores:
        await eyes.sync_clocks()
        await stores.sync_clocks()
        redactor = Redactor(stores, "w:1")
        yield eyes, redactor
        await redactor.close()
