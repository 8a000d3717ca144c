"""The publisher: what its lanes say stands in the log once, in order, in few round trips."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from common.events import Delta, Extra, LaneFinished, LaneStarted, ToolPart
from common.log.stream import append_now
from common.store import keys
from tests.support.held_commits import Commits
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events, subscribed
from tests.support.waiting import in_loop, until
from tests.support.writers import Pen, publishing


@in_loop
async def test_a_word_is_appended_at_once(backend: Backend) -> None:
    async with publishing(backend) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        pen.writer.append_text("Hello")
        await until(lambda: count(stores, pen.turn, Delta))
        assert await pen.text() == "Hello"


@in_loop
async def test_what_comes_while_a_commit_is_on_its_way_goes_as_one(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with publishing(backend.settings(redis_timeout_s=60)) as (publisher, stores):
        pens = [await Pen.take(publisher, stores, f"s{number}") for number in range(30)]
        commits = Commits(monkeypatch)
        commits.hold()
        pens[0].writer.append_text("first ")
        await until(lambda: commits.begun == 1)
        for word in range(20):
            for pen in pens:
                pen.writer.append_text(f"{word} ")
        assert commits.begun == 1
        commits.let_go()
        wanted = "".join(f"{word} " for word in range(20))
        for pen in pens[1:]:
            await until(lambda pen=pen: count(stores, pen.turn, Delta, text=wanted))
        assert commits.begun == 2
        assert await pens[0].text() == "first " + wanted
        for pen in pens:
            assert await count(stores, pen.turn, Delta) == (2 if pen is pens[0] else 1)


@in_loop
async def test_many_writers_share_round_trips(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with publishing(real.settings(redis_timeout_s=60)) as (publisher, stores):
        pens = [await Pen.take(publisher, stores, f"s{number}") for number in range(25)]
        commits = Commits(monkeypatch)

        async def speak(pen: Pen) -> None:
            for word in range(40):
                pen.writer.append_text(f"{word} ")
                await asyncio.sleep(0)
            await pen.writer.finish("stop", None)

        await asyncio.gather(*map(speak, pens))
        wanted = "".join(f"{word} " for word in range(40))
        assert [await pen.text() for pen in pens] == [wanted] * 25
        assert commits.begun < 25 * 40 / 4


@in_loop
async def test_different_kinds_keep_their_order(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with publishing(backend.settings(redis_timeout_s=60)) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        commits = Commits(monkeypatch)
        commits.hold()
        pen.writer.append_text("0")
        await until(lambda: commits.begun == 1)
        pen.writer.append_text("a")
        pen.writer.append_text("b")
        pen.writer.append_tool_call(0, "c1", "find", '{"q":')
        pen.writer.append_extra({"logprobs": 1})
        pen.writer.append_text("c")
        pen.writer.append_tool_call(0, "", "", '"x"}')
        pen.writer.append_tool_call(1, "c2", "ring", "{}")
        pen.writer.append_extra({"logprobs": 2})
        ending = asyncio.create_task(pen.writer.finish("tool_calls", {"total_tokens": 3}))
        commits.let_go()
        await ending
        said = (await events(stores, pen.turn))[2:]
        assert [(type(e), _gist(e)) for e in said] == [
            (Delta, (0, "0")),
            (Delta, (1, "ab")),
            (ToolPart, (0, 0, "c1", "find", '{"q":', {})),
            (Extra, (0, {"logprobs": 1})),
            (Delta, (3, "c")),
            (ToolPart, (0, 5, "", "", '"x"}', {})),
            (ToolPart, (1, 0, "c2", "ring", "{}", {})),
            (Extra, (1, {"logprobs": 2})),
            (LaneFinished, (4, "tool_calls", {"total_tokens": 3}, None)),
        ]


@in_loop
async def test_finish_waits_until_the_end_stands_in_the_log(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with publishing(backend.settings(redis_timeout_s=60)) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        commits = Commits(monkeypatch)
        commits.hold()
        pen.writer.append_text("word")
        await until(lambda: commits.begun == 1)
        ending = asyncio.create_task(pen.writer.finish("stop", None))
        await asyncio.sleep(0)
        commits.let_one_go()  # the word's: it must not pass for the end's
        await until(lambda: commits.begun == 2)
        assert not ending.done()
        assert await count(stores, pen.turn, LaneFinished) == 0
        commits.let_one_go()
        await ending
        assert await count(stores, pen.turn, LaneFinished) == 1


@in_loop
async def test_a_deleted_session_ends_its_writers_and_stays_deleted(backend: Backend) -> None:
    async with publishing(backend) as (publisher, stores):
        pen, other = [await Pen.take(publisher, stores, name) for name in ("s1", "s2")]
        await stores.log.delete(keys.log(pen.turn.session))
        pen.writer.append_text("word")
        other.writer.append_text("word")
        await until(pen.writer.fenced.is_set)
        await pen.writer.finish("stop", None)
        await other.writer.finish("stop", None)
        assert not other.writer.fenced.is_set()
        assert not await stores.log.exists(keys.log(pen.turn.session))
        assert await other.text() == "word"


@in_loop
async def test_finish_does_not_wait_for_a_log_that_is_gone(backend: Backend) -> None:
    async with publishing(backend) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        await stores.log.delete(keys.log(pen.turn.session))
        await pen.writer.finish("stop", None)
        assert pen.writer.fenced.is_set()


@in_loop
async def test_a_later_attempt_goes_on_from_the_text_before_it(backend: Backend) -> None:
    async with publishing(backend) as (publisher, stores):
        first = await Pen.take(publisher, stores)
        first.writer.append_text("We open ")
        await until(lambda: count(stores, first.turn, Delta))
        second = await first.next_attempt()
        first.writer.append_text("at noon, I think")  # the zombie
        second.writer.append_text("at nine.")
        await second.writer.finish("stop", None)
        assert await first.text() == "We open at nine."


@in_loop
async def test_a_closed_writer_is_forgotten(backend: Backend) -> None:
    async with publishing(backend) as (publisher, stores):
        pens = [await Pen.take(publisher, stores, f"s{number}") for number in range(3)]
        for pen in pens:
            pen.writer.append_text("word")
            await pen.writer.finish("stop", None)
            publisher.close(pen.writer)
        assert not publisher._open
        assert not publisher._waiting


@pytest.mark.parametrize(
    "text", ["né\u2028\x00", "\U0001f468\u200d\U0001f469", "\r\n\r\n", '"\\', "x" * 70_000]
)
@in_loop
async def test_any_text_comes_back_as_it_was(backend: Backend, text: str) -> None:
    async with publishing(backend) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        for character in text if len(text) < 100 else (text,):
            pen.writer.append_text(character)
        await pen.writer.finish("stop", None)
        assert await pen.text() == text


@in_loop
async def test_readers_are_woken(real: Backend) -> None:
    async with publishing(real) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        async with aclosing(stores.queue.pubsub(ignore_subscribe_messages=True)) as listening:
            await listening.subscribe(keys.wake(pen.turn.session))
            await until(lambda: subscribed(stores, keys.wake(pen.turn.session)))
            for number in range(3):
                pen.writer.append_text(f"{number} ")
                message = await until(lambda: listening.get_message(timeout=0.1))
                assert message["channel"].decode() == keys.wake(pen.turn.session)
                assert await count(stores, pen.turn, Delta) == number + 1


@in_loop
async def test_another_workers_attempt_is_not_disturbed(backend: Backend) -> None:
    """Entries of a lane that this worker doesn't hold stay as they are."""
    async with publishing(backend) as (publisher, stores):
        pen = await Pen.take(publisher, stores)
        other = LaneStarted(pen.turn.turn, "draft", 1, "w:other")
        await append_now(stores, pen.turn.session, other, Delta(pen.turn.turn, "draft", 1, 0, "Hm.", 0))
        pen.writer.append_text("word")
        await pen.writer.finish("stop", None)
        assert await count(stores, pen.turn, Delta, lane="draft") == 1


def _gist(event: Any) -> tuple[Any, ...]:
    """What an event says beside who says it when."""
    common = ("turn", "lane", "attempt", "ms")
    return tuple(getattr(event, name) for name in event.__slots__ if name not in common)
