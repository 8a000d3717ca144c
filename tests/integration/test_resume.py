"""A turn gone on with at another replica: from any place, by many, and what is said where that can't be."""

import asyncio
from typing import Any

import pytest

from api.turns.starter import PlannedTurn
from common.events import Delta, TurnEnded, TurnStarted
from common.log.reader import LogReader
from common.log.stream import append_now
from common.names import SessionRef, TurnRef
from common.sessions.archive import Archive
from common.sessions.deletion import delete_session
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from common.turn.turn_log import TurnLog
from tests.support.following import hear, over
from tests.support.replicas import SSE, Answer, asked, cursor, hear_rest, resumed, two_replicas
from tests.support.scripted_model import Scripted, answer, words
from tests.support.served_api import code_of
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events, forget_jobs, job, lines_of, start, turn_entries
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_workers

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event


@in_loop
async def test_a_live_turn_cut_anywhere_is_whole_at_another_replica(real: Backend) -> None:
    settings, spoken = real.settings(), asyncio.Event()
    model = Scripted(
        draft=[answer("Let me see.")], full=[[*words("We open at nine."), spoken, *answer(" Every day.")]]
    )
    async with two_replicas(settings, model) as two:
        ours = {"lanes": True, "policy": {"handoff": {"join": "append"}}}
        options = {"stream_options": {"include_usage": True}, "fast_reply": ours}
        async with asked(two.first, **options) as whole:
            early = list(await whole.read(b"nine."))
            places = [b"", *map(cursor, early)]
            resuming = [
                asyncio.create_task(hear_rest(two.second, whole.path, place))
                for place in places
                for _ in "12"
            ]
            stalled = two.second.stream("GET", whole.path, headers=SSE)
            response = await stalled.__aenter__()  # and reads nothing: that holds nobody up
            spoken.set()
            frames = await whole.read()
            rests = await asyncio.gather(*resuming)
            assert rests == [frames[cut:] for cut in range(len(places)) for _ in "12"]
            assert await Answer(response).read() == frames
            await stalled.__aexit__(None, None, None)
        for cut, frame in enumerate(frames[:-1], start=1):  # and once it is over
            assert await hear_rest(two.second, whole.path, cursor(frame)) == frames[cut:]
        await until(lambda: count(two.stores, whole.turn, TurnEnded))


@in_loop
async def test_after_the_end_there_is_nothing_more_for_a_browser(valkey: Backend) -> None:
    async with two_replicas(valkey.settings(), Scripted(full=[answer(WHOLE)])) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            frames = await whole.read()
        after = cursor(frames[-1]).decode()
        for where in (
            {"headers": SSE | {"Last-Event-ID": after}},
            {"headers": SSE, "params": {"after": after}},
        ):
            reply = await two.second.get(whole.path, **where)  # type: ignore[arg-type]
            assert (reply.status_code, reply.content) == (204, b"")
        reply = await two.second.get(
            whole.path, headers=SSE | {"Last-Event-ID": after}, params={"after": cursor(frames[0]).decode()}
        )
        assert reply.status_code == 204
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        length = await two.stores.log.xlen(keys.log(whole.session))
        raw = (await two.second.get(whole.path, headers=SSE)).content
        assert raw == b"retry: 500\n" + b"\n\n".join(frames) + b"\n\n"
        assert await two.stores.log.xlen(keys.log(whole.session)) == length


