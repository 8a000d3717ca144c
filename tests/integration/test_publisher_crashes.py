"""The publisher while connections, servers and their last entries get lost: the log tells the whole text."""

import asyncio

import pytest

from common.events import Delta, LaneFinished, LaneStarted
from common.log.stream import append_now
from common.store import keys
from common.store.redis import open_stores
from common.turn.lane_state import ToolCallState
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.stored_turns import count
from tests.support.tcp_proxy import queue_behind_proxy
from tests.support.waiting import in_loop, until
from tests.support.writers import Pen, behind_proxy, lose_tail, publishing, say

WHOLE = "We open at nine. Every day."
CALLS = {0: ToolCallState("c1", "find", '{"q": "x"}'), 1: ToolCallState("c2", "ring", "{}")}
EXTRAS = [{"logprobs": 1}, {"logprobs": 2}]


@in_loop
async def test_text_of_which_the_reply_was_lost_is_told_once(real: Backend) -> None:
    async with behind_proxy(real) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        await say(pen, "We ", "open ")
        proxy.lose_reply_to(b"XADD")
        pen.writer.append_text("at ")
        await until(lambda: proxy.lost)
        pen.writer.append_text("nine. ")
        pen.writer.append_text("Every day.")
        await pen.writer.finish("stop", None)
        assert await pen.text() == WHOLE


@in_loop
async def test_calls_and_extras_of_which_the_reply_was_lost_are_told_once(real: Backend) -> None:
    async with behind_proxy(real) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        writer = pen.writer
        for losing in range(3):
            proxy.lose_reply_to(b"XADD")
            if losing == 0:
                writer.append_tool_call(0, "c1", "find", '{"q": ')
                writer.append_extra(EXTRAS[0])
            elif losing == 1:
                writer.append_tool_call(0, "", "", '"x"}')
                writer.append_tool_call(1, "c2", "ring", "{}")
            else:
                writer.append_extra(EXTRAS[1])
                writer.append_text(WHOLE)
            await until(lambda losing=losing: proxy.lost > losing)
        await writer.finish("tool_calls", None)
        lane = await pen.lane()
        assert (lane.calls, lane.extras, str(lane.text)) == (CALLS, EXTRAS, WHOLE)


@in_loop
async def test_an_end_of_which_the_reply_was_lost_is_waited_for(real: Backend) -> None:
    async with behind_proxy(real) as (proxy, publisher, eyes):
        pen = await Pen.take(publisher, eyes)
        await say(pen, WHOLE)
        proxy.lose_reply_to(b"XADD")
        await pen.writer.finish("length", {"total_tokens": 9}, None)
        assert proxy.lost == 1
        lane = await pen.lane()
        assert lane.text == WHOLE
        assert lane.finished and (lane.finished.reason, lane.finished.usage) == (
            "length",
            {"total_tokens": 9},
        )


@in_loop
async def test_what_is_said_while_the_log_is_away_is_told_when_it_is_back(real: Backend) -> None:
    async with behind_proxy(real) as (proxy, publisher, eyes):
        pens = [await Pen.take(publisher, eyes, f"s{number}") for number in range(8)]
        for pen in pens:
            await say(pen, "We open ")
        proxy.cut()
        for pen in pens:
            pen.writer.append_text("at nine. ")
        await until(lambda: proxy.refused > 1)
        for pen in pens:
            pen.writer.append_tool_call(0, "c1", "find", "{}")
            pen.writer.append_text("Every day.")
        ends = [asyncio.create_task(pen.writer.finish("stop", None)) for pen in pens]
        refused = proxy.refused
        await until(lambda: proxy.refused > refused)
        assert not any(end.done() for end in ends)
        proxy.mend()
        await asyncio.gather(*ends)
        for pen in pens:
            lane = await pen.lane()
            assert (str(lane.text), lane.calls) == (WHOLE, {0: ToolCallState("c1", "find", "{}")})
            assert lane.over


@in_loop
async def test_a_server_killed_on_the_way_costs_no_text(mortal: Backend, mortal_server: ValkeyServer) -> None:
    async with publishing(mortal) as (publisher, _), open_stores(mortal.settings()) as eyes:
        pens = [await Pen.take(publisher, eyes, f"s{number}") for number in range(4)]
        for round_ in range(2):
            for pen in pens:
                await say(pen, f"{round_} before ")
            mortal_server.kill()
            for pen in pens:
                pen.writer.append_text("meanwhile ")
            mortal_server.start()
            await eyes.log.connection_pool.disconnect()
            for pen in pens:
                pen.writer.append_text("after. ")
                pen.writer.append_extra({"round": round_})
                await until(lambda pen=pen, r=round_: _has_extra(pen, r))
        await asyncio.gather(*(pen.writer.finish("stop", None) for pen in pens))
        for pen in pens:
            lane = await pen.lane()
            assert lane.text == "0 before meanwhile after. 1 before meanwhile after. "
            assert lane.extras == [{"round": 0}, {"round": 1}]


async def _has_extra(pen: Pen, round_: int) -> bool:
    return {"round": round_} in (await pen.lane()).extras


@pytest.mark.parametrize("why", ["deleted", "fenced", "turn lost"])
@in_loop
async def test_after_an_outage_a_lane_that_is_not_ours_any_more_is_left(valkey: Backend, why: str) -> None:
    async with behind_proxy(valkey) as (proxy, publisher, eyes):
        pen, other = [await Pen.take(publisher, eyes, name) for name in ("s1", "s2")]
        await say(pen, "We open ")
        proxy.cut()
        if why == "deleted":
            await eyes.log.delete(keys.log(pen.turn.session))
        elif why == "fenced":
            await append_now(eyes, pen.turn.session, LaneStarted(pen.turn.turn, "full", 2, "w:2"))
        else:
            await lose_tail(eyes, pen, 9)
        pen.writer.append_text("at noon, I think.")
        other.writer.append_text(WHOLE)
        await until(lambda: proxy.refused)
        proxy.mend()
        await until(pen.writer.fenced.is_set)
        await pen.writer.finish("stop", None)
        await other.writer.finish("stop", None)
        assert await other.text() == WHOLE and not other.writer.fenced.is_set()
        if why == "deleted":
            assert not await eyes.log.exists(keys.log(pen.turn.session))
        elif why == "fenced":
            lane = await pen.lane()
            assert (str(lane.text), lane.over) == ("We open ", False)


@in_loop
async def test_a_queue_server_that_is_away_neither_delays_nor_repeats_the_text(two_servers: Backend) -> None:
    async with (
        open_stores(two_servers.settings()) as eyes,
        queue_behind_proxy(two_servers) as (proxy, settings),
        publishing(settings) as (publisher, _),
    ):
        pen = await Pen.take(publisher, eyes)
        await say(pen, "begin ")
        proxy.cut()
        words = [f"{number} " for number in range(12)]
        await say(pen, *words)
        await pen.writer.finish("stop", None)
        assert proxy.refused
        assert await pen.text() == "begin " + "".join(words)
        assert await count(eyes, pen.turn, Delta) == 13
        assert await count(eyes, pen.turn, LaneFinished) == 1
