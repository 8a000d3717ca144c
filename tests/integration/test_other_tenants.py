"""One tenant's names, places and keys in another's hands: they mean the other's own things, or nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx

from common.names import CollectionRef, SessionRef, TurnRef
from common.sessions.archive import Archive
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.recorded_calls import turn
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import code_of, serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_tenants import FULL, add_key, add_tenant, bearer
from tests.support.stored_turns import turn_entries
from tests.support.waiting import in_loop
from tests.support.wiring import open_worker
from workers.knowledge.passages import Passage

CHAT = "/v1/chat/completions"
ODD = [
    "second:call",
    "}",
    "{first:call}:log",
    "call:log",
    "%2F",
    "a/b",
    "..",
    ".",
    "../first/call",
    "fr:{x}",
    "*",
]


@dataclass
class Client:
    """What one tenant's client sees."""

    http: httpx.AsyncClient
    tenant: str
    key: str

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self._ask("GET", path, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        return await self._ask("POST", path, **more)

    async def delete(self, path: str) -> httpx.Response:
        return await self._ask("DELETE", path)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = bearer(self.key) | more.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **more)

    async def chat(
        self, text: str = "When?", *, path: str = CHAT, headers: Any = None, **body: Any
    ) -> TurnRef:
        """Have a turn to its end; which it was."""
        whole = {"messages": [{"role": "user", "content": text}], "session_id": "call", **body}
        answered = await self.post(path, json=whole, headers=headers or {})
        assert answered.status_code == 200, answered.text
        assert answered.json()["choices"][0]["message"]["content"].endswith(said(self.tenant))
        return TurnRef(
            SessionRef(self.tenant, unquote(answered.headers["x-session-id"])), answered.headers["x-turn-id"]
        )

    async def sessions(self, **query: Any) -> list[str]:
        return [row["id"] for row in (await self.get("/v1/sessions", params=query)).json()["data"]]


@dataclass
class Both:
    """Two tenants of one gateway."""

    first: Client
    second: Client
    stores: Stores
    model: Scripted


def said(tenant: str) -> str:
    """What the models of a tenant answer."""
    return f"This is {tenant} speaking."


def lies_within(folder: Path, path: str) -> bool:
    return Path(path).resolve().is_relative_to(folder.resolve())


