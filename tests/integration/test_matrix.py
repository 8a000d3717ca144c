"""Every route, asked with every kind of key: who may not is told nothing, not even what there is.

The rows are made from the application's own routes. A new one with a new kind of parameter fails here until
`MINE` says what fills it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from api.auth.audit import Act, note
from api.http.identity import SERVED, authenticate, authenticate_operator, nobody_in_particular
from api.http.routes import all_routes
from api.main import create_app
from common.events import TurnStarted
from common.knowledge.documents import Document, Documents
from common.names import CollectionRef, SessionRef, TurnRef
from common.security.secret_box import SecretBox
from common.settings import Settings
from common.speech import stream
from common.speech.stream import Frame, Over
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.api_keys import id_of, new_key
from common.tenants.config import SCOPES, KeyConfig
from common.tenants.stored import TenantStore
from tests.support.recorded_calls import turn
from tests.support.redis_replies import reply
from tests.support.served_api import code_of, serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_tenants import FULL, add_key, add_tenant, bearer, revoke
from tests.support.waiting import in_loop, until

MARK = "zq7"  # stands in every name and text of the first tenant's, and nowhere else
OPERATOR, SECRET_KEY = "the operator's own token", "what seals"
RECORDED = turn(MARK)
TURN = next(event.turn for _, event in RECORDED if isinstance(event, TurnStarted))
MINE = {
    "session": f"call-{MARK}",
    "turn": TURN,
    "collection": f"house-{MARK}",
    "document_id": f"hours-{MARK}",
    "tenant": f"acme-{MARK}",
    "key_id": f"{MARK}kkkkkkkkk",
    "profile": f"web-{MARK}",
    "model": f"web-{MARK}",
    "name": f"upstream-{MARK}",  # a secret's
}
"""What the first tenant has, by the name of the parameter that it is for."""

NOBODYS = {name: text.replace(MARK, "xxx") for name, text in MINE.items()} | {"turn": "0" * len(TURN)}
"""What there is nowhere, in names of the same length."""

PARAMETER = re.compile(r"{(\w+)(?::path)?}")


@dataclass(frozen=True)
class Row:
    """One route with one method, and the check that it asks to be done first."""

    method: str
    path: str
    check: Any

    @property
    def names(self) -> list[str]:
        """The names of the path's parameters."""
        return [] if self.check is nobody_in_particular else PARAMETER.findall(self.path)

    @property
    def scope(self) -> str | None:
        """The scope that it ought to need."""
        if self.path.startswith("/admin/") or self.method in ("PUT", "PATCH", "DELETE"):
            return "admin"
        if self.path.startswith(("/v1/models", "/v1/tokens")):
            return None
        return "chat" if self.method == "POST" or "/turns/" in self.path else "read"

    def filled(self, things: dict[str, str]) -> str:
        """The path with these things in it."""
        if self.path == "/docs/{name}":
            return "/docs/swagger-ui.css"
        return PARAMETER.sub(lambda found: quote(things[found[1]], safe=""), self.path)


def rows() -> Iterator[Row]:
    for route in all_routes(create_app(Settings())):
        check = next(each.call for each in route.dependant.dependencies if each.call in SERVED)
        for method in sorted(route.methods or ()):
            row = Row(method, route.path, check)
            unknown = set(row.names) - MINE.keys()
            assert not unknown, f"{route.path}: say in MINE what fills {unknown}, and put one there"
            yield row


ROWS = list(rows())
GUARDED = [row for row in ROWS if row.check is not nobody_in_particular]
TENANTS = [row for row in GUARDED if row.check is not authenticate_operator]
OPERATORS = [row for row in GUARDED if row.check is authenticate_operator]


@dataclass
class World:
    """A tenant that has one of everything, others, and an application that serves them."""

    client: httpx.AsyncClient
    stores: Stores
    keys: dict[str, str]

    async def ask(
        self, row: Row, key: str | bytes = "", things: dict[str, str] = MINE, **more: Any
    ) -> httpx.Response:
        shown: dict[str, Any] = bearer(key) if isinstance(key, str) else {"Authorization": b"Bearer " + key}
        headers = {**shown, "Content-Type": "application/json", **more.pop("headers", {})}
        body = {} if row.method == "GET" else {"content": b"{}"}
        return await self.client.request(row.method, row.filled(things), headers=headers, **{**body, **more})

    async def first_has(self) -> dict[str, Any]:
        """All that the stores hold of the first tenant."""
        every = sorted(await self.stores.queue.keys(f"*{MARK}*"))
        names = [name for name in every if not name.startswith(b"fr:access:")]  # where refusals are noted
        found: dict[str, Any] = {name.decode(): await self.stores.queue.dump(name) for name in names}
        for name in (keys.TENANTS, keys.API_KEYS):
            whole = await reply(self.stores.queue.hgetall(name))
            found[name] = {field: text for field, text in whole.items() if MARK.encode() in field + text}
        assert len(found) > 5
        return found


