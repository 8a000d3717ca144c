"""Sessions over HTTP: listed, looked at, followed, replayed, exported, deleted."""

import asyncio
from pathlib import Path

import orjson
import pytest

from cli.recordings import NoRecording, fetch
from cli.replay import load_turns
from common.events import Delta, TurnStarted, encode
from common.log.stream import append, append_now
from common.names import SessionRef
from common.sessions.archive import Archive
from common.store import keys
from common.store.redis import open_stores
from tests.support.recorded_calls import FULL, ODD, PATH, names, turn
from tests.support.served_api import Events, list_session, serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_turns import lines_of
from tests.support.waiting import in_loop

# The list.


@in_loop
async def test_the_list_is_paged_stable_under_ties_and_newcomers(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores, serving(valkey.settings()) as client:
        for number in range(7):
            await list_session(stores, SessionRef("default", f"s{number}"), 1_000 if number < 5 else 2_000)
        seen, cursor = [], ""
        while True:
            page = (await client.get("/v1/sessions", params={"limit": "2", "cursor": cursor})).json()
            seen += [row["id"] for row in page["data"]]
            await list_session(stores, SessionRef("default", f"new{len(seen)}"), 3_000)
            if not page["has_more"]:
                break
            cursor = page["cursor"]
        assert seen == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]
        assert page["cursor"] is None and page["object"] == "list"


@in_loop
async def test_the_list_is_narrowed_by_time_and_text(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores, serving(valkey.settings()) as client:
        for name, when in (("Anna 1", 1_000), ("anna/2", 2_000), ("Bert", 3_000), ("Z ANNA", 4_000)):
            await list_session(stores, SessionRef("default", name), when)
        assert await names(client, q="anna") == ["Z ANNA", "anna/2", "Anna 1"]
        assert await names(client, after="2000", before="4000") == ["Bert", "anna/2"]
        assert await names(client, after="1970-01-01T00:00:03+00:00") == ["Z ANNA", "Bert"]
        assert await names(client, before="1970-01-01T00:00:02Z", q="a") == ["Anna 1"]


@in_loop
async def test_a_long_search_is_many_requests_and_finds_all(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.sessions.listing._PAGE", 10)
    monkeypatch.setattr("api.sessions.listing._MOST", 50)
    async with open_stores(valkey.settings()) as stores, serving(valkey.settings()) as client:
        index = {f"s{number:03}": 1_000 + number // 37 for number in range(200)}  # many ties
        await stores.queue.zadd(keys.sessions("default"), index)
        found, requests, cursor = [], 0, ""
        while True:
            page = (await client.get("/v1/sessions", params={"q": "7", "cursor": cursor})).json()
            found += [row["id"] for row in page["data"]]
            requests += 1
            if not page["has_more"]:
                break
            cursor = page["cursor"]
        wanted = sorted((when, name) for name, when in index.items() if "7" in name)
        assert found == [name for _, name in reversed(wanted)]
        assert requests > 3


@in_loop
async def test_sessions_are_live_ended_or_archived(real: Backend) -> None:
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        for name, when in (("gone", 1_000), ("here", 2_000), ("now", 3_000)):
            await list_session(stores, SessionRef("default", name), when)
        await write_session(stores, SessionRef("default", "here"), turn())
        await stores.queue.zadd(keys.live_turns("default"), {"now:turn0001": 3_000})
        rows = (await client.get("/v1/sessions")).json()["data"]
        assert {row["id"]: row["state"] for row in rows} == {
            "gone": "archived",
            "here": "ended",
            "now": "live",
        }
        assert rows[0] == {"id": "now", "object": "session", "state": "live", "last_turn_at": 3_000}
        for state, name in (("live", "now"), ("ended", "here"), ("archived", "gone")):
            assert await names(client, state=state) == [name]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "dead"},
        {"after": "yesterday"},
        {"before": "x"},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "٣"},
        {"cursor": "é"},
        {"cursor": "bm8"},
    ],
)
@in_loop
async def test_a_wrong_parameter_is_named(fake: Backend, query: dict[str, str]) -> None:
    async with serving(fake.settings()) as client:
        refused = await client.get("/v1/sessions", params=query)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == next(iter(query))


# One session.


