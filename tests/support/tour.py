"""A tour of the whole gateway: everything that an operator, a tenant and its callers do, done once.

All that it was answered is kept, to be searched for what nobody may be told.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson

from tests.support.gateway_stack import PATH, Stack, user
from tests.support.processes import until
from tests.support.redis_replies import at_once

OPERATOR = "operators-own-token-0123456789"
MODEL_SECRET = "sk-planted-model-key-4f1d"
HOOK_SECRET = "planted-webhook-secret-77aa"
ACCOUNT_SECRET = "planted-key:planted-secret-of-an-account-6e6f"
PHONE_SECRET = "planted-telephony-token-c0de"
HEADER_SECRET = "planted-header-of-a-request-9b2e"
QUERY_SECRET = "planted-query-of-a-request-e5d4"
DEPLOYMENT_KEY = "planted-deployment-secret-key-1a2b"
SECRETS = (
    OPERATOR,
    MODEL_SECRET,
    HOOK_SECRET,
    ACCOUNT_SECRET.partition(":")[2],
    PHONE_SECRET,
    HEADER_SECRET,
    QUERY_SECRET,
    DEPLOYMENT_KEY,
)
SETTINGS = {
    "FAST_REPLY_OPERATOR_TOKEN": OPERATOR,
    "FAST_REPLY_SECRET_KEY": DEPLOYMENT_KEY,
    "FAST_REPLY_ALLOWED_HOSTS": '["127.0.0.1"]',
    "FAST_REPLY_ARCHIVE_AFTER_S": "10",
    "FAST_REPLY_KEEP_S": "0.2",
    "FAST_REPLY_RETENTION_EVENTS": "12",
    "FAST_REPLY_REDACT_AFTER_S": "0",
    "FAST_REPLY_RESUME_GRACE_S": "0.2",
    "FAST_REPLY_LANE_LEASE_S": "1.2",
    "FAST_REPLY_TURN_LEASE_S": "1.2",
    "FAST_REPLY_RENEW_S": "0.2",
    "FAST_REPLY_FIRST_TOKEN_TIMEOUT_S": "1.5",
    "FAST_REPLY_NEXT_TOKEN_TIMEOUT_S": "1.5",
}
TENANT = "acme"


@contextmanager
def leaky_server() -> Iterator[str]:
    """A model's server that answers with an error which holds all that it was sent; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent = f"wrong key: {self.path} {self.headers}"
            body = orjson.dumps({"error": {"message": sent, "type": sent, "code": sent}})
            self.send_response(401, "Wrong key " + str(self.headers.get("Authorization")))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Tour:
    """Takes the tour at one gateway. `told`: all bytes that came back, headers too."""

    def __init__(self, stack: Stack, leaky: str) -> None:
        self.told: list[bytes] = []
        self.keys: list[str] = []  # texts of keys and tokens: each was told once, to its owner
        self._stack = stack
        self._leaky = leaky
        self._key = ""

    def take(self) -> None:
        """All of it."""
        self._set_up()
        self._chat()
        self._go_on_and_stop()
        self._look_back()
        self._know()
        self._speak()
        self._call_as_telephony_does()
        self._fail()
        self._wait_for_a_worker()
        self._hurt()
        self._cost_two_replicas()
        self._keep()
        self._tear_down()

    # As whom.

    def ask(self, method: str, path: str, *, key: str | None = None, **fields: Any) -> httpx.Response:
        """Ask with the tenant's key, or another; whatever comes back is kept."""
        headers = {
            "Authorization": f"Bearer {self._key if key is None else key}",
            **fields.pop("headers", {}),
        }
        response = self._stack.client.request(method, path, headers=headers, **fields)
        self.told += [response.content, repr(response.headers.multi_items()).encode()]
        return response

    def operate(self, method: str, path: str, **fields: Any) -> httpx.Response:
        """Ask as the operator."""
        response = self.ask(method, f"/admin{path}", key=OPERATOR, **fields)
        assert response.is_success, (path, response.text)
        return response

    def turn(self, profile: str, session: str, *, path: str = PATH, **fields: Any) -> httpx.Response:
        """Have a turn, streamed."""
        body = {
            "model": profile,
            "stream": True,
            "session_id": session,
            "messages": [user("Hello")],
            **fields,
        }
        return self.ask("POST", path, json=body)

    # What is done.

    def _set_up(self) -> None:
        server = f"{self._stack.simulator.url}/v1"
        self.operate("POST", "/tenants", json={"id": TENANT, "name": "Acme"})
        values = {
            "MODEL": MODEL_SECRET,
            "HOOK": HOOK_SECRET,
            "ACCOUNT": ACCOUNT_SECRET,
            "PHONE": PHONE_SECRET,
        }
        for name, value in values.items():
            self.operate("PUT", f"/tenants/{TENANT}/secrets/{name}", json={"value": value})
        for name, changes in _profiles(server, self._leaky).items():
            self.operate("PUT", f"/tenants/{TENANT}/profiles/{name}", json=changes)
        limits = {"turns_per_minute": 1_000, "live_turns": 100, "tokens_per_day": 10**9, "sessions_kept": 100}
        self.operate("PUT", f"/tenants/{TENANT}/limits", json=limits)
        whole = self.operate("GET", f"/tenants/{TENANT}").json()
        whole = {name: whole[name] for name in ("name", "profiles", "limits")}
        sent = {"PHONE": {"origins": [self._stack.simulator.url, self._leaky]}}
        self.operate("PUT", f"/tenants/{TENANT}", json={**whole, "request_secrets": sent})
        made = self.operate(
            "POST", f"/tenants/{TENANT}/keys", json={"name": "k", "scopes": ["chat", "read", "admin"]}
        ).json()
        self._key, self._key_id = made["key"], made["id"]
        self.keys.append(self._key)
        until(lambda: "support" in self.ask("GET", "/v1/models").text, what="the new key's effect")

    def _chat(self) -> None:
        self._stack.simulator.draft(text="Let me have a look at that.")
        answer = self.turn("support", "call-1")
        assert answer.text.endswith("data: [DONE]\n\n"), answer.text
        again = {"Idempotency-Key": "once"}
        body = {"model": "support", "session_id": "call-1", "messages": [user("And on Sundays?")]}
        for _ in range(2):
            assert self.ask("POST", PATH, json=body, headers=again).is_success
        assert self.turn("paced", "call-8").is_success
        for profile in ("redacted", "nothing"):
            words = [user("My card is 4111 1111 1111 1111, write to anna@example.org")]
            assert self.turn(profile, f"call-{profile}", messages=words).is_success

    def _go_on_and_stop(self) -> None:
        slow = {"model": "slow", "stream": True, "session_id": "call-2", "messages": [user("Hello")]}
        headers = {"Authorization": f"Bearer {self._key}"}
        with self._stack.client.stream("POST", PATH, json=slow, headers=headers) as stream:
            turn = stream.headers["x-turn-id"]
            next(stream.iter_raw())
            path = f"/v1/sessions/call-2/turns/{turn}"
            assert self.ask("GET", path).is_success
            assert self.ask("POST", f"{path}/interrupt", json={"heard_chars": 1}).is_success
        assert self.ask("GET", path, headers={"Accept": "text/event-stream"}).is_success
        with self._stack.client.stream("POST", PATH, json=slow, headers=headers) as stream:
            next(stream.iter_raw())
        until(lambda: self._ended("call-2", 2), what="the end of a turn that was left")
        with self._stack.client.stream("POST", PATH, json=slow, headers=headers) as stream:
            next(stream.iter_raw())
            stopped = self.ask("POST", "/v1/sessions/call-2/cancel")
            assert stopped.is_success, stopped.text
        made = self.ask("POST", "/v1/tokens", json={"scopes": ["read"], "session": "call-2"}).json()
        self.keys.append(made["token"])
        shown = self._stack.client.get("/v1/sessions/call-2", params={"token": made["token"]})
        assert shown.is_success
        self.told.append(shown.content)

    def _look_back(self) -> None:
        for path in ("", "/call-1", "/call-1/events", "/call-1/export", "/call-1/replay?speed=max"):
            assert self.ask("GET", f"/v1/sessions{path}").is_success, path
        for path in ("/v1/usage", "/v1/limits", "/v1/usage?format=csv"):
            assert self.ask("GET", path).is_success, path
        assert self.ask("DELETE", "/v1/sessions/call-2").status_code == 204

    def _know(self) -> None:
        path = "/v1/knowledge/default/documents"
        assert self.ask("PUT", f"{path}/hours", json={"text": "We open at nine."}).is_success
        assert self.turn("support", "call-3", path="/rag/chat/completions").is_success
        for each in ("/v1/knowledge", path, f"{path}/hours"):
            assert self.ask("GET", each).is_success
        assert self.ask("DELETE", f"{path}/hours").is_success
        self.ask("PUT", f"{path}/hours", json={"text": "We open at ten."})
        assert self.ask("DELETE", path).is_success

    def _speak(self) -> None:
        answer = self.turn("support", "call-4", path="/audio/chat/completions")
        assert answer.is_success
        path = f"/v1/sessions/call-4/turns/{answer.headers['x-turn-id']}/audio"
        sound = self.ask("GET", path)
        assert sound.is_success, sound.text

    def _call_as_telephony_does(self) -> None:
        asked = {
            "provider": "CUSTOM_LLM",
            "model": "full",
            "tokenSecret": "PHONE",
            "url": f"{self._stack.simulator.url}/v1/chat/completions?key={QUERY_SECRET}",
            "headers": {"Authorization": "Bearer PHONE", "X-Own": HEADER_SECRET},
            "messages": [user("Hello")],
        }
        for url in (asked["url"], f"{self._leaky}/?key={QUERY_SECRET}"):
            answer = self.ask("POST", "/v1/llm-request", json={**asked, "url": url})
            assert answer.is_success, answer.text
        elsewhere = self.ask("POST", "/v1/llm-request", json={**asked, "url": "https://example.org/"})
        assert elsewhere.status_code == 400

    def _fail(self) -> None:
        self.turn("leaky", "call-5")
        similar = self._key[:-1] + ("y" if self._key.endswith("x") else "x")
        for key in ("none", similar, "frt_x.y", OPERATOR + "x"):
            assert self.ask("GET", "/v1/sessions", key=key).status_code == 401
            assert self.ask("GET", "/admin/tenants", key=key).status_code == 401
        for body in (b"{", b"[]", b'{"messages": 1}'):
            assert self.ask("POST", PATH, content=body).status_code == 400
        assert self.ask("PUT", f"/admin/tenants/{TENANT}/secrets/X Y", json={"value": MODEL_SECRET}).is_error
        wrong = {"full": {"base_url": f"https://user:{MODEL_SECRET}@example.org", "model": "m"}}
        assert self.ask("PUT", f"/admin/tenants/{TENANT}/profiles/wrong", json=wrong).status_code == 400

    def _wait_for_a_worker(self) -> None:
        """A turn that no worker takes for so long that the sweep looks after it."""
        full, looked = self._stack.processes["full-1"], "cmdstat_lpos"
        full.kill()
        headers = {"Authorization": f"Bearer {self._key}"}
        asked = {"model": "ernie", "stream": True, "session_id": "call-9", "messages": [user("Hello")]}
        with self._stack.client.stream("POST", PATH, json=asked, headers=headers) as stream:
            until(lambda: looked in at_once(self._stack.redis.info("commandstats")), what="the sweep's look")
            full.heal()
            rest = b"".join(stream.iter_raw())
        self.told.append(rest)
        assert rest.endswith(b"data: [DONE]\n\n"), rest

    def _hurt(self) -> None:
        """A worker dies in the middle of an answer, another goes on with it; a replica dies, too."""
        stack = self._stack
        headers = {"Authorization": f"Bearer {self._key}"}
        slow = {"model": "slow", "stream": True, "session_id": "call-6", "messages": [user("Hello")]}
        with stack.client.stream("POST", PATH, json=slow, headers=headers) as stream:
            pieces = stream.iter_raw()
            next(pieces)
            for name in ("full-1", "draft-1"):
                stack.processes[name].kill()
                stack.processes[name].heal()
            rest = b"".join(pieces)
        self.told.append(rest)
        assert rest.endswith(b"data: [DONE]\n\n")
        gone_on = {**slow, "session_id": "call-7", "fast_reply": {"on_disconnect": "continue"}}
        with stack.client.stream("POST", PATH, json=gone_on, headers=headers) as stream:
            next(stream.iter_raw())
            stack.api.kill()
        stack.heal()
        until(lambda: self._ended("call-7", 1), what="the end of a turn whose replica died")

    def _cost_two_replicas(self) -> None:
        """A turn loses one replica, and the next that goes on with it: it is parked, and listed."""
        stack, headers = self._stack, {"Authorization": f"Bearer {self._key}"}
        policy = {"on_disconnect": "continue"}
        asked = {"model": "endless", "stream": True, "session_id": "call-10", "fast_reply": policy}
        asked["messages"] = [user("Hello")]
        with stack.client.stream("POST", PATH, json=asked, headers=headers) as stream:
            turn = stream.headers["x-turn-id"]
            next(stream.iter_raw())
            stack.api.kill()
        stack.heal()
        until(lambda: self._lost_its_driver(turn), what="the word that a turn lost its driver")
        headers["Accept"] = "text/event-stream"
        path = f"/v1/sessions/call-10/turns/{turn}"
        with stack.client.stream("GET", path, headers=headers) as stream:
            next(stream.iter_raw())
            stack.api.kill()
        stack.heal()
        until(lambda: self.operate("GET", "/parked").json()["data"], what="the parking of a turn")
        assert b"turn_parked" in self.ask("GET", path).content

    def _keep(self) -> None:
        """Wait until what comes after a turn is done: settled, told of, masked, archived."""
        until(self._all_settled, what="the accounting of all turns")
        until(lambda: not self._clear("call-redacted"), what="the masking of a turn")
        until(lambda: not self._clear("call-nothing"), what="the dropping of a turn's words")
        until(lambda: list(self._stack.folder.rglob("*.jsonl.gz")), what="the move to the archive")
        self.operate("POST", "/secrets/rotate")

    def _tear_down(self) -> None:
        for path in ("/tenants", "/audit", "/usage", f"/tenants/{TENANT}/keys", f"/tenants/{TENANT}/secrets"):
            self.operate("GET", path)
        self.operate("DELETE", f"/tenants/{TENANT}/keys/{self._key_id}")
        until(lambda: self.ask("GET", "/v1/models").status_code == 401, what="the revoked key's end")
        self.operate("DELETE", f"/tenants/{TENANT}")
        until(self._made_anew, what="the end of all that a deleted tenant had")

    def _ended(self, session: str, turns: int) -> bool:
        told = self.ask("GET", f"/v1/sessions/{session}").json().get("turns", [])
        return len(told) >= turns and all(turn["reason"] for turn in told)

    def _lost_its_driver(self, turn: str) -> bool:
        lines = [line for each in self._stack.processes.values() for line in each.words().splitlines()]
        return any("a turn lost its driver" in line and turn in line for line in lines)

    def _made_anew(self) -> bool:
        return self.ask("POST", "/admin/tenants", key=OPERATOR, json={"id": TENANT}).is_success

    def _all_settled(self) -> bool:
        used = self.ask("GET", "/v1/limits").json()["used"]
        return not used["tokens_reserved_today"]

    def _clear(self, session: str) -> bool:
        told = self.ask("GET", f"/v1/sessions/{session}/export").text
        return "4111" in told or "anna" in told or not told


def _profiles(server: str, leaky: str) -> dict[str, dict[str, Any]]:
    full = {"base_url": server, "model": "full", "secret": "MODEL"}
    draft = {"base_url": server, "model": "draft", "secret": "MODEL"}
    broken = {"base_url": f"{leaky}/v1", "model": "full", "secret": "MODEL"}
    support = {
        "full": full,
        "draft": draft,
        "policy": {"filler": {"phrases": {"*": ["One moment."]}, "delay_ms": 500}},
        "webhook": {"url": f"{leaky}/hook", "secret": "HOOK"},
    }
    return {
        "support": support,
        "redacted": {**support, "record": "redacted"},
        "nothing": {**support, "record": "none"},
        "paced": {**support, "policy": {"draft": {"when": "adaptive"}}},
        "slow": {"full": {**full, "model": "tour-slow"}, "draft": draft, "fallbacks": [full]},
        "endless": {"full": {**full, "model": "tour-endless"}, "draft": draft},
        "ernie": {
            "full": {"base_url": f"ernie+{server.removesuffix('/v1')}", "model": "full", "secret": "ACCOUNT"}
        },
        "leaky": {"full": broken, "draft": broken, "fallbacks": [broken]},
    }
