"""The audit log: each act of the administration stands in it, with the act or not at all, without values."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from api.auth import audit
from api.auth.audit import Act
from api.auth.trail import REFUSED, AuditTrail
from common.names import SessionRef
from common.security.url_guard import open_guarded_client
from common.settings import Settings
from common.store import keys
from common.store.redis import open_stores
from tests.support.recorded_calls import turn
from tests.support.redis_replies import everything
from tests.support.served_api import serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_tenants import bearer
from tests.support.waiting import end, in_loop, until
from tests.support.wiring import open_worker
from workers.providers.registry import Providers

OPERATOR = "operators-token-0123456789"
SECRET = "sk-planted-0123456789"
ACME = "/admin/tenants/acme"
HELLO = {"model": "support", "messages": [{"role": "user", "content": "Hello?"}]}
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello!"}, "finish_reason": "stop"}]}\n\n'


def settings_of(backend: Backend, **changes: Any) -> Settings:
    return backend.settings(operator_token=OPERATOR, secret_key="seals", **changes)


@asynccontextmanager
async def model_server(shown: list[str]) -> AsyncIterator[str]:
    """A model that says hello; `shown`: the keys that it was shown. Gives its base URL."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        shown.append(dict(scope["headers"])[b"authorization"].decode())
        head = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/event-stream")],
        }
        await send(head)
        await send({"type": "http.response.body", "body": CHUNK + b"data: [DONE]\n\n"})

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await until(task.done)
            await end(task)


@in_loop
async def test_a_tenants_whole_life_stands_in_the_log(valkey: Backend) -> None:
    shown: list[str] = []
    answers: list[str] = []

    async def note(response: httpx.Response) -> None:
        answers.append(f"{response.headers} {(await response.aread()).decode()}")

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(model_server(shown))
        settings = settings_of(valkey, allowed_hosts=["127.0.0.1"], small_model="")
        guarded = await stack.enter_async_context(open_guarded_client(settings.allowed_hosts, 20))
        refusing = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(500)))
        stores = await stack.enter_async_context(open_stores(settings))
        providers = Providers(refusing, guarded, stores, None)
        await stack.enter_async_context(open_worker(settings, "full", providers))
        client = await stack.enter_async_context(serving(settings))
        client.event_hooks["response"].append(note)
        operator = bearer(OPERATOR)

        assert (await client.post("/admin/tenants", json={"id": "acme"}, headers=operator)).is_success
        assert (await client.put(f"{ACME}/limits", json={"live_turns": 3}, headers=operator)).is_success
        made = await client.post(f"{ACME}/keys", json={"scopes": ["admin", "chat"]}, headers=operator)
        admin = made.json()
        as_admin = bearer(admin["key"])
        await until(lambda: _works(client, as_admin))
        value = {"value": SECRET}
        assert (await client.put(f"{ACME}/secrets/MODELS", json=value, headers=as_admin)).is_success
        profile = {"full": {"base_url": url, "model": "big", "secret": "MODELS"}}
        put = await client.put(f"{ACME}/profiles/support", json=profile, headers=as_admin)
        assert put.is_success, put.text
        made = await client.post(f"{ACME}/keys", json={"scopes": ["chat"]}, headers=as_admin)
        key = made.json()
        await until(lambda: _chats(client, bearer(key["key"])))
        assert shown[-1] == f"Bearer {SECRET}"
        assert (await client.delete(f"{ACME}/keys/{key['id']}", headers=as_admin)).is_success
        await until(lambda: _refused(client, bearer(key["key"])))
        log = (await client.get(f"{ACME}/audit?kind=changes", headers=as_admin)).json()
        assert (await client.delete(ACME, headers=operator)).is_success

        by, mine = "operator", f"key:{admin['id']}"
        acts = [(act["who"], act["what"], act["target"], act["fields"]) for act in reversed(log["data"])]
        assert acts == [
            (by, "tenant.created", "", []),
            (by, "limits.changed", "", ["live_turns"]),
            (by, "key.created", admin["id"], ["chat", "admin"]),
            (mine, "secret.put", "MODELS", []),
            (mine, "profile.put", "support", acts[4][3]),
            (mine, "key.created", key["id"], ["chat"]),
            (mine, "key.revoked", key["id"], []),
        ]
        assert {"full.base_url", "full.model", "full.secret"} <= set(acts[4][3])
        assert {act["address"] for act in log["data"]} == {"127.0.0.1"}
        assert log["has_more"] is False
        whole = (await client.get("/admin/audit?kind=changes", headers=operator)).json()["data"]
        assert whole[0]["what"] == "tenant.deleted" and whole[1:] == log["data"]

        told = "\n".join(answers)
        assert SECRET not in told
        assert told.count(key["key"]) == 1 and told.count(admin["key"]) == 1  # when they were made
        kept = repr(await everything(stores.queue)).encode()
        for secret in (SECRET, key["key"], admin["key"], OPERATOR):
            assert secret.encode() not in kept


