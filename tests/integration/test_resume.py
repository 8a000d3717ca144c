"""A turn gone on with at another replica: from any place, by many, and what is said where that can't be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from following import hear, over
from parts import ask, open_api, open_workers
from reading_turns import count, events, forget_jobs, heard, job, lines_of, start
from scripted import Scripted, answer, words
from serving import serving
from store_servers import Backend
from waiting import end, in_loop, until

from api.followers import Followers
from common import keys
from common.archive import Archive
from common.deletion import delete_session
from common.events import Delta, Entry, TurnEnded, TurnInterrupted, TurnStarted
from common.keys import SessionRef, TurnRef
from common.log import append_now, read_turn
from common.reader import LogReader
from common.sessions import Sessions
from common.settings import Settings
from common.stores import Stores, open_stores

WHOLE = "We open at nine. Every day."
HELD = asyncio.Event
CHAT = "/v1/chat/completions"
SSE = {"Accept": "text/event-stream"}


@dataclass
class Two:
    """Two replicas as their clients see them, and eyes on the stores."""

    first: httpx.AsyncClient
    second: httpx.AsyncClient
    stores: Stores


@asynccontextmanager
async def two_replicas(settings: Settings, model: Scripted) -> AsyncIterator[Two]:
    async with (
        open_workers(settings, model),
        serving(settings) as first,
        serving(settings) as second,
        open_stores(settings) as stores,
    ):
        await stores.sync_clocks()
        yield Two(first, second, stores)


class Answer:
    """A stream of one turn, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.session = SessionRef("default", response.headers["x-session-id"])
        self.turn = TurnRef(self.session, response.headers["x-turn-id"])
        self.path = f"/v1/sessions/{self.session.session}/turns/{self.turn.turn}"
        self.frames: list[bytes] = []
        self._pieces = response.aiter_bytes()
        self._rest = b""

    async def read(self, enough: bytes | None = None) -> list[bytes]:
        """The events up to the one that holds this, or to the end."""
        while enough is None or not any(enough in frame for frame in self.frames):
            piece = await anext(self._pieces, None)
            if piece is None:
                assert enough is None and not self._rest, "the stream ended early"
                break
            *frames, self._rest = (self._rest + piece).split(b"\n\n")
            self.frames += [frame.removeprefix(b"retry: 500\n") for frame in frames]
        return self.frames


@asynccontextmanager
async def asked(client: httpx.AsyncClient, **body: Any) -> AsyncIterator[Answer]:
    whole = {"messages": [{"role": "user", "content": "When?"}], "stream": True, "session_id": "s1", **body}
    async with client.stream("POST", CHAT, json=whole) as response:
        assert response.status_code == 200, await response.aread()
        yield Answer(response)


@asynccontextmanager
async def resumed(client: httpx.AsyncClient, path: str, after: bytes = b"") -> AsyncIterator[Answer]:
    headers = SSE | ({"Last-Event-ID": after.decode()} if after else {})
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield Answer(response)


def cursor(frame: bytes) -> bytes:
    return frame.partition(b"\n")[0].removeprefix(b"id: ")


async def hear_rest(client: httpx.AsyncClient, path: str, after: bytes) -> list[bytes]:
    async with resumed(client, path, after) as rest:
        return await rest.read()


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


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
            start = (await read_turn(two.stores, turns[1].turn))[0].id
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


@pytest.mark.parametrize("path", ["{turn}/cancel", "/v1/sessions/s1/cancel"])
@in_loop
async def test_cancelling_acts_from_any_replica_and_once(real: Backend, path: str) -> None:
    model = Scripted(draft=[[*words("Let me see."), HELD()]], full=[[HELD()]])
    async with two_replicas(real.settings(renew_s=600), model) as two:
        async with asked(two.first) as whole:
            await whole.read(b"see.")
            await until(lambda: len(model.calls) == 2)
            path = path.format(turn=whole.path)
            replies = await asyncio.gather(*(two.second.post(path) for _ in range(5)))
            assert {(r.status_code, r.json()["status"], r.json()["reason"]) for r in replies} == {
                (200, "ended", "interrupted")
            }
            await whole.read()
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        again = await two.first.post(path)
        assert (again.status_code, again.json()["id"]) == (200, whole.turn.turn)
        stops = await count(two.stores, whole.turn, TurnInterrupted)
        assert 1 <= stops <= 5
        assert code_of(await two.first.post("/v1/sessions/nobody/cancel")) == (404, "session_not_found")


@pytest.mark.parametrize(
    ("body", "chars"),
    [({}, -1), (None, -1), ({"heard": "we OPEN"}, 7), ({"heard_chars": 4}, 4), ({"heard_ms": 500}, 7)],
)
@in_loop
async def test_an_interruption_tells_how_much_was_heard(valkey: Backend, body: Any, chars: int) -> None:
    model = Scripted(full=[[*words("We open at nine."), HELD()]])
    async with two_replicas(valkey.settings(), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"nine.")
            reply = (
                await two.second.post(f"{whole.path}/interrupt", json=body)
                if body is not None
                else (await two.second.post("/v1/sessions/s1/interrupt"))
            )
            assert (reply.status_code, reply.json()["reason"]) == (200, "interrupted")
            await whole.read()
        (told,) = [e for e in await events(two.stores, whole.turn) if isinstance(e, TurnInterrupted)]
        assert (told.by, told.heard) == ("client", chars)
        late = await two.second.post(f"{whole.path}/interrupt", json={"heard_chars": 2})
        assert (late.status_code, late.json()["reason"]) == (200, "interrupted")
        told = [e for e in await events(two.stores, whole.turn) if isinstance(e, TurnInterrupted)][-1]
        assert told.heard == 2