@asynccontextmanager
async def world(backend: Backend) -> AsyncIterator[World]:
    settings = backend.settings(
        operator_token=OPERATOR, secret_key=SECRET_KEY, tenants_refresh_s=0.02, speech_wait_s=0.2
    )
    async with open_stores(settings) as stores, serving(settings) as client:
        await furnish(stores)
        there = await hand_out_keys(stores)
        for name in ("second", "disabled"):
            await add_tenant(stores, name, disabled=name == "disabled")
            there[name] = await add_key(stores, name)

        async def is_known() -> bool:  # the second's key came last but one
            asked = [await client.get("/v1/models", headers=bearer(key)) for key in (there["second"], "")]
            return [response.status_code for response in asked] == [200, 401]

        await until(is_known)
        yield World(client, stores, there)


async def furnish(stores: Stores) -> None:
    """Let the first tenant have one of everything, whatever became of it before."""
    tenant, profile, secret = MINE["tenant"], MINE["profile"], MINE["name"]
    session = SessionRef(tenant, MINE["session"])
    await reply(stores.queue.srem(keys.TENANTS_GONE, tenant))
    sealed = SecretBox(SECRET_KEY).write("sk-upstream")
    full = {**FULL, "model": f"model-{MARK}", "secret": secret}
    profiles = {profile: {"full": full, "prompt": f"Say {MARK}."}}
    await add_tenant(
        stores, tenant, SecretBox(SECRET_KEY), name=MARK, profiles=profiles, secrets={secret: sealed}
    )
    key = KeyConfig(tenant=tenant, digest=new_key().digest, scopes=SCOPES, name=MARK)
    await TenantStore(stores, None).put_key(MINE["key_id"], key)
    await stores.log.delete(keys.log(session))
    await write_session(stores, session, RECORDED, start_ms=stores.log_clock.now_ms() + 1_000)
    sound = Frame(1, 0, 4, 0, True, MARK.encode() * 100)
    await stores.on_queue.run(
        lambda pipe: stream.append(pipe, TurnRef(session, TURN), sound, Over(1, "done"))
    )
    act = Act("operator", "", "profile.put", tenant, profile)
    await stores.on_queue.run(lambda pipe: note(pipe, act))
    document = Document(MINE["document_id"], f"Open at nine, {MARK}.", "Hours", {"of": MARK})
    await Documents(stores).put(CollectionRef(tenant, MINE["collection"]), [document])


async def hand_out_keys(stores: Stores) -> dict[str, str]:
    """A key of the first tenant of each kind."""
    tenant = MINE["tenant"]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    made = {f"no {scope}": await add_key(stores, tenant, *{*SCOPES} - {scope}) for scope in SCOPES}
    made |= {name: await add_key(stores, tenant) for name in ("whole", "revoked")}
    made["expired"] = await add_key(stores, tenant, expires_at=yesterday)
    await revoke(stores, tenant, made["revoked"])
    return made