async def _works(client: httpx.AsyncClient, key: dict[str, str]) -> bool:
    return (await client.get(f"{ACME}/keys", headers=key)).status_code == 200


async def _chats(client: httpx.AsyncClient, key: dict[str, str]) -> bool:
    answer = await client.post("/v1/chat/completions", json=HELLO, headers=key)
    assert answer.status_code in (200, 401, 404), answer.text  # not yet known, or its profile isn't
    return answer.status_code == 200 and "Hello!" in answer.text


async def _refused(client: httpx.AsyncClient, key: dict[str, str]) -> bool:
    return (await client.post("/v1/chat/completions", json=HELLO, headers=key)).status_code == 401


@in_loop
async def test_a_refused_act_leaves_nothing(valkey: Backend) -> None:
    settings = settings_of(valkey)
    async with serving(settings) as client, open_stores(settings) as stores:
        client.headers.update(bearer(OPERATOR))
        await client.post("/admin/tenants", json={"id": "acme"})
        version = await stores.queue.get(keys.TENANTS_VERSION)
        for answer in (
            await client.post("/admin/tenants", json={"id": "acme"}),
            await client.put(ACME, json={"default_profile": "none"}),
            await client.delete(f"{ACME}/profiles/none"),
            await client.delete(f"{ACME}/secrets/none"),
            await client.delete(f"{ACME}/keys/none"),
            await client.post("/admin/tenants/none/keys", json={"scopes": ["chat"]}),
            await client.delete("/admin/tenants/none"),
        ):
            assert answer.is_client_error
        assert await stores.queue.get(keys.TENANTS_VERSION) == version
        assert await stores.queue.xlen(keys.AUDIT) == 1


@in_loop
async def test_what_a_tenants_admin_deletes_is_noted(real: Backend) -> None:
    settings = settings_of(real, tenants_refresh_s=0.02)
    async with serving(settings) as client, open_stores(settings) as stores:
        await client.post("/admin/tenants", json={"id": "acme"}, headers=bearer(OPERATOR))
        wish = {"scopes": ["admin"]}
        key = (await client.post(f"{ACME}/keys", json=wish, headers=bearer(OPERATOR))).json()
        client.headers.update(bearer(key["key"]))
        await until(lambda: _works(client, {}))
        await write_session(stores, SessionRef("acme", "call 7"), turn())
        document = {"documents": [{"id": "hours", "text": "We open at nine."}]}
        assert (await client.put("/v1/knowledge/shop/documents", json=document)).is_success
        assert (await client.delete("/v1/knowledge/shop/documents/hours")).is_success
        assert (await client.put("/v1/knowledge/shop/documents", json=document)).is_success
        assert (await client.delete("/v1/knowledge/shop/documents")).is_success
        assert (await client.delete("/v1/sessions/call 7")).is_success
        assert (await client.delete("/v1/sessions/call 7")).status_code == 404
        page = await audit.read_page(stores, "acme", "", 3, "changes")
        assert [(act.who, act.what, act.target) for _, act in page.acts] == [
            (f"key:{key['id']}", "session.deleted", "call 7"),
            (f"key:{key['id']}", "collection.deleted", "shop"),
            (f"key:{key['id']}", "document.deleted", "shop/hours"),
        ]


@in_loop
async def test_the_log_is_read_page_by_page(valkey: Backend) -> None:
    settings = settings_of(valkey)
    async with serving(settings) as client, open_stores(settings) as stores:
        client.headers.update(bearer(OPERATOR))

        def write(pipe: Any) -> None:
            for number in range(1_300):
                audit.note(
                    pipe, Act("operator", "::1", "x", "acme" if number % 600 == 0 else "b", str(number))
                )

        await stores.on_queue.run(write)

        async def pages(path: str) -> list[list[str]]:
            found, after = [], ""
            while True:
                page = (await client.get(f"{path}&after={after}")).json()
                found.append([act["target"] for act in page["data"]])
                if not page["has_more"]:
                    return found
                after = page["last_id"]

        everyones = await pages("/admin/audit?kind=changes&limit=200")
        assert [target for page in everyones for target in page] == [str(n) for n in range(1_299, -1, -1)]
        assert [len(page) for page in everyones] == [200] * 6 + [100]
        assert await pages("/admin/audit?kind=changes&tenant=acme&limit=2") == [["1200", "600"], ["0"]]
        for query in ("limit=0", "limit=201", "limit=x", "after=x", "kind=all", f"after={'9' * 5000}-1"):
            assert (await client.get(f"/admin/audit?{query}")).status_code == 400