@pytest.mark.parametrize(
    "body",
    [
        {"heard_chars": 17},
        {"heard_chars": -1},
        {"heard_chars": "3"},
        {"heard_chars": True},
        {"heard_ms": -0.5},
        {"heard_ms": 1e12},
        {"heard": "x" * 1_000_001},
        {"heard": "We", "heard_chars": 2},
        {"heard_chars": 1, "heard_ms": 2},
        {"what": 1},
        [],
    ],
)
@in_loop
async def test_what_cannot_have_been_heard_is_refused(valkey: Backend, body: Any) -> None:
    async with two_replicas(valkey.settings(), Scripted(full=[answer("We open at nine.")])) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read()
        reply = await two.second.post(f"{whole.path}/interrupt", json=body)
        assert reply.status_code == 400, reply.text
        assert not await count(two.stores, whole.turn, TurnInterrupted)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What replicas were told that asked whether a turn is followed elsewhere."""
    told: list[float] = []
    elsewhere_s = Followers.elsewhere_s

    async def looking(self: Followers, turn: TurnRef) -> float:
        told.append(await elsewhere_s(self, turn))
        return told[-1]

    monkeypatch.setattr(Followers, "elsewhere_s", looking)
    return told


@in_loop
async def test_none_stops_a_turn_that_is_followed_elsewhere(real: Backend, looked: list[float]) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with two_replicas(real.settings(resume_grace_s=0.05), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            resuming = two.second.stream("GET", whole.path, headers=SSE)
            response = await resuming.__aenter__()
        await until(lambda: looked)
        assert looked[0] > 0
        assert not await count(two.stores, whole.turn, TurnInterrupted)
        assert await Answer(response).read(b"open")
        await resuming.__aexit__(None, None, None)
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        assert await count(two.stores, whole.turn, TurnInterrupted, by="disconnect")
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        await until(lambda: _none_followed(two.stores))


@in_loop
async def test_a_client_that_leaves_the_second_replica_takes_nothing_from_the_first(
    real: Backend, looked: list[float]
) -> None:
    """The first has said from the start that the turn is followed there, long before its next renewal."""
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with two_replicas(real.settings(resume_grace_s=0), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            async with resumed(two.second, whole.path) as other:
                await other.read(b"open")
            await until(lambda: looked)
            spoken.set()
            assert b"[DONE]" in (await whole.read())[-1]
        assert min(looked) > 0 and not await count(two.stores, whole.turn, TurnInterrupted)


@in_loop
async def test_a_turn_that_was_followed_at_a_replica_that_died_is_stopped(valkey: Backend) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    settings = valkey.settings(resume_grace_s=0.01, turn_lease_s=0.5)
    async with open_workers(settings, model), open_api(settings) as api, open_api(settings) as other:
        live = await api.turns.start(ask(drafting=False))
        there = await other.turns.attach(live.turn)
        following = asyncio.create_task(hear(there))
        await until(lambda: there.followers)
        await other.kill()
        api.turns.client_left(live)
        assert (await over(api, live)).reason == "interrupted"
        await end(following)


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

    async def reading(self: Sessions, ref: TurnRef) -> list[Entry]:
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
        live = await api.turns.start(ask(drafting=False))
        await until(lambda: heard(live.releases))
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
async def test_without_a_grace_a_client_that_leaves_stops_the_turn_at_once(valkey: Backend) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with two_replicas(valkey.settings(resume_grace_s=0), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
        await until(lambda: count(two.stores, whole.turn, TurnEnded))
        assert await count(two.stores, whole.turn, TurnInterrupted, by="disconnect")


@in_loop
async def test_a_request_may_say_that_its_turn_goes_on_without_its_client(valkey: Backend) -> None:
    spoken = asyncio.Event()
    model = Scripted(full=[[*words("We open"), spoken, *answer(" at nine.")]])
    async with two_replicas(valkey.settings(resume_grace_s=0), model) as two:
        going_on = {"on_disconnect": "continue"}
        async with asked(two.first, useProgressiveResponse=False, fast_reply=going_on) as whole:
            frames = list(await whole.read(b"open"))
        spoken.set()
        rest = await hear_rest(two.second, whole.path, cursor(frames[-1]))
        assert b"[DONE]" in rest[-1]
        assert not await count(two.stores, whole.turn, TurnInterrupted)


@pytest.mark.parametrize("told", ["in order", "only by the log"])
@in_loop
async def test_a_deleted_sessions_clients_hear_the_end_everywhere(real: Backend, told: str) -> None:
    model = Scripted(full=[[*words("We open"), HELD()]])
    async with two_replicas(real.settings(), model) as two:
        async with asked(two.first, useProgressiveResponse=False) as whole:
            await whole.read(b"open")
            async with resumed(two.second, whole.path) as other:
                await other.read(b"open")
                if told == "in order":
                    await delete_session(two.stores, None, whole.session)
                else:
                    await two.stores.log.delete(keys.log(whole.session))
                ends = [(await each.read())[-3:] for each in (whole, other)]
        for error, _, done in ends:
            assert b"[DONE]" in done
            if told != "in order":
                assert b"session_deleted" in error
        await until(lambda: all(call.ended == "closed" for call in model.calls))
        assert not await two.stores.log.exists(keys.log(whole.session))


async def _said(stores: Stores, turn: TurnRef, words: str) -> bool:
    return any(isinstance(e, Delta) and e.text.endswith(words) for e in await events(stores, turn))


async def _none_followed(stores: Stores) -> bool:
    return not await stores.queue.zcard(keys.FOLLOWED)