@in_loop
async def test_a_session_is_told_turn_by_turn(real: Backend) -> None:
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        await write_session(stores, ODD, turn("1"))
        await write_session(stores, ODD, turn("2"), start_ms=90_000)
        told = (await client.get(PATH)).json()
        assert (told["id"], told["state"], told["object"]) == (ODD.session, "ended", "session")
        assert (told["first_turn_at"], told["last_turn_at"]) == (1_000, 90_000)
        assert [one["started_at"] for one in told["turns"]] == [1_000, 90_000]
        assert [one["drift"] for one in told["turns"]] == [False, False]
        assert told["turns"][0]["text"].endswith(FULL)


@pytest.mark.parametrize("path", ["", "/events", "/replay", "/export"])
@in_loop
async def test_a_session_that_is_not_there_is_not_found(fake: Backend, path: str) -> None:
    async with serving(fake.settings()) as client:
        for name in ("nobody", "x" * 200, "%20"):
            refused = await client.get(f"/v1/sessions/{name}{path}")
            assert refused.status_code == 404
            assert refused.json()["error"]["code"] == "session_not_found"


@in_loop
async def test_a_slash_in_a_name_is_part_of_the_name(fake: Backend) -> None:
    session = SessionRef("default", "a/events")
    async with open_stores(fake.settings()) as stores, serving(fake.settings()) as client:
        await write_session(stores, session, turn())
        assert (await client.get("/v1/sessions/a%2Fevents")).json()["id"] == "a/events"
        assert (await client.get("/v1/sessions/a/events")).status_code == 404


# Its events.


@in_loop
async def test_events_and_export_are_the_lines_of_a_recording(real: Backend) -> None:
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        ids = await write_session(stores, ODD, turn())
        stored = await client.get(f"{PATH}/events")
        assert stored.headers["content-type"] == "application/x-ndjson"
        assert [orjson.loads(line)["id"] for line in stored.content.splitlines()] == ids
        rest = await client.get(f"{PATH}/events", params={"after": ids[-3]})
        assert [orjson.loads(line)["id"] for line in rest.content.splitlines()] == ids[-2:]
        export = await client.get(f"{PATH}/export")
        assert export.content == stored.content
        assert export.headers["content-disposition"] == 'attachment; filename="call_7_a.jsonl"'
        assert (await client.get(f"{PATH}/events?after=x")).json()["error"]["param"] == "after"


def test_commands_read_a_session_from_log_and_archive_alike(real: Backend, tmp_path: Path) -> None:
    settings, out = real.settings(archive_url=str(tmp_path / "archive")), tmp_path / "out.jsonl"

    async def put() -> list[bytes]:
        async with open_stores(settings) as stores:
            await write_session(stores, ODD, turn())
            return await lines_of(stores, ODD)

    async def move(lines: list[bytes]) -> None:
        async with open_stores(settings) as stores:
            await Archive(settings.archive_url).write(ODD, lines)
            await stores.log.delete(keys.log(ODD))

    lines = asyncio.run(put())
    assert fetch(settings, ODD.session, out) == len(lines) and out.read_bytes() == b"".join(lines)
    asyncio.run(move(lines))
    assert fetch(settings, ODD.session, out) == len(lines) and out.read_bytes() == b"".join(lines)
    assert [len(one.events) for one in load_turns(settings, ODD.session)] == [len(lines) - 2]
    with pytest.raises(NoRecording):
        fetch(settings, "nobody", out)
    assert out.read_bytes() == b"".join(lines)  # what stood there is left alone
    assert list(tmp_path.glob("*out.jsonl*")) == [out]


@in_loop
async def test_live_events_go_on_where_the_stored_ones_end(real: Backend) -> None:
    events = turn()
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        ids = await write_session(stores, ODD, events[:5])
        headers = {"Accept": "text/event-stream", "Last-Event-ID": ids[1]}
        async with client.stream("GET", f"{PATH}/events", headers=headers) as response:
            heard = Events(response)
            first = [await heard.next() for _ in range(3)]
            assert [event.id for event in first if event] == ids[2:]
            assert first[2] and first[2].name == "delta"
            assert orjson.loads(first[2].data)["kind"] == "delta"
            for _, event in events[5:8]:
                await append_now(stores, ODD, event)
            await stores.queue.publish(keys.wake(ODD), b"")
            later = [await heard.next() for _ in range(3)]
            assert [orjson.loads(event.data)["event"] for event in later if event] == [
                orjson.loads(orjson.dumps(event)) for _, event in events[5:8]
            ]


