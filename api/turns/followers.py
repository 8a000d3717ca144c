"""Which turns have a client on which replica: none stops what is followed at another."""

import secrets
from collections.abc import Iterable

from common.names import TurnRef
from common.store import keys
from common.store.clocks import Contact
from common.store.redis import Pipeline, Stores


class Followers:
    """This replica's clients, told to the other replicas, and theirs. All methods raise StoreUnavailable.

    A turn counts as followed until a time, so that a replica that died holds nothing up for long.
    """

    def __init__(self, stores: Stores, lease_ms: int) -> None:
        self._stores = stores
        self._lease_ms = lease_ms
        self._replica = secrets.token_hex(6)
        self._contact = Contact(gap_s=lease_ms / 2000)

    def beat(self, pipe: Pipeline) -> None:
        """Queue the word that this replica is alive; who has been silent is dropped."""
        now_ms = self._now_ms()
        pipe.zadd(keys.REPLICAS, {self._replica: now_ms})
        pipe.zremrangebyscore(keys.REPLICAS, "-inf", now_ms - self._lease_ms)
        pipe.zremrangebyscore(keys.FOLLOWED, "-inf", now_ms)

    def hold(self, pipe: Pipeline, turns: Iterable[TurnRef]) -> None:
        """Queue the word that these turns are followed here, until it is due again."""
        until_ms = self._now_ms() + self._lease_ms
        if members := {_member(turn, self._replica): until_ms for turn in turns}:
            pipe.zadd(keys.FOLLOWED, members)

    async def begin(self, turn: TurnRef) -> None:
        """A client is about to follow this turn here."""
        await self._stores.on_queue.run(lambda pipe: self.hold(pipe, [turn]))

    async def end(self, turn: TurnRef, grace_ms: int) -> None:
        """The last client here has left; the others are to leave the turn alone for its grace."""
        until_ms = self._now_ms() + grace_ms
        await self._stores.on_queue.run(
            lambda pipe: pipe.zadd(keys.FOLLOWED, {_member(turn, self._replica): until_ms})
        )

    def forget(self, pipe: Pipeline, turn: TurnRef) -> None:
        """Queue the word that the turn is over."""
        pipe.zrem(keys.FOLLOWED, _member(turn, self._replica))

    def keep_touch(self) -> None:
        """The store has taken our beat, and so it could the others'."""
        self._contact.made()

    def lose_touch(self) -> None:
        """It has not."""
        self._contact.lost()

    async def elsewhere_s(self, turn: TurnRef) -> float:
        """For how long at least the turn is followed at other replicas; 0 where it isn't.

        After an outage, or a pause of our own, it may be until all had the time to say so again.
        """
        patience_s = self._lease_ms / 1000 - self._contact.for_s
        if self._contact.breaks and patience_s > 0:
            return patience_s
        now_ms = self._now_ms()
        alive = await self._stores.queue.zrangebyscore(keys.REPLICAS, now_ms - self._lease_ms, "+inf")
        others = [name for raw in alive if (name := raw.decode()) != self._replica]
        if not others:
            return 0.0
        until = await self._stores.queue.zmscore(keys.FOLLOWED, [_member(turn, name) for name in others])
        return max(0.0, max(score or 0 for score in until) - now_ms) / 1000

    def _now_ms(self) -> int:
        return self._stores.queue_clock.now_ms()


def _member(turn: TurnRef, replica: str) -> str:
    return f"{turn}|{replica}"
