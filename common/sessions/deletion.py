"""The deletion of a session: nothing of it may come back, and a new one of its name begins clean.

Each step may be done again, by whoever asks again after a crash; from the tombstone on nobody sees it.
"""

from redis.exceptions import WatchError

from common import driver
from common.events import TurnStarted
from common.log import kept_bytes
from common.log.stream import decode_entries
from common.names import SessionRef, TurnRef
from common.sessions.archive import Archive
from common.store import keys
from common.store.redis import Pipeline, Stores

_PAGE = 1_000


async def delete_session(stores: Stores, archive: Archive | None, session: SessionRef) -> bool:
    """Delete a session from index, log and archive; whether it was there. Raises StoreUnavailable."""
    index, tombstones = keys.sessions(session.tenant), keys.deleted(session.tenant)
    known, void_ms = await stores.on_queue.run(
        lambda pipe: (pipe.zscore(index, session.quoted), pipe.zscore(tombstones, session.quoted))
    )
    if known is None and void_ms is None:
        return False
    if known is not None:
        await _stop_turns(stores, session)
        void_ms = await _now_ms(stores)

        def hide(pipe: Pipeline) -> None:
            pipe.zrem(index, session.quoted)
            pipe.zadd(tombstones, {session.quoted: void_ms})
            kept_bytes.drop(pipe, session)

        await stores.on_queue.run(hide)
    # Without an entry in the index it was hidden by somebody who then died, perhaps.
    await _drop_log(stores, session, int(void_ms))
    if archive:
        await archive.delete(session)
    await stores.on_queue.run(lambda pipe: pipe.publish(keys.wake(session), keys.DELETED))
    return known is not None


async def drop_void(stores: Stores, archive: Archive | None, session: SessionRef, void_ms: int) -> None:
    """Drop what a crash has left of a deleted session, nothing of a new one. Raises StoreUnavailable."""
    await _drop_log(stores, session, void_ms)
    if archive:
        await archive.delete(session, void_ms)


async def _stop_turns(stores: Stores, session: SessionRef) -> None:
    """Interrupt the live turns, so that their models are left and their clients told."""
    for member in await stores.queue.zrange(keys.live_turns(session.tenant), 0, -1):
        quoted, _, turn = member.decode().partition(":")
        if quoted == session.quoted:
            await driver.interrupt(stores, TurnRef(session, turn), "deleted")


async def _now_ms(stores: Stores) -> int:
    """The log server's time: whatever it appends from now on has no lower id."""
    seconds, micros = await stores.log.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def _drop_log(stores: Stores, session: SessionRef, void_ms: int) -> None:
    """Drop what is void of the log: all of it, unless a new session of this name has begun behind that.

    A log that is trimmed to nothing would still take what late workers append; one that is gone doesn't.
    """
    key = keys.log(session)
    async with stores.log.pipeline(transaction=True) as pipe:
        while True:
            await pipe.watch(key)
            entries = decode_entries(await pipe.xrange(key, min=f"{void_ms + 1}-0", count=_PAGE))
            begun = next((entry.id for entry in entries if isinstance(entry.event, TurnStarted)), None)
            pipe.multi()  # type: ignore[no-untyped-call]
            if begun:
                pipe.xtrim(key, minid=begun, approximate=False)
            else:
                pipe.delete(key)
            try:
                await pipe.execute()
                return
            except WatchError:
                pass  # something was appended meanwhile: look again