@in_loop
async def test_what_others_do_pushes_nothing_out_of_a_tenants_log(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.auth.audit._KEPT", 100)
    async with open_stores(settings_of(valkey)) as stores:

        def write(pipe: Any) -> None:
            audit.note(pipe, Act("operator", "", "tenant.created", "acme"))
            for _ in range(1_000):
                audit.note(pipe, Act("key:abc", "", "document.deleted", "other"))

        await stores.on_queue.run(write)
        assert await stores.queue.xlen(keys.AUDIT) < 1_000
        page = await audit.read_page(stores, "acme", "", 5)
        assert [act.what for _, act in page.acts] == ["tenant.created"] and page.more is None


@in_loop
async def test_the_tenants_of_a_file_are_shown_but_not_changed(valkey: Backend, tmp_path: Any) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text(
        '[tenants.acme]\nname = "Acme"\n'
        '[tenants.acme.profiles.support.full]\nbase_url = "https://models.example/v1"\nmodel = "big"\n'
        f'[[tenants.acme.keys]]\nid = "hJ4kQm81ZpQx"\ndigest = "{"0" * 64}"\nscopes = ["chat"]\n'
    )
    settings = settings_of(valkey, tenants=str(path), tenants_refresh_s=0.02)
    async with serving(settings) as client, open_stores(settings) as stores:
        client.headers.update(bearer(OPERATOR))
        assert (await client.get(ACME)).json()["name"] == "Acme"
        assert [row["id"] for row in (await client.get("/admin/tenants")).json()["data"]] == ["acme"]
        (key,) = (await client.get(f"{ACME}/keys")).json()["data"]
        assert (key["id"], key["scopes"]) == ("hJ4kQm81ZpQx", ["chat"])
        for part in ("profiles", "secrets", "audit"):
            assert (await client.get(f"{ACME}/{part}")).status_code == 200
        for method, path_, body in (
            ("POST", "/admin/tenants", {"id": "other"}),
            ("PUT", ACME, {}),
            ("DELETE", ACME, {}),
            ("PUT", f"{ACME}/limits", {}),
            ("PUT", f"{ACME}/profiles/a", {"full": {"base_url": "https://a.example", "model": "m"}}),
            ("DELETE", f"{ACME}/profiles/support", {}),
            ("PUT", f"{ACME}/secrets/A", {"value": SECRET}),
            ("DELETE", f"{ACME}/secrets/A", {}),
            ("POST", f"{ACME}/keys", {"scopes": ["chat"]}),
            ("DELETE", f"{ACME}/keys/abc", {}),
            ("POST", "/admin/secrets/rotate", {}),
        ):
            answer = await client.request(method, path_, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "tenants_in_a_file")
        assert await stores.queue.xlen(keys.AUDIT) == 0


# Who looked at what.


async def accesses(client: httpx.AsyncClient, enough: set[str], **about: Any) -> list[dict[str, Any]]:
    """The accesses in the log, once these are among them."""
    query = {"kind": "accesses", "limit": 200, **about}

    async def look() -> list[dict[str, Any]]:
        found = await client.get("/admin/audit", params=query, headers=bearer(OPERATOR))
        acts: list[dict[str, Any]] = found.json()["data"]
        return acts if enough <= {act["what"] for act in acts} else []

    found: list[dict[str, Any]] = await until(look)
    return found


@in_loop
async def test_reads_tokens_documents_and_refusals_are_noted_with_key_and_address(valkey: Backend) -> None:
    settings = settings_of(valkey)
    async with serving(settings) as client, open_stores(settings) as stores:
        await client.post("/admin/tenants", json={"id": "acme"}, headers=bearer(OPERATOR))
        keys_url = "/admin/tenants/acme/keys"
        scopes = {"scopes": ["chat", "read", "admin"]}
        key = (await client.post(keys_url, json=scopes, headers=bearer(OPERATOR))).json()
        client.headers.update(bearer(key["key"]))
        await until(lambda: _works(client, {}))
        await write_session(stores, SessionRef("acme", "call 7"), turn())
        far = {"X-Forwarded-For": "203.0.113.9"}
        for path in ("", "/call%207", "/call%207/events", "/call%207/export", "/call%207/replay?speed=max"):
            assert (await client.get(f"/v1/sessions{path}", headers=far)).is_success
        assert (await client.get("/v1/usage")).is_success
        made = await client.post("/v1/tokens", json={"scopes": ["read"], "session": "call 7"})
        document = {"documents": [{"id": "hours", "text": "We open at nine."}]}
        assert (await client.put("/v1/knowledge/shop/documents", json=document)).is_success
        page = bearer(made.json()["token"])
        assert (await client.get("/v1/sessions/call%207", headers=page)).is_success
        wrong = key["key"][:-1] + ("x" if key["key"][-1] != "x" else "y")
        for shown in (wrong, "nobody", OPERATOR + "x"):
            assert (await client.get("/v1/sessions", headers={**bearer(shown), **far})).status_code == 401
            assert (await client.get("/admin/tenants", headers=bearer(shown))).status_code == 401
        whats = {"session.read", "session.events", "session.exported", "session.replayed", "sessions.listed"}
        whats |= {"usage.read", "token.made", "documents.put", "login.refused"}
        acts = await accesses(client, whats, tenant="acme")
        by_what = {act["what"]: act for act in acts}
        assert {act["who"] for act in acts} <= {f"key:{key['id']}", "operator"}
        exported = by_what["session.exported"]
        assert (exported["target"], exported["address"], exported["count"]) == ("call 7", "203.0.113.9", 1)
        assert by_what["token.made"]["target"] == "call 7" and by_what["token.made"]["fields"] == ["read"]
        assert by_what["documents.put"]["target"] == "shop"
        assert by_what["login.refused"]["who"] == f"key:{key['id']}"
        everyones = await accesses(client, {"login.refused", "read.list_acts"})
        assert any(act["what"] == "login.refused" and act["who"] == "" for act in everyones)
        assert any(act["what"] == "read.list_acts" and act["who"] == "operator" for act in everyones)
        for told in (acts, everyones):
            assert key["key"] not in str(told) and wrong not in str(told) and OPERATOR not in str(told)
        both = (await client.get("/admin/audit?limit=200", headers=bearer(OPERATOR))).json()["data"]
        assert {"tenant.created", "session.read"} <= {act["what"] for act in both}
        ids = [tuple(map(int, act["id"].split("-"))) for act in both]
        assert ids == sorted(ids, reverse=True)


@in_loop
async def test_a_flood_is_a_few_entries_with_its_count(valkey: Backend) -> None:
    async with open_stores(settings_of(valkey)) as stores:
        trail = AuditTrail(stores)
        for number in range(10_000):
            trail.note(Act("", f"203.0.113.{number % 250}", REFUSED, ""))
            trail.note(Act("key:k", "::1", "session.read", "acme", f"s{number}"))
            trail.note(Act("key:z", "::1", "session.read", "zeta", "s"))
        await trail.flush()
        task = asyncio.create_task(trail.run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        everything = (await audit.read_page(stores, None, "", 10_000)).acts
        for what, tenant, most in (
            (REFUSED, "", 41),
            ("session.read", "acme", 121),
            ("session.read", "zeta", 2),
        ):
            counts = [act.count for _, act in everything if (act.what, act.tenant) == (what, tenant)]
            assert len(counts) <= most and sum(counts) == 10_000
        assert len((await audit.read_page(stores, "zeta", "", 100)).acts) == 2


@in_loop
async def test_two_acts_of_one_moment_stand_on_one_page(valkey: Backend) -> None:
    async with open_stores(settings_of(valkey)) as stores:
        entry = {"who": "w", "address": "", "what": "x", "tenant": "", "target": "", "fields": "[]"}
        for log in (keys.AUDIT, keys.ACCESS):
            for at in ("5-0", "6-0", "7-0"):
                await stores.queue.xadd(log, entry, id=at)  # type: ignore[arg-type]
        first = await audit.read_page(stores, None, "", 1)
        assert [entry_id for entry_id, _ in first.acts] == ["7-0", "7-0"] and first.more == "7-0"
        rest = await audit.read_page(stores, None, first.more, 3)
        assert [entry_id for entry_id, _ in rest.acts] == ["6-0", "6-0", "5-0", "5-0"] and rest.more is None
