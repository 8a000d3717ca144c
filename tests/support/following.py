"""Followers of live turns for the tests, and what must be true of a turn that is over."""

import pytest

from api.requests.turn_request import TurnRequest
from api.turns.live import LiveTurn
from common.errors import RateLimited
from common.events import TurnEnded
from common.store.redis import Stores
from common.turn.outputs import TurnEnding
from tests.support.scripted_model import Call
from tests.support.stored_turns import ended, left_behind, replay
from tests.support.turn_events import heard
from tests.support.waiting import until
from tests.support.wiring import Api


async def hear(live: LiveTurn) -> tuple[str, TurnEnding]:
    """Follow a turn to its end: what is heard of it, and its ending."""
    releases = [release async for batch in live.follow() for release in batch]
    (ending,) = [release for release in releases if isinstance(release, TurnEnding)]
    assert releases[-1] is ending
    return heard(releases), ending


async def over(api: Api, live: LiveTurn) -> TurnEnded:
    """The turn's ending in the log, once the replica has let it go; it tells what was released."""
    await until(lambda: str(live.turn) not in api.turns._live)
    found = await ended(api.stores, live.turn)
    assert found
    text, ending = await replay(api.stores, live.turn)
    assert text == heard(live.outputs) and ending
    assert (found.reason, found.released, found.hash) == (ending.reason, len(text), live.fold.hash())
    return found


def stopped(call: Call) -> bool:
    """Whether whoever asked the model has closed the stream."""
    return call.ended == "closed"


async def nothing_left(stores: Stores) -> bool:
    """Whether the queue server holds nothing of any turn."""
    return not await left_behind(stores)


async def only_marks_left(stores: Stores) -> bool:
    """The same where a lane may have ended as it was told to stop: its mark then stays until it expires."""
    left = await left_behind(stores)
    assert all([await stores.queue.pttl(key) > 0 for key in left if key.startswith("fr:cancelled:")])
    return all(key.startswith("fr:cancelled:") for key in left)


async def refusal(api: Api, request: TurnRequest) -> RateLimited:
    """The limit that keeps a turn from starting."""
    with pytest.raises(RateLimited) as refused:
        await api.start.run(request)
    return refused.value
