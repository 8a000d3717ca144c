"""Live turns that are fed by hand: they drive nothing, and their lanes' words come from no worker."""

from dataclasses import replace
from typing import cast

from api.turns.live import LiveTurn
from common.events import Entry, Event, TurnStarted
from common.names import SessionRef, TurnRef
from common.store.redis import Stores
from tests.support.turn_events import started


class Quiet(LiveTurn):
    """A live turn that drives nothing."""

    def _drive(self) -> None:
        pass

    def _watch_clock(self) -> None:
        pass


def live_turn(*events: Event, draft: bool = True, **reply: bool) -> Quiet:
    return live_turn_of(replace(started(draft=draft), reply=reply), *events)


def live_turn_of(first: TurnStarted, *events: Event) -> Quiet:
    """Return a turn that began so, after these events: they came a millisecond apart."""
    live = Quiet(cast(Stores, None), TurnRef(SessionRef("default", "s"), first.turn), first, 2000)
    live.begin(Entry("1000-0", first))
    live.apply([Entry(f"{1001 + number}-0", event) for number, event in enumerate(events)])
    return live