def told(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that an answer says but when."""
    headers = [(name, value) for name, value in response.headers.multi_items() if name != "date"]
    return response.status_code, response.content, sorted(headers)


# Without a valid key.


@in_loop
async def test_who_has_no_valid_key_is_told_the_same_whatever_is_wrong(valkey: Backend) -> None:
    async with world(valkey) as there:
        before, whole = await there.first_has(), there.keys["whole"]
        made = await there.client.post("/v1/tokens", headers=bearer(whole))
        token = made.json()["token"]
        invalid: list[str | bytes] = [there.keys[name] for name in ("revoked", "expired", "disabled")]
        invalid += [new_key().text, f"frk_{id_of(whole)}_{'A' * 43}", f"{token[:-4]}AAAA"]
        garbage: list[str | bytes] = [
            "garbage",
            "frk_",
            "frt_",
            "frt_.",
            f"{whole}x",
            whole.upper(),
            b"\xff\xc3\xa9",
        ]
        for row in GUARDED:
            wanted = await there.ask(row)
            assert code_of(wanted) == (401, "invalid_api_key"), row
            assert MARK not in repr(told(wanted)), row
            for key in [*invalid, *garbage]:
                assert told(await there.ask(row, key)) == told(wanted), (row, key)
                assert told(await there.ask(row, key, NOBODYS)) == told(wanted), (row, key)
            if row.method != "GET":  # a token in the URL may look, not act
                assert told(await there.ask(row, params={"token": token})) == told(wanted), row
            assert code_of(await there.ask(row, params={"token": whole})) == (401, "key_in_query"), row
        assert await there.first_has() == before


@in_loop
async def test_a_body_is_not_read_before_its_key(valkey: Backend) -> None:
    async with world(valkey) as there:
        url = there.client.base_url
        for row in [row for row in GUARDED if row.method != "GET"]:
            wanted = told(await there.ask(row))
            assert told(await there.ask(row, new_key().text, content=b"{")) == wanted, row
            reader, writer = await asyncio.open_connection(url.host, url.port)
            head = f"{row.method} {row.filled(MINE)} HTTP/1.1\r\nHost: localhost\r\n"
            writer.write(f"{head}Content-Length: 99999999999\r\n\r\n".encode())  # and nothing of it
            assert b" 401 " in await reader.readline(), row
            writer.close()


# With a valid key that may not.


@in_loop
async def test_a_key_without_the_scope_is_refused(valkey: Backend) -> None:
    async with world(valkey) as there:
        before = await there.first_has()
        for row in TENANTS:
            if row.scope:
                key = there.keys[f"no {row.scope}"]
                refused = await there.ask(row, key)
                assert code_of(refused) == (403, "missing_scope"), row
                assert told(await there.ask(row, key, NOBODYS)) == told(refused), row
        assert await there.first_has() == before


@in_loop
async def test_a_tenants_key_is_nothing_to_the_operators_routes(valkey: Backend) -> None:
    async with world(valkey) as there:
        before = await there.first_has()
        for row in OPERATORS:
            wanted = told(await there.ask(row))
            for key in ("whole", "second"):
                assert told(await there.ask(row, there.keys[key])) == wanted, row
        assert await there.first_has() == before


@in_loop
async def test_the_operators_token_is_no_tenants_key(valkey: Backend) -> None:
    async with world(valkey) as there:
        for row in [row for row in GUARDED if row.check is authenticate]:
            assert told(await there.ask(row, OPERATOR)) == told(await there.ask(row)), row


@in_loop
async def test_another_tenants_key_finds_what_is_nowhere(valkey: Backend) -> None:
    """Nothing of the first tenant's is shown, changed, or told from what doesn't exist."""
    async with world(valkey) as there:
        before = await there.first_has()
        for row in TENANTS:
            for accept in ("*/*", "text/event-stream"):
                firsts, nobodys = [
                    await there.ask(row, there.keys["second"], things, headers={"Accept": accept})
                    for things in (MINE, NOBODYS)
                ]
                assert firsts.status_code not in (401, 500), row
                status, body, headers = told(firsts)
                for name in row.names:  # what was asked for may be named, and nothing else
                    body = body.replace(MINE[name].encode(), NOBODYS[name].encode())
                if row.names:
                    assert (status, body, headers) == told(nobodys), row
                assert MARK not in repr((body, headers)), row
                if row.names and (row.names[0] in ("session", "tenant") or row.method == "GET"):
                    assert status == 404, row
        assert await there.first_has() == before


@in_loop
async def test_what_is_open_to_all_tells_nobody_of_tenants(valkey: Backend) -> None:
    async with world(valkey) as there:
        for row in [row for row in ROWS if row.check is nobody_in_particular]:
            for key in ("", *there.keys.values()):
                answer = await there.ask(row, key)
                assert answer.status_code == 200, row
                assert MARK.encode() not in answer.content, row


# With a key that may. Without these the tests above could pass because there is nothing to be found.


@in_loop
async def test_its_own_key_finds_all_that_others_do_not(valkey: Backend) -> None:
    async with world(valkey) as there:
        for row in [row for row in GUARDED if row.method == "GET"]:
            operators = row.path.startswith("/admin/")
            for key in [OPERATOR] * operators + [there.keys["whole"]] * (row not in OPERATORS):
                found = await there.ask(row, key)
                assert found.status_code == 200, (row, found.text)
                assert not row.names or MARK.encode() in found.content or TURN.encode() in found.content, row


@in_loop
async def test_its_own_key_may_do_all_that_others_may_not(valkey: Backend) -> None:
    async with world(valkey) as there:
        acts = [row for row in GUARDED if row.method != "GET"]
        for row in sorted(
            acts, key=lambda row: (row.method == "DELETE", row.names == ["tenant"], -len(row.names))
        ):
            await furnish(there.stores)
            key = OPERATOR if row.path.startswith("/admin/") else there.keys["whole"]
            done = await there.ask(row, key, content=b"{")
            assert done.status_code in (200, 201, 204, 400, 409), (row, done.text)
            if row.method == "DELETE":
                assert done.is_success or done.status_code == 409, (row, done.text)