@in_loop
async def test_a_follower_that_falls_behind_reads_the_log_itself(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.sessions.tail._MOST", 3)
    headers = {"Accept": "text/event-stream"}
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        await write_session(stores, ODD, turn()[:1])
        async with client.stream("GET", f"{PATH}/events", headers=headers) as response:
            heard = Events(response)
            await heard.next()
            started = turn()[0][1]
            assert isinstance(started, TurnStarted)
            for begin in range(0, 40, 8):  # more at once than is kept
                pipe = stores.log.pipeline(transaction=True)
                for at in range(begin, begin + 8):
                    append(pipe, ODD, Delta(started.turn, "full", 1, at, "x", 0))
                await pipe.execute()
                await stores.queue.publish(keys.wake(ODD), b"")
            read = [await heard.next() for _ in range(40)]
            assert [orjson.loads(event.data)["event"]["at"] for event in read if event] == list(range(40))


# Its replay.


@in_loop
async def test_a_replay_says_what_was_heard_and_ends(real: Backend) -> None:
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        ids = await write_session(stores, ODD, turn())
        async with client.stream("GET", f"{PATH}/replay?speed=max") as response:
            *events, end = await Events(response).rest()
        assert [event.id for event in events] == ids
        data = [orjson.loads(event.data) for event in events]
        released = [release for one in data for release in one["released"]]
        told = (await client.get(PATH)).json()["turns"][0]
        assert "".join(release.get("text", "") for release in released) == told["text"]
        assert {release["lane"] for release in released if "lane" in release} == {"draft", "full"}
        assert released[-1] == {"turn": told["id"], "ended": "stop", "degraded": False, "error": None}
        assert [one["ms"] for one in data] == [ms for ms, _ in turn()]
        assert (end.name, orjson.loads(end.data)) == ("end", {"ms": data[-1]["ms"]})


@in_loop
async def test_a_replay_begins_where_it_is_told_to(real: Backend) -> None:
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        await write_session(stores, ODD, turn("1"))
        ids = await write_session(stores, ODD, turn("2"), start_ms=90_000)
        name = getattr(turn("2")[0][1], "turn", "")
        for begin in (name, ids[0], "89000"):
            async with client.stream("GET", f"{PATH}/replay?speed=max&from={begin}") as response:
                *events, _ = await Events(response).rest()
            assert [event.id for event in events] == ids, begin
            assert orjson.loads(events[0].data)["ms"] == 0
        headers = {"Last-Event-ID": ids[3]}
        async with client.stream("GET", f"{PATH}/replay?speed=max", headers=headers) as response:
            *events, _ = await Events(response).rest()
        assert [event.id for event in events] == ids[4:]
        assert orjson.loads(events[0].data)["released"] is not None
        assert (await client.get(f"{PATH}/replay", headers={"Last-Event-ID": ids[-1]})).status_code == 204
        missing = await client.get(f"{PATH}/replay?from=aaaaaaaaaaaa")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "turn_not_found")


@pytest.mark.parametrize(
    "query", [{"speed": "0"}, {"speed": "101"}, {"speed": "nan"}, {"from": "x"}, {"from": "1-x"}]
)
@in_loop
async def test_a_replay_that_cannot_be_is_refused(fake: Backend, query: dict[str, str]) -> None:
    async with open_stores(fake.settings()) as stores, serving(fake.settings()) as client:
        await write_session(stores, ODD, turn())
        refused = await client.get(f"{PATH}/replay", params=query)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == next(iter(query))


@in_loop
async def test_a_replay_of_another_versions_turn_says_so(real: Backend) -> None:
    events = turn()
    started = orjson.loads(encode(events[0][1])["turn.started"]) | {"fold": 999}
    async with open_stores(real.settings()) as stores, serving(real.settings()) as client:
        await write_session(stores, ODD, [(0, TurnStarted(**started)), *events[1:]])
        async with client.stream("GET", f"{PATH}/replay?speed=max") as response:
            *played, _ = await Events(response).rest()
        assert {orjson.loads(event.data)["released"] for event in played} == {None}
        (told,) = (await client.get(PATH)).json()["turns"]
        assert (told["text"], told["drift"], told["reason"], told["fold"]) == (None, None, "stop", 999)
        assert told["lanes"]["full"]["chars"] == len(FULL)
