"""The publisher and servers that come back with an older file: what they lost is put back."""

import asyncio

import pytest

from common.events import Delta, LaneStarted
from common.log.stream import append_now
from common.store.redis import open_stores
from common.turn.lane_state import ToolCallState
from tests.support.held_commits import Commits
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.waiting import PATIENCE_S, in_loop, until
from tests.support.writers import Pen, behind_proxy, lose_tail, publishing, say

WHOLE = "We open at nine. Every day."
CALLS = {0: ToolCallState("c1", "find", '{"q": "x"}'), 1: ToolCallState("c2", "ring", "{}")}
EXTRAS = [{"logprobs": 1}, {"logprobs": 2}]


@pytest.mark.parametrize("lost", range(1, 7))
@in_loop
async def test_a_lost_tail_is_put_back(valkey: Backend, lost: int) -> None:
    """The last entry lost, and so on, up to all but the turn's start."""
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        await say(pen, "We ", "open ")
        pen.writer.append_tool_call(0, "c1", "find", '{"q": "x"}')
        pen.writer.append_tool_call(1, "c2", "ring", "{}")
        pen.writer.append_extra(EXTRAS[0])
        await until(lambda: _calls(pen))
        proxy.cut()
        await lose_tail(eyes, pen, lost)
        pen.writer.append_text("at nine. ")
        await until(lambda: proxy.refused)
        proxy.mend()
        pen.writer.append_text("Every day.")
        pen.writer.append_extra(EXTRAS[1])
        await pen.writer.finish("stop", None)
        lane = await pen.lane()
        assert (str(lane.text), lane.calls, lane.extras) == (WHOLE, CALLS, EXTRAS)
        assert lane.over and lane.attempt == 1


async def _calls(pen: Pen) -> bool:
    lane = await pen.lane()
    return bool(len(lane.calls) == 2 and lane.extras)


@in_loop
async def test_a_tail_lost_while_the_lane_was_quiet_is_put_back(valkey: Backend) -> None:
    """No commit is in flight when the server comes back with an older file, so none fails."""
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        await say(pen, "We ", "open ", "at ", "nine. ")
        proxy.cut()
        await lose_tail(eyes, pen, 2)
        proxy.mend()
        pen.writer.append_text("Every day.")
        await pen.writer.finish("stop", None)
        assert await pen.text() == WHOLE


@in_loop
async def test_the_lost_tail_of_a_later_attempt_keeps_what_came_before(valkey: Backend) -> None:
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        first = await Pen.take(publisher, eyes)
        await say(first, "We open ")
        publisher.close(first.writer)
        second = await first.next_attempt()
        await say(second, "at nine. ")
        proxy.cut()
        await lose_tail(eyes, second, 2)  # its start too
        second.writer.append_text("Every day.")
        await until(lambda: proxy.refused)
        proxy.mend()
        await second.writer.finish("stop", None)
        lane = await second.lane()
        assert (str(lane.text), lane.attempt, lane.over) == (WHOLE, 2, True)


@in_loop
async def test_an_attempt_that_was_begun_anew_elsewhere_is_left_to_its_new_worker(valkey: Backend) -> None:
    """Log and queue came back from before the job was taken, and another worker was quicker to take it."""
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        await say(pen, "We ", "open ")
        proxy.cut()
        await lose_tail(eyes, pen, 3)
        turn = pen.turn.turn
        begun = LaneStarted(turn, "full", 1, "w:other")
        await append_now(eyes, pen.turn.session, begun, Delta(turn, "full", 1, 0, "At nine", 0))
        proxy.mend()
        pen.writer.append_text("at nine. Every day.")
        await until(pen.writer.fenced.is_set)
        await append_now(eyes, pen.turn.session, Delta(turn, "full", 1, 7, " we open.", 0))
        assert await pen.text() == "At nine we open."


@pytest.mark.parametrize("command", [b"XREVRANGE", b"XADD"])
@in_loop
async def test_a_check_that_fails_is_made_again(valkey: Backend, command: bytes) -> None:
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        await say(pen, "We ", "open ", "at ", "nine. ")
        proxy.cut()
        await lose_tail(eyes, pen, 2)
        proxy.mend()
        proxy.lose_reply_to(command)
        pen.writer.append_text("Every ")
        await until(lambda: proxy.lost)
        pen.writer.append_text("day.")
        await pen.writer.finish("stop", None)
        assert await pen.text() == WHOLE


@in_loop
async def test_a_restart_is_noticed_though_the_connection_gets_its_old_number(
    mortal: Backend, mortal_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server counts its connections from 1 again."""
    monkeypatch.setattr("workers.lanes.publisher._LOOK_S", 600)  # nobody connects but who writes
    async with open_stores(mortal.settings()) as eyes:
        await _use_up_numbers(mortal, 60)
        async with publishing(mortal) as (publisher, stores):
            pen = await Pen.take(publisher, eyes)
            await say(pen, "We ", "open ", "at ", "nine. ")
            number = await stores.append_connection.client_id()
            mortal_server.kill()
            await asyncio.to_thread(mortal_server.start)
            await eyes.log.connection_pool.disconnect()
            await lose_tail(eyes, pen, 2)
            await _use_up_numbers(mortal, number - 1)
            pen.writer.append_text("Every day.")
            await pen.writer.finish("stop", None)
            assert await stores.append_connection.client_id() == number
            assert await pen.text() == WHOLE


async def _use_up_numbers(backend: Backend, upto: int) -> None:
    """Connect until the server has given a connection this number."""
    number = 0
    while number < upto:
        async with open_stores(backend.settings()) as stores:
            number = await stores.append_connection.client_id()
    assert number == upto


@pytest.mark.parametrize("in_batch", [False, True])
@in_loop
async def test_an_end_that_comes_while_the_log_is_checked_is_waited_for_and_stands(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, in_batch: bool
) -> None:
    async with publishing(valkey.settings(redis_timeout_s=60)) as (publisher, stores):
        pens = [await Pen.take(publisher, stores, name) for name in ("s1", "s2")]
        for pen in pens:
            await say(pen, "We open ")
        await stores.append_connection.connection_pool.disconnect()
        commits = Commits(monkeypatch)
        commits.hold()
        pens[0].writer.append_text("at nine. ")
        if in_batch:
            pens[1].writer.append_text("at nine. ")
        await until(lambda: commits.begun == 1)
        pens[1].writer.append_text("Every day.")
        ends = [asyncio.create_task(pen.writer.finish("stop", None)) for pen in pens]
        commits.let_go()
        _, waiting = await asyncio.wait(ends, timeout=PATIENCE_S)
        assert not waiting
        assert all([(await pen.lane()).over for pen in pens])


@in_loop
async def test_an_end_put_back_of_which_the_reply_was_lost_is_waited_for(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        pens = [await Pen.take(publisher, eyes, name) for name in ("s1", "s2")]
        for pen in pens:
            await say(pen, "We open ")
        proxy.cut()
        proxy.mend()
        commits = Commits(monkeypatch)
        commits.hold()
        pens[0].writer.append_text("at nine. ")
        await until(lambda: commits.begun)
        pens[1].writer.append_text("at nine.")
        ending = asyncio.create_task(pens[1].writer.finish("stop", None))
        await asyncio.sleep(0)
        proxy.lose_reply_to(b"lane.finished")
        commits.let_go()
        await until(lambda: proxy.lost)
        _, waiting = await asyncio.wait([ending], timeout=PATIENCE_S)
        assert not waiting
        lane = await pens[1].lane()
        assert (str(lane.text), lane.over) == ("We open at nine.", True)