class Search:
    """A search that finds the same for everybody, and notes for whom."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(self, collection: CollectionRef, question: str, most: int) -> list[Passage]:
        self.asked.append(str(collection))
        return [Passage("hours#0", "hours", "Hours", "The shop opens at nine.", 7.5)]


@asynccontextmanager
async def both(backend: Backend, search: Search | None = None) -> AsyncIterator[Both]:
    settings = backend.settings(tenants_refresh_s=0.02)
    model = Scripted(**{name: [answer(said(name))] for name in ("first", "second")})
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        made = []
        for name in ("first", "second"):
            await add_tenant(stores, name, profiles={f"{name}-web": {"full": {**FULL, "model": name}}})
            made.append(await add_key(stores, name))
        working = open_worker(settings, "full", model, sweeping=True, search=search)
        async with working, serving(settings) as client:
            first, second = (
                Client(client, name, key) for name, key in zip(("first", "second"), made, strict=True)
            )
            yield Both(first, second, stores, model)


# Sessions and turns.


@in_loop
async def test_one_name_is_a_session_for_each(real: Backend) -> None:
    async with both(real) as they:
        await they.first.chat("I am Ann.")
        await they.second.chat("Who am I?")
        await they.first.chat("And who am I?")
        asked = [[message["content"] for message in call.body["messages"]] for call in they.model.calls]
        assert asked == [["I am Ann."], ["Who am I?"], ["I am Ann.", said("first"), "And who am I?"]]
        counts = [
            len((await they_.get("/v1/sessions/call")).json()["turns"]) for they_ in (they.first, they.second)
        ]
        assert counts == [2, 1]
        assert (await they.second.delete("/v1/sessions/call")).status_code == 204
        assert code_of(await they.second.get("/v1/sessions/call")) == (404, "session_not_found")
        assert len((await they.first.get("/v1/sessions/call")).json()["turns"]) == 2
        assert b"Ann" in (await they.first.get("/v1/sessions/call/export")).content


@in_loop
async def test_a_turn_is_nobody_elses_in_a_session_of_the_same_name(valkey: Backend) -> None:
    async with both(valkey) as they:
        own, others = await they.second.chat(), await they.first.chat()
        foreign, path = f"/v1/sessions/call/turns/{others.turn}", f"/v1/sessions/call/turns/{own.turn}"
        stream = {"Accept": "text/event-stream"}
        place = (await they.first.get(foreign, headers=stream)).text.partition("id: ")[2].partition("\n")[0]
        before = await turn_entries(they.stores, others)
        for asked in (
            await they.second.get(foreign),
            await they.second.get(foreign, headers=stream),
            await they.second.get(f"{foreign}/audio"),
            await they.second.post(f"{foreign}/cancel"),
            await they.second.post(f"{foreign}/interrupt", json={"heard_chars": 1}),
            await they.second.get("/v1/sessions/call/replay", params={"from": others.turn}),
        ):
            assert code_of(asked) == (404, "turn_not_found")
        for query in ({"params": {"after": place}}, {"headers": {"Last-Event-ID": place}}):
            headers = stream | query.get("headers", {})
            told = await they.second.get(path, headers=headers, params=query.get("params", {}))
            assert code_of(told) == (400, "cursor_of_another_turn")
        assert await turn_entries(they.stores, others) == before


@in_loop
async def test_the_place_of_anothers_event_is_only_a_time(valkey: Backend) -> None:
    async with both(valkey) as they:
        early = await write_session(they.stores, SessionRef("first", "call"), turn("early"), start_ms=1_000)
        await write_session(they.stores, SessionRef("second", "call"), turn("late"), start_ms=90_000)
        whole = (await they.second.get("/v1/sessions/call/events")).content
        for headers, params in (({}, {"after": early[2]}), ({"Last-Event-ID": early[2]}, {})):
            assert (
                await they.second.get("/v1/sessions/call/events", headers=headers, params=params)
            ).content == whole
        replayed = await they.second.get(
            "/v1/sessions/call/replay", params={"from": early[2], "speed": "max"}
        )
        assert replayed.text.count("turn.started") == whole.count(b"turn.started") == 1


@in_loop
async def test_a_retry_is_of_ones_own_turn(valkey: Backend) -> None:
    async with both(valkey) as they:
        for named in ({"session_id": "call"}, {"session_id": None}):  # the key names a session, too
            once = {"Idempotency-Key": "k1"}
            turns = [await each.chat(headers=once, **named) for each in (they.first, they.second)]
            again = [await each.chat(headers=once, **named) for each in (they.first, they.second)]
            assert turns == again and turns[0].turn != turns[1].turn


@in_loop
async def test_a_page_of_the_list_goes_on_among_ones_own(valkey: Backend) -> None:
    async with both(valkey) as they:
        for tenant, names in (("first", "ace"), ("second", "bdf")):
            for when, name in enumerate(names):
                index = {SessionRef(tenant, name).quoted: 1_000 + when}
                await they.stores.queue.zadd(keys.sessions(tenant), index)
        page = (await they.first.get("/v1/sessions", params={"limit": 1})).json()
        assert [row["id"] for row in page["data"]] == ["e"]
        assert await they.second.sessions(cursor=page["cursor"]) == ["d", "b"]
        assert await they.second.sessions(q="a") == []
        assert await they.second.sessions(state="ended") == []


@in_loop
async def test_no_name_leads_out_of_its_tenant(valkey: Backend) -> None:
    async with both(valkey) as they:
        await they.second.chat(session_id="call")
        before = (await they.second.get("/v1/sessions/call/export")).content
        for name in ODD:
            mine = await they.first.chat(session_id=name)
            assert (await they.first.sessions())[0] == name
            path = f"/v1/sessions/{quote(name, safe='')}"
            if name not in (".", ".."):  # these a client's own library takes out of a path
                assert [told["id"] for told in (await they.first.get(path)).json()["turns"]] == [mine.turn]
                assert code_of(await they.second.get(path)) == (404, "session_not_found")
                assert (await they.first.delete(path)).status_code == 204
            assert await they.second.sessions() == ["call"]
            assert (await they.second.get("/v1/sessions/call/export")).content == before


@in_loop
async def test_no_name_leads_out_of_its_tenants_archive(valkey: Backend, tmp_path: Path) -> None:
    archive = Archive(str(tmp_path / "calls"))
    async with open_stores(valkey.settings()) as stores:
        for session in [*ODD, "call"]:
            refs = [SessionRef(tenant, session) for tenant in ("first", "second")]
            for ref in refs:
                line = b'{"id":"1-0","kind":"delta","event":{"text":"%b"}}\n' % ref.tenant.encode()
                await archive.write(ref, [line])
            for ref in refs:
                assert ref.tenant.encode() in b"".join(await archive.read(ref))
                assert lies_within(tmp_path / "calls", archive.path(ref)) and ref.tenant in archive.path(ref)
            await stores.queue.zadd(keys.sessions("first"), {refs[0].quoted: 1})
            assert await Sessions(stores, archive).delete(refs[0])
            assert await archive.read(refs[0]) == [] and await archive.read(refs[1]) != []


# Profiles and knowledge.


@in_loop
async def test_anothers_profile_is_no_model(valkey: Backend) -> None:
    async with both(valkey) as they:
        question = {"messages": [{"role": "user", "content": "?"}]}
        foreign, nobodys = [
            await they.second.post(CHAT, json={**question, "model": model})
            for model in ("first-web", "no-web")
        ]
        assert code_of(foreign) == (404, "model_not_found") and foreign.content == nobodys.content
        assert [model["id"] for model in (await they.second.get("/v1/models")).json()["data"]] == [
            "second-web"
        ]


@in_loop
async def test_collections_and_documents_are_ones_own(valkey: Backend) -> None:
    async with both(valkey) as they:
        path, plain = "/v1/knowledge/house/documents", {"Content-Type": "text/plain"}
        for client, text in ((they.first, "Open at nine."), (they.second, "Closed.")):
            assert (await client._ask("PUT", f"{path}/hours", content=text, headers=plain)).status_code == 200
        assert (
            await they.first._ask("PUT", f"{path}/prices", content="Nine each.", headers=plain)
        ).status_code == 200
        assert (await they.second.get(f"{path}/hours")).json()["text"] == "Closed."
        assert code_of(await they.second.get(f"{path}/prices")) == (404, "unknown_document")
        listed = (await they.second.get(path, params={"after": "a"})).json()
        assert [document["id"] for document in listed["data"]] == ["hours"]
        assert (await they.second.delete(path)).status_code == 200
        assert len((await they.first.get(path)).json()["data"]) == 2
        collections = [(await each.get("/v1/knowledge")).json()["data"] for each in (they.first, they.second)]
        assert [len(found) for found in collections] == [1, 0]
        for odd in ("first:house", "..", "%7D", "house%3Adocuments"):
            answered = await they.second.get(f"/v1/knowledge/{odd}/documents")
            assert answered.status_code in (400, 404)


@in_loop
async def test_an_answer_rests_on_ones_own_documents(valkey: Backend) -> None:
    search = Search()
    async with both(valkey, search) as they:
        for client in (they.first, they.second):
            await client.chat(path="/rag/chat/completions", fast_reply={"knowledge": {"collection": "house"}})
        assert search.asked == ["first:house", "second:house"]
