"""The redactor: what was said is masked or dropped in the log, and nothing else of it changes."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from common.events import Delta, LaneFinished, TurnEnded
from common.log import stream
from common.names import SessionRef
from common.records.report import report_turn
from common.sessions.archive import Archive
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, TimedPipeline, TimedRedis
from tests.support.ended_turns import add_turn, in_archive, in_log, keep, open_keeper, put
from tests.support.redaction import MASKED, SAID, add_private, is_listed, look, raw_log, redacting
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop, until
from workers.redaction import rewriting
from workers.redaction.planner import Planner
from workers.redaction.redacted_log import RewritePlan

SESSION = SessionRef("default", "call 7:{a}")
CLEAR = '"23-4"'  # as it stands in the log before
SSE = {"Accept": "text/event-stream"}


@in_loop
async def test_only_the_turns_own_words_change(real: Backend) -> None:
    async with redacting(real.settings()) as (eyes, redactor):
        before = await add_turn(eyes, SESSION)
        turn = await add_private(eyes, SESSION)
        after = await add_private(eyes, SESSION, "redacted", due=False)
        await put(eyes, SESSION, Delta(before.turn, "full", 1, 0, "555 123 4567", 0))
        await eyes.log.pexpireat(keys.log(SESSION), 2_000_000_000_000)
        clear = await raw_log(eyes, SESSION)
        assert await until(redactor.redact) == 1
        kept = await raw_log(eyes, SESSION)
        assert [entry_id for entry_id, _ in kept] == [entry_id for entry_id, _ in clear]
        for (_, then), (_, now) in zip(clear, kept, strict=True):
            assert now == then or (now.keys() == then.keys() and turn.turn in str(then))
        assert not await is_listed(eyes, turn) and not await is_listed(eyes, after)
        assert await eyes.log.execute_command("PEXPIRETIME", keys.log(SESSION)) == 2_000_000_000_000
        reports = {r["id"]: r for t in await Sessions(eyes, None).turns(SESSION) if (r := report_turn(t))}
        told = reports[turn.turn]
        assert (told["text"], told["asked"], told["record"]) == (MASKED, "I am xxxx@xxxxxxx.xxx", "redacted")
        assert told["drift"] is False and reports[after.turn]["text"] == SAID
        assert await eyes.queue.exists(keys.redacting(SESSION)) == 0


@in_loop
async def test_the_log_goes_on_behind_its_last_id_and_knows_what_was_cut(real: Backend) -> None:
    async with redacting(real.settings()) as (eyes, redactor):
        await add_turn(eyes, SESSION)
        whole, cut = SESSION, SessionRef("default", "cut")
        await add_turn(eyes, cut)
        for session in (whole, cut):
            await add_private(eyes, session, "none")
        await eyes.log.xtrim(keys.log(cut), maxlen=13, approximate=False)
        far = f"{eyes.log_clock.now_ms() + 60_000}-5"
        await eyes.log.execute_command("XSETID", keys.log(whole), far)
        lasts = {
            each: (await eyes.log.xinfo_stream(keys.log(each)))["last-generated-id"] for each in (whole, cut)
        }
        assert await until(redactor.redact) == 2
        for session, was_cut in ((whole, False), (cut, True)):
            about = await eyes.log.xinfo_stream(keys.log(session))
            assert about["last-generated-id"] == lasts[session]
            assert await stream.was_cut(eyes, session) is was_cut
            assert await eyes.log.ttl(keys.log(session)) == -1
        assert lasts[whole].decode() == far


@in_loop
async def test_a_dropped_turn_has_no_word_left_and_is_gone_to_clients(real: Backend) -> None:
    async with redacting(real.settings()) as (eyes, redactor), serving(real.settings()) as client:
        turn = await add_private(eyes, SESSION, "none")
        path = f"/v1/sessions/{SESSION.quoted}"
        look_at = await client.get(f"{path}/turns/{turn.turn}", headers=SSE)
        assert look_at.status_code == 200  # it may be gone on with until then
        await look(redactor, eyes)
        left = str(await raw_log(eyes, SESSION))
        assert "555" not in left and "jane" not in left and "delta" not in left
        for headers in (SSE, SSE | {"Last-Event-ID": f"{turn.turn}-4-0"}, {}):
            gone = await client.get(f"{path}/turns/{turn.turn}", headers=headers)
            assert (gone.status_code, gone.json()["error"]["code"]) == (410, "turn_dropped")
        (told,) = (await client.get(path)).json()["turns"]
        assert (told["text"], told["drift"], told["reason"]) == (None, None, "stop")
        assert told["usage"]["sum"]["total_tokens"] == 9 == told["lanes"]["full"]["usage"]["total_tokens"]
        played = await client.get(f"{path}/replay?speed=max")
        assert played.status_code == 200 and b'"ended":"stop"' in played.content


@in_loop
async def test_a_stream_is_gone_on_with_by_its_cursor_after_it_was_masked(real: Backend) -> None:
    async with redacting(real.settings()) as (eyes, redactor):
        turn = await add_private(eyes, SESSION)
        path = f"/v1/sessions/{SESSION.quoted}/turns/{turn.turn}"
        async with serving(real.settings()) as client:
            clear = (await client.get(path, headers=SSE)).content.split(b"\n\n")
        await look(redactor, eyes)
        async with serving(real.settings()) as client:
            cursor = clear[3].partition(b"\n")[0].removeprefix(b"id: ").decode()
            rest = await client.get(path, headers=SSE | {"Last-Event-ID": cursor})
        pieces = [orjson.loads(line[6:]) for line in rest.text.splitlines() if line.startswith("data: {")]
        text = "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces)
        assert text and MASKED.endswith(text) and rest.text.count("id: ") == len(clear) - 1 - 4
        assert "data: [DONE]" in rest.text


@pytest.mark.parametrize("record", ["redacted", "none"])
@in_loop
async def test_what_a_late_worker_writes_is_found_too(real: Backend, record: str) -> None:
    async with redacting(real.settings()) as (eyes, redactor):
        turn = await add_private(eyes, SESSION, record, over=False)
        await look(redactor, eyes)
        assert await is_listed(eyes, turn), "a worker may yet write"
        assert CLEAR not in str(await raw_log(eyes, SESSION))
        await put(eyes, SESSION, Delta(turn.turn, "full", 1, len(SAID), " Or 555 765 4321.", 0))
        await look(redactor, eyes)
        assert "4321" not in str(await raw_log(eyes, SESSION)) and await is_listed(eyes, turn)
        await put(eyes, SESSION, LaneFinished(turn.turn, "full", 1, 99, "cancelled", None, None, 0))
        await look(redactor, eyes)
        assert not await is_listed(eyes, turn)
        await put(eyes, SESSION, Delta(turn.turn, "full", 1, len(SAID), "Jane 555 765 4321.", 0))
        await add_private(eyes, SESSION, record)
        await look(redactor, eyes)
        assert "4321" not in str(await raw_log(eyes, SESSION))


@in_loop
async def test_what_goes_on_meanwhile_is_not_lost(real: Backend) -> None:
    async with redacting(real.settings()) as (eyes, redactor):
        turn = await add_private(eyes, SESSION)
        live = await add_turn(eyes, SESSION, ended=False)
        written = await in_log(eyes, SESSION)

        async def talk() -> None:
            for at in range(100_000):
                written.append(await put(eyes, SESSION, Delta(live.turn, "full", 1, at, "a", 0)))
                await asyncio.sleep(0.002)

        talking = asyncio.create_task(talk())
        await until(lambda: len(written) > 30)
        for _ in range(20):
            await look(redactor, eyes)
        await end(talking)
        while await is_listed(eyes, turn):
            await look(redactor, eyes)
        found = await in_log(eyes, SESSION)
        assert found[: len(written)] == written and len(found) <= len(written) + 1
        assert CLEAR not in str(await raw_log(eyes, SESSION))


@in_loop
async def test_a_busy_log_is_left_for_a_quiet_moment(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "LONG", 5)
    async with redacting(valkey.settings()) as (eyes, redactor):
        turn = await add_private(eyes, SESSION)
        live = await add_turn(eyes, SESSION, ended=False)
        await look(redactor, eyes)
        assert await is_listed(eyes, turn) and CLEAR in str(await raw_log(eyes, SESSION))
        await put(eyes, SESSION, TurnEnded(live.turn, "stop", 0, {}, "", False, None))
        await look(redactor, eyes)
        assert not await is_listed(eyes, turn) and CLEAR not in str(await raw_log(eyes, SESSION))


@in_loop
async def test_members_of_no_use_go(valkey: Backend) -> None:
    async with redacting(valkey.settings()) as (eyes, redactor):
        kept = await add_private(eyes, SESSION, "full")
        gone = f"default:other:{kept.turn}"
        await eyes.queue.zadd(keys.REDACTING, {"x": 1, "default:s:a:full:1": 1, gone: 1})
        clear = await raw_log(eyes, SESSION)
        await look(redactor, eyes)
        assert await eyes.queue.zcard(keys.REDACTING) == 0
        assert await raw_log(eyes, SESSION) == clear


@in_loop
async def test_two_redactors_share_the_work(real: Backend) -> None:
    async with redacting(real.settings()) as (eyes, one), redacting(real.settings()) as (_, other):
        turns = [await add_private(eyes, SessionRef("default", f"s{n}")) for n in range(12)]
        looked = sum(await asyncio.gather(one.redact(), other.redact()))
        assert looked >= len(turns) and await eyes.queue.zcard(keys.REDACTING) == 0
        for turn in turns:
            assert CLEAR not in str(await raw_log(eyes, turn.session))


@in_loop
async def test_a_session_that_another_holds_is_his(valkey: Backend) -> None:
    async with redacting(valkey.settings()) as (eyes, redactor):
        held = await add_private(eyes, SESSION)
        free = await add_private(eyes, SessionRef("default", "free"))
        await eyes.queue.set(keys.redacting(SESSION), "w:2", px=30_000)
        assert await look(redactor, eyes) == 1
        assert await is_listed(eyes, held) and CLEAR in str(await raw_log(eyes, SESSION))
        assert not await is_listed(eyes, free) and CLEAR not in str(await raw_log(eyes, free.session))
        assert await eyes.queue.get(keys.redacting(SESSION)) == b"w:2"


@pytest.mark.parametrize(
    ("outcome", "again_ms"),
    [(RewritePlan(), 5_000), (RewritePlan(busy=True), 1_000), (OSError(), 5_000), (RuntimeError(), 60_000)],
    ids=["a worker may yet write", "much goes on", "the store is away", "a bug"],
)
@in_loop
async def test_what_is_not_done_yet_is_looked_at_again_and_not_before(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, outcome: RewritePlan | Exception, again_ms: int
) -> None:
    async def rewrite(*_: Any) -> RewritePlan:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("workers.redaction.redactor.rewrite_log", rewrite)
    async with redacting(valkey.settings()) as (eyes, redactor):
        turn = await add_private(eyes, SESSION)
        before_ms = eyes.queue_clock.now_ms()
        await until(redactor.redact)  # two processes know one server's clock by estimate
        after_ms, again = eyes.queue_clock.now_ms(), await eyes.queue.zscore(keys.REDACTING, str(turn))
        assert again and before_ms - 100 <= again - again_ms <= after_ms + 100  # two clocks of one server
        looked = await redactor.redact()
        assert not looked or eyes.queue_clock.now_ms() >= again - 100, "it was looked at before its time"


@in_loop
async def test_a_turn_that_is_gone_meanwhile_is_not_listed_again(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with redacting(valkey.settings()) as (eyes, redactor):
        turn = await add_private(eyes, SESSION)

        async def rewrite(*_: Any) -> RewritePlan:
            await eyes.queue.zrem(keys.REDACTING, str(turn))  # its session is deleted
            return RewritePlan()

        monkeypatch.setattr("workers.redaction.redactor.rewrite_log", rewrite)
        assert await until(redactor.redact) == 1
        assert not await is_listed(eyes, turn)


@in_loop
async def test_killed_at_any_step_it_is_done_by_the_next(
    two_servers: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with redacting(two_servers.settings()) as (eyes, _):
        for die_at in range(1, 40):
            session = SessionRef("default", f"call {die_at}")
            turn = await add_private(eyes, session)
            ids = await in_log(eyes, session)
            async with redacting(two_servers.settings()) as (_, dying):
                with monkeypatch.context() as patched:
                    died = _die_at(patched, die_at)
                    tasks = [asyncio.create_task(work) for work in (dying.redact(), died.wait())]
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    await end(*tasks)
            assert await in_log(eyes, session) == ids
            await eyes.queue.delete(keys.redacting(session))  # its time comes
            async with redacting(two_servers.settings()) as (_, next_one):
                await look(next_one, eyes)
            assert not await is_listed(eyes, turn) and CLEAR not in str(await raw_log(eyes, session))
            assert await in_log(eyes, session) == ids
            if not died.is_set():
                break
        assert 6 < die_at < 39, "it was killed at none of its steps, or never came to an end"


# Held until the loop ends: a task that waits for what nobody holds may be swept away, with a complaint.
_STANDING_STILL: list[asyncio.Event] = []


def _die_at(patched: pytest.MonkeyPatch, step: int) -> asyncio.Event:
    """Let all stand still behind so many calls to the stores, the last of which is made."""
    died, done, forever = asyncio.Event(), 0, asyncio.Event()
    _STANDING_STILL.append(forever)

    def over(call: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done <= step:
                answer = await call(*args, **kwargs)
            if done < step:
                return answer
            died.set()
            return await forever.wait()

        return wrapped

    for kind, name in (
        (TimedRedis, "execute_command"),
        (TimedPipeline, "execute"),
        (TimedPipeline, "immediate_execute_command"),
    ):
        patched.setattr(kind, name, over(getattr(kind, name)))
    return died


# What is yet to be rewritten stays in the log.


@in_loop
async def test_a_session_is_archived_when_it_is_masked_and_not_before(real: Backend) -> None:
    url = f"memory://{secrets.token_hex(4)}"
    settings = real.settings(archive_url=url, archive_after_s=0)
    async with redacting(settings) as (eyes, redactor), open_keeper(settings) as keeper:
        turn = await add_private(eyes, SESSION, over=False)
        archive = Archive(url)
        await keep(keeper, eyes)
        assert await in_archive(archive, SESSION) == []
        await look(redactor, eyes)
        await keep(keeper, eyes)
        assert await in_archive(archive, SESSION) == [], "a worker may yet write"
        await put(eyes, SESSION, LaneFinished(turn.turn, "full", 1, 0, "cancelled", None, None, 0))
        await look(redactor, eyes)
        await keep(keeper, eyes)
        lines = b"".join(await archive.read(SESSION))
        assert await in_log(eyes, SESSION) == []
        assert b"xxxx@xxxxxxx" in lines and CLEAR.encode() not in lines and b"4567" not in lines


@in_loop
async def test_what_was_never_listed_is_listed_by_who_would_trim_it(real: Backend) -> None:
    settings = real.settings(retention_events=3)
    async with redacting(settings) as (eyes, redactor), open_keeper(settings) as keeper:
        turn = await add_private(eyes, SESSION, due=False)
        await add_turn(eyes, SESSION)
        clear = await in_log(eyes, SESSION)
        await keep(keeper, eyes)
        assert await in_log(eyes, SESSION) == clear and await is_listed(eyes, turn)
        await look(redactor, eyes)
        await keep(keeper, eyes)
        assert len(await in_log(eyes, SESSION)) == 2


@in_loop
async def test_who_lists_a_turn_late_takes_no_earlier_time_away(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever settles it lists it sooner, perhaps just then."""
    settings = valkey.settings(retention_events=3)
    async with redacting(settings) as (eyes, _), open_keeper(settings) as keeper:
        late = await add_private(eyes, SESSION, due=False)
        settled = await add_private(eyes, SessionRef("default", "settled"), due=False)
        look_up = keeper._stores.queue.zmscore

        async def settle_then(key: str, members: list[str]) -> Any:
            scores = await look_up(key, members)
            if str(settled) in members:
                await eyes.queue.zadd(keys.REDACTING, {str(settled): 1})
            return scores

        monkeypatch.setattr(keeper._stores.queue, "zmscore", settle_then)
        before_ms = eyes.queue_clock.now_ms()
        await keep(keeper, eyes)
        assert await eyes.queue.zscore(keys.REDACTING, str(settled)) == 1
        again = await eyes.queue.zscore(keys.REDACTING, str(late))
        assert again and again >= before_ms + 60_000 - 100


@in_loop
async def test_it_redacts_by_itself_and_outlives_a_bug(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = SessionRef("default", "broken")
    rewrite = rewriting.rewrite_log

    async def break_one(
        stores: Stores, planner: Planner, session: SessionRef, turns: set[str]
    ) -> RewritePlan:
        if session == broken:
            raise RuntimeError("a bug")
        return await rewrite(stores, planner, session, turns)

    async def is_done() -> bool:
        return not await is_listed(eyes, turn)

    monkeypatch.setattr("workers.redaction.redactor.rewrite_log", break_one)
    async with redacting(valkey.settings()) as (eyes, redactor):
        poor, turn = await add_private(eyes, broken), await add_private(eyes, SESSION)
        running = asyncio.create_task(redactor.run())
        await until(is_done)
        await end(running)
        assert await is_listed(eyes, poor) and "could not redact a session" in caplog.text
        assert "555" not in caplog.text
