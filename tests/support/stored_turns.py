"""What the stores hold of turns, as the tests ask for it."""

from collections import Counter
from typing import Any

from arq.constants import in_progress_key_prefix

from common.events import Entry, Event, TurnEnded
from common.log.stream import read_turn
from common.names import JobRef, Lane, SessionRef, TurnRef
from common.queue import job_queue
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores
from common.turn.fold import Fold
from common.turn.outputs import Output, TurnEnding
from tests.support.turn_events import heard, log_of
from tests.support.wiring import ask, open_starter

_ACT = {"turn.interrupted", "timer.fired", "turn.ended"}


async def start(
    stores: Stores, settings: Settings, session: str = "s1", *, drafting: bool = False, **policy: Any
) -> TurnRef:
    """Start a turn as an API replica does which then dies: nobody follows it."""
    starter = open_starter(settings, stores)
    planned = starter.plan(ask(session, drafting=drafting, **policy))
    await starter.commit(planned)
    return planned.turn


def job(turn: TurnRef, attempt: int = 1, lane: Lane = "full") -> JobRef:
    return JobRef(turn, lane, attempt)


async def turn_entries(stores: Stores, turn: TurnRef) -> list[Entry]:
    """The session's log from the turn's start on; empty where it has no such turn."""
    log = await read_turn(stores, turn)
    return list(log.entries) if log else []


async def events(stores: Stores, turn: TurnRef) -> list[Event]:
    """The turn's own events."""
    log = await read_turn(stores, turn)
    return [entry.event for entry in log.own] if log else []


async def count(stores: Stores, turn: TurnRef, kind: type[Event], **fields: Any) -> int:
    """How many events of this kind, with these fields, the turn has."""
    return sum(
        isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
        for event in await events(stores, turn)
    )


async def ended(stores: Stores, turn: TurnRef) -> TurnEnded | None:
    """The ending in the log that counts."""
    return next((e for e in await events(stores, turn) if isinstance(e, TurnEnded)), None)


async def lines_of(stores: Stores, session: SessionRef) -> list[bytes]:
    """The session's log as the lines of a file."""
    pieces = [piece async for piece in Sessions(stores, None).lines(session)]
    return b"".join(pieces).splitlines(keepends=True)


def fold(entries: list[Entry]) -> tuple[Fold, list[Output]]:
    """Fold a turn from its start, as a replay does."""
    return log_of(entries).fold_with_outputs()


async def replay(stores: Stores, turn: TurnRef) -> tuple[str, TurnEnding | None]:
    """What is heard of the turn, and the ending that the fold gives it."""
    folded, out = fold(await turn_entries(stores, turn))
    return heard(out), folded.ending


async def lease_of(stores: Stores, held: TurnRef | JobRef) -> float | None:
    score: float | None = await stores.queue.zscore(keys.LEASES, str(held))
    return score


async def lapse(stores: Stores, *held: TurnRef | JobRef) -> None:
    """Let leases run out now, instead of waiting for them."""
    for each in held:
        assert await stores.queue.zadd(keys.LEASES, {str(each): 1}, xx=True, ch=True), "no such lease"


async def subscribed(stores: Stores, channel: str) -> int:
    """How many listen to a channel."""
    ((_, count),) = await stores.queue.pubsub_numsub(channel)
    return int(count)


async def is_running(stores: Stores, attempt: JobRef) -> bool:
    """Whether a runner has taken the job."""
    return bool(await stores.queue.exists(in_progress_key_prefix + str(attempt)))


async def left_behind(stores: Stores) -> Counter[str]:
    """What stands on the queue server of any turn: keys, and members of the sets that all share."""
    found: Counter[str] = Counter()
    lasting = (
        "fr:workers:",
        "fr:pace:",
        "fr:taken:",
        "fr:sessions:",
        "fr:upstreams:",
        keys.REPLICAS,
        keys.KEPT,
        keys.INDEXED,
        keys.PARKED,
        keys.UNSETTLED,  # who settles looks in their own time
    )
    async for raw in stores.queue.scan_iter(count=1000):
        key = raw.decode()
        ends = (":log", ":failures", ":hints", ":waiting")  # those say only that somebody may look
        if key == keys.SWEEPING or key.endswith(ends) or ":once:" in key or key.startswith(lasting):
            continue
        if (key.startswith("fr:live:") or key == keys.DEADLINES) and await _all_leased(stores, key):
            continue
        found[key] += 1
    return found


async def _all_leased(stores: Stores, key: str) -> bool:
    """Whether each of the live turns of this tenant is watched over."""
    prefix = "" if key == keys.DEADLINES else key.rpartition(":")[2] + ":"
    turns = [f"{prefix}{member.decode()}" for member in await stores.queue.zrange(key, 0, -1)]
    return not turns or None not in await stores.queue.zmscore(keys.LEASES, turns)


async def age(stores: Stores, turn: TurnRef) -> None:
    """Let the turn, which stands alone in its log, have begun long before any deadline."""
    key = keys.log(turn.session)
    entries = await stores.log.xrange(key)
    await stores.log.delete(key)
    for number, (_, fields) in enumerate(entries, start=1):
        await stores.log.xadd(key, fields, id=f"{number}-1")


async def forget_jobs(stores: Stores, *jobs: JobRef) -> None:
    """Take jobs away as if they had never been put."""
    pipe = stores.queue.pipeline(transaction=True)
    for each in jobs:
        job_queue.forget_job(pipe, each)
    await pipe.execute()
