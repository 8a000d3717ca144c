"""Servers' clocks by their offset to a steady one: late replies move nothing, steps are noticed."""

import random

from common.store.clocks import Contact, ServerClock

HOUR_MS = 3_600_000


class World:
    """A steady clock, and a server's, which can be set."""

    def __init__(self) -> None:
        self.steady_s = 1_000.0
        self.ahead_ms = 1_700_000_000_000.0

    def steady(self) -> float:
        return self.steady_s

    def server_ms(self) -> float:
        return self.steady_s * 1000 + self.ahead_ms

    def sync(self, clock: ServerClock, *, there_s: float = 0.001, back_s: float = 0.001) -> bool:
        asked = clock.asked_at()
        self.steady_s += there_s
        seconds, millis = divmod(self.server_ms(), 1000)
        self.steady_s += back_s
        return clock.set_from((int(seconds), int(millis * 1000)), asked)


def synced() -> tuple[World, ServerClock]:
    world = World()
    clock = ServerClock(world.steady)
    assert not world.sync(clock)
    return world, clock


def test_late_replies_are_no_steps_and_move_nothing_much() -> None:
    world, clock = synced()
    for seed in range(200):
        luck = random.Random(seed)
        world.steady_s += luck.uniform(0, 3)
        assert not world.sync(clock, there_s=luck.uniform(0, 1.5), back_s=luck.uniform(0, 1.5))
        assert abs(clock.now_ms() - world.server_ms()) <= 3
    assert clock.steps == 0


def test_a_first_reply_that_was_late_is_made_good_by_the_next_and_is_no_step() -> None:
    world = World()
    clock = ServerClock(world.steady)
    world.sync(clock, back_s=1.4)
    assert not world.sync(clock)
    assert abs(clock.now_ms() - world.server_ms()) <= 3


def test_drift_is_followed() -> None:
    world, clock = synced()
    for _ in range(2_000):
        world.steady_s += 1
        world.ahead_ms += 0.2
        assert not world.sync(clock)
        assert abs(clock.now_ms() - world.server_ms()) <= 3


def test_a_step_is_noticed_and_followed_whichever_way() -> None:
    for step_ms in (HOUR_MS, -HOUR_MS, 5_000, -5_000, 86_400_000, -600_000):
        world, clock = synced()
        world.ahead_ms += step_ms
        assert world.sync(clock)
        assert not world.sync(clock)
        assert clock.steps == 1 and abs(clock.now_ms() - world.server_ms()) <= 3


def test_since_counts_what_passed_not_what_was_set() -> None:
    for step_ms in (HOUR_MS, -HOUR_MS, 30_000, -30_000):
        world, clock = synced()
        before = clock.now_ms()
        world.steady_s += 10
        world.ahead_ms += step_ms
        world.sync(clock)
        world.steady_s += 5
        assert abs(clock.since(before) - 15_000) <= 5
        after = clock.now_ms()
        world.steady_s += 7
        assert abs(clock.since(after) - 7_000) <= 5
        world.ahead_ms -= step_ms  # and back again
        world.sync(clock)
        world.steady_s += 2
        assert abs(clock.since(before) - 24_000) <= 5


def test_what_is_yet_to_come_is_no_time_ago() -> None:
    _, clock = synced()
    assert clock.since(clock.now_ms() + 5_000) == 0


def test_contact_lasts_from_the_first_answer_after_a_break() -> None:
    world = World()
    contact = Contact(gap_s=1.0, steady=world.steady)
    assert contact.for_s == 0
    for _ in range(20):
        contact.made()
        world.steady_s += 0.25
    assert contact.for_s == 5.0 and contact.breaks == 0
    contact.lost()
    assert contact.for_s == 0
    world.steady_s += 9
    contact.made()
    assert contact.for_s == 0 and contact.breaks == 1
    world.steady_s += 0.5
    contact.made()
    assert contact.for_s == 0.5
    world.steady_s += 1.5  # it stood still itself
    assert contact.for_s == 0
    contact.made()
    assert contact.for_s == 0 and contact.breaks == 2