@in_loop
async def test_a_turn_can_be_looked_at(valkey: Backend) -> None:
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with two_replicas(valkey.settings(), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            told = (await two.second.get(whole.path)).json()
            assert (told["object"], told["status"], told["text"]) == ("turn", "live", "We open")
            spoken.set()
            await whole.read()
        told = (await two.second.get(whole.path)).json()
        assert (told["id"], told["status"], told["reason"]) == (whole.turn.turn, "ended", "stop")
        assert told["answer"]["choices"][0]["message"]["content"] == "We open at nine."


@in_loop
async def test_each_reason_for_not_going_on_has_its_answer(valkey: Backend) -> None:
    settings = valkey.settings()
    async with two_replicas(settings, Scripted(full=[answer(WHOLE), [*words("We open"), HELD()]])) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            frames = await whole.read()
        path, turn = whole.path, whole.turn.turn

        async def refused(path: str, after: str = "") -> tuple[int, str]:
            return code_of(
                await two.second.get(path, headers=SSE, params={"after": after} if after else None)
            )

        assert await refused(path, "nonsense") == (400, "invalid_cursor")
        assert await refused(path, f"bbbbbbbbbbbb-{cursor(frames[0]).decode().partition('-')[2]}") == (
            400,
            "cursor_of_another_turn",
        )
        for past in (f"{turn}-99999-0", f"{turn}-1-99"):
            assert await refused(path, past) == (400, "cursor_past_end")
        for name in ("bbbbbbbbbbbb", "B" * 12, "a%3A" + "b" * 9):
            assert await refused(f"/v1/sessions/s1/turns/{name}") == (404, "turn_not_found")
        async with asked(two.first, useProgressiveResponse=False, session_id="live") as live:
            await live.read(b"open")
            assert await refused(live.path, f"{live.turn.turn}-99-0") == (400, "cursor_past_end")
        unknown = await two.second.get(f"/v1/sessions/other/turns/{turn}", headers=SSE)
        await delete_session(two.stores, None, whole.session)
        deleted = await two.second.get(path, headers=SSE)
        assert code_of(unknown) == (404, "session_not_found")
        assert unknown.content == deleted.content and unknown.status_code == deleted.status_code


@in_loop
async def test_a_replica_that_lags_reads_on_before_it_judges(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *words(" at nine."), HELD()]])
    async with (
        two_replicas(valkey.settings(reread_s=600), model) as two,
        asked(two.first, useProgressiveResponse=False) as whole,
        resumed(two.second, whole.path) as other,
    ):
        await whole.read(b"open")
        await other.read(b"open")
        monkeypatch.setattr(LogReader, "_wake", lambda *_: None)
        spoken.set()
        await until(lambda: _said(two.stores, whole.turn, " nine."))
        async with resumed(two.second, whole.path, f"{whole.turn.turn}-16-0".encode()):
            pass
        reply = await two.first.post(f"{whole.path}/interrupt", json={"heard_chars": 16})
        assert reply.status_code == 200
        monkeypatch.undo()


@pytest.mark.parametrize("why", ["trimmed", "expired"])
@in_loop
async def test_a_turn_that_is_no_longer_kept_is_gone(backend: Backend, why: str) -> None:
    settings = backend.settings()
    async with two_replicas(settings, Scripted(full=[answer(WHOLE)])) as two:
        turns = []
        for _ in range(2):
            async with asked(two.first, useProgressiveResponse=False) as whole:
                await whole.read()
            await until(lambda whole=whole: count(two.stores, whole.turn, TurnEnded))
            turns.append(whole)
        log = keys.log(whole.session)
        if why == "trimmed":
            start = (await turn_entries(two.stores, turns[1].turn))[0].id
            await two.stores.log.xtrim(log, minid=start, approximate=False)
            assert (await two.second.get(turns[1].path)).status_code == 200
        else:
            await two.stores.log.delete(log)
        assert code_of(await two.second.get(turns[0].path)) == (410, "turn_gone")
        if why == "expired":
            assert code_of(await two.second.post("/v1/sessions/s1/cancel")) == (410, "turn_gone")


@in_loop
async def test_an_archived_turn_is_given_again(valkey: Backend, tmp_path: Any) -> None:
    settings = valkey.settings(archive_url=str(tmp_path))
    async with two_replicas(settings, Scripted(full=[answer(WHOLE)])) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            frames = await whole.read()
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        lines = await lines_of(two.stores, whole.session)
        await Archive(str(tmp_path)).write(whole.session, lines)
        await two.stores.log.delete(keys.log(whole.session))
        for cut, frame in enumerate(frames[:-1], start=1):
            assert await hear_rest(two.second, whole.path, cursor(frame)) == frames[cut:]
        told = (await two.second.post("/v1/sessions/s1/cancel")).json()
        assert (told["id"], told["reason"]) == (whole.turn.turn, "stop")
        assert not await two.stores.log.exists(keys.log(whole.session))
        refused = await two.second.post(f"{whole.path}/interrupt", json={"heard_chars": 3})
        assert code_of(refused) == (410, "turn_gone")


@in_loop
async def test_a_turn_of_another_version_is_refused_for_now(valkey: Backend) -> None:
    settings = valkey.settings()
    async with two_replicas(settings, Scripted(full=[answer(WHOLE)])) as two:
        session = SessionRef("default", "s2")
        lanes = {"full": {"model": "full"}}
        started = TurnStarted("aaaaaaaaaaaa", "fast-reply", {}, {}, lanes, "off", 1, 999)
        await two.stores.queue.zadd(keys.sessions("default"), {"s2": 1})
        await two.stores.log.xadd(keys.log(session), {"x": "{}"})
        await append_now(two.stores, session, started)
        reply = await two.second.get("/v1/sessions/s2/turns/aaaaaaaaaaaa", headers=SSE)
        assert code_of(reply) == (503, "turn_of_another_version")
        assert reply.headers["retry-after"]


@in_loop
async def test_a_turn_whose_jobs_were_never_put_gets_them(two_servers: Backend) -> None:
    """Its replica died between the log's server and the queue's."""
    settings = two_servers.settings()
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        turn = await start(stores, settings)
        await forget_jobs(stores, job(turn))
    async with open_workers(settings, Scripted(full=[answer(WHOLE)])), open_api(settings) as api:
        live = await api.turns.attach(turn)
        assert (await hear(live))[0] == WHOLE
        await over(api, live)


@in_loop
async def test_those_who_come_at_once_share_one_turn(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[TurnRef] = []
    turn = Sessions.turn

    async def reading(self: Sessions, ref: TurnRef) -> TurnLog | None:
        reads.append(ref)
        return await turn(self, ref)

    monkeypatch.setattr(Sessions, "turn", reading)
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with (
        open_workers(valkey.settings(), model),
        open_api(valkey.settings()) as api,
        open_api(valkey.settings()) as other,
    ):
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs))
        impatient = asyncio.create_task(other.turns.attach(live.turn))
        await asyncio.sleep(0)
        impatient.cancel()  # whoever leaves takes nothing from the others
        found = await asyncio.gather(*(other.turns.attach(live.turn) for _ in range(20)))
        assert len(reads) == 1 and len(set(map(id, found))) == 1
        (followed,) = other.reader._sessions.values()
        assert len(followed.listeners) == 1
        hearing = [asyncio.create_task(hear(each)) for each in found]
        spoken.set()
        assert {(await each)[0] for each in hearing} == {"We open at nine."}
        await over(api, live)
        await until(lambda: not other.turns._live and not other.reader._sessions)


@in_loop
async def test_who_joins_a_turn_that_is_being_started_gets_the_same(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry may hear of the turn from the log before its start is answered."""
    settings, joined = valkey.settings(), asyncio.Event()
    async with open_workers(settings, Scripted(full=[answer(WHOLE)])), open_api(settings) as api:
        write, begun = api.starter.commit, list[TurnRef]()

        async def slow(planned: PlannedTurn, *rest: Any, **also: Any) -> Any:
            entry = await write(planned, *rest, **also)
            begun.append(planned.turn)
            await joined.wait()
            return entry

        monkeypatch.setattr(api.starter, "commit", slow)
        starting = asyncio.create_task(api.start.run(ask(drafting=False)))
        await until(lambda: begun)
        joining = asyncio.create_task(api.turns.attach(begun[0]))
        await asyncio.sleep(0)
        joined.set()
        assert await joining is await starting
        await over(api, await starting)


async def _said(stores: Stores, turn: TurnRef, words: str) -> bool:
    return any(isinstance(e, Delta) and e.text.endswith(words) for e in await events(stores, turn))
