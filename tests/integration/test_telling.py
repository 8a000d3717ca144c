"""Telling of ended turns: at least once, signed, again after a failure, and by whoever lives."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from common import driver
from common.events import TurnEnded
from common.log.stream import append_now
from common.names import SessionRef, TurnRef
from common.queue import job_queue
from common.security.secret_box import SecretBox, place_of
from common.security.url_guard import open_guarded_client
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.directory import Directory
from common.tenants.profiles import DEFAULT_PROFILE
from tests.support.ended_turns import add_turn, begun, put
from tests.support.failing_steps import fail_first
from tests.support.scripted_model import Scripted
from tests.support.served_api import open_port
from tests.support.store_servers import Backend
from tests.support.stored_tenants import FULL, add_tenant
from tests.support.stored_turns import lapse, start
from tests.support.waiting import end, in_loop, until
from tests.support.wiring import open_worker
from workers.upkeep.webhooks import BACK_OFF_S, WebhookSender, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """A webhook on loopback: answers with these statuses, the last one for ever; 0 is no answer at all."""

    statuses: list[int]
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
                self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
                status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
                if not status:
                    await reader.read()
                writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 5\r\nLocation: /\r\n\r\nthank" % status)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def told(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(statuses) or [200])
    async with open_port(receiver.serve) as receiver.port:
        yield receiver


def settings_for(backend: Backend, receiver: Receiver, **changes: Any) -> Settings:
    url = f"http://127.0.0.1:{receiver.port}/hook"
    ours = {"webhook_url": url, "webhook_secret": SECRET, "allowed_hosts": (f"127.0.0.1:{receiver.port}",)}
    return backend.settings(**{**ours, **changes})


@asynccontextmanager
async def open_teller(settings: Settings, name: str = "w:1") -> AsyncIterator[WebhookSender]:
    async with (
        open_stores(settings) as stores,
        open_guarded_client(settings.allowed_hosts, 5) as client,
    ):
        await stores.sync_clocks()
        yield WebhookSender(Directory(settings, stores), stores, Sessions(stores, None), client, name)


async def end_one(stores: Stores, session: SessionRef) -> TurnRef:
    """A turn that has ended and is to be told of."""
    turn = await add_turn(stores, session)
    await stores.on_queue.run(lambda pipe: job_queue.enqueue_webhook(pipe, turn, 1))
    return turn


async def listed(stores: Stores) -> dict[str, int]:
    """What is yet to be told, and when."""
    found = await stores.queue.zrange(keys.TELLING, 0, -1, withscores=True)
    return {member.decode(): int(score) for member, score in found}


async def bring_on(stores: Stores) -> None:
    """Let everything be due that is yet to be told, and nobody hold it."""
    for member in await listed(stores):
        await stores.queue.zadd(keys.TELLING, {member: 1}, xx=True)
        await stores.queue.delete(keys.telling(member))


# The message.


def test_a_message_is_signed_as_the_standard_says() -> None:
    """Its own example."""
    body = b'{"test": 2432232314}'
    signed = sign(SecretStr(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    bare = sign(SecretStr(SECRET.removeprefix("whsec_")), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert bare == signed


def test_a_secret_that_is_no_base64_is_taken_as_it_is_and_none_signs_nothing() -> None:
    digest = hmac.digest(b"not base64!", b"t1.5.{}", hashlib.sha256)
    signed = sign(SecretStr("not base64!"), "t1", 5, b"{}")
    assert signed["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert "webhook-signature" not in sign(SecretStr(""), "t1", 5, b"{}")


@in_loop
async def test_an_ended_turn_is_told_of_once(real: Backend, session: SessionRef) -> None:
    async with receiving() as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            turn = await end_one(eyes, session)
            assert await teller.send_due() == 1
            assert await teller.send_due() == 0 and await listed(eyes) == {}
            assert not await eyes.queue.keys("fr:telling*")
        ((headers, body),) = receiver.got
        message = orjson.loads(body)
        assert message["type"] == "turn.ended" and message["timestamp"].endswith("+00:00")
        assert message["data"]["session"] == session.session and message["data"]["id"] == turn.turn
        assert (message["data"]["reason"], message["data"]["asked"]) == ("stop", "When do you open?")
        assert headers["webhook-id"] == turn.turn and headers["content-type"] == "application/json"
        again = sign(SecretStr(SECRET), turn.turn, int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == again["webhook-signature"]


# Failures.


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
@in_loop
async def test_after_a_failure_it_is_tried_again_later(
    real: Backend, session: SessionRef, status: int
) -> None:
    async with receiving(status, 200) as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            await eyes.sync_clocks()
            turn = await end_one(eyes, session)
            before_ms = eyes.queue_clock.now_ms()
            await teller.send_due()
            ((member, due_ms),) = (await listed(eyes)).items()
            assert member == f"{turn}|2" and due_ms > before_ms + 4_000
            assert await teller.send_due() == 0
            await bring_on(eyes)
            assert await teller.send_due() == 1 and await listed(eyes) == {}
        assert [headers["webhook-id"] for headers, _ in receiver.got] == [turn.turn] * 2
        assert receiver.told[0] == receiver.told[1]


@in_loop
async def test_it_waits_longer_after_each_failure_and_gives_up_at_last(
    real: Backend, session: SessionRef, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving(500) as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            await eyes.sync_clocks()
            await end_one(eyes, session)
            for wait_s in BACK_OFF_S:
                before_ms = eyes.queue_clock.now_ms()
                await teller.send_due()
                (due_ms,) = (await listed(eyes)).values()
                assert due_ms > before_ms + wait_s * 800
                await bring_on(eyes)
            await teller.send_due()
            assert await listed(eyes) == {}
        assert len(receiver.got) == len(BACK_OFF_S) + 1
    assert "gave up telling of a turn" in caplog.messages


@in_loop
async def test_a_receiver_that_is_gone_is_told_no_more_of_this_turn(
    real: Backend, session: SessionRef
) -> None:
    async with receiving(410) as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            await end_one(eyes, session)
            await teller.send_due()
            assert await listed(eyes) == {} and len(receiver.got) == 1


@in_loop
async def test_a_silent_receiver_and_none_at_all_are_failures(
    real: Backend, session: SessionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.upkeep.webhooks.TIMEOUT_S", 0.1)
    async with receiving(0) as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            turn = await end_one(eyes, session)
            await teller.send_due()
            assert list(await listed(eyes)) == [f"{turn}|2"]
    async with open_stores(settings) as eyes, open_teller(settings) as teller:
        await bring_on(eyes)
        await teller.send_due()
        assert list(await listed(eyes)) == [f"{turn}|3"]


@in_loop
async def test_a_private_address_that_is_not_allowed_is_never_told(
    real: Backend, session: SessionRef
) -> None:
    async with receiving() as receiver:
        settings = settings_for(real, receiver, allowed_hosts=())
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            turn = await end_one(eyes, session)
            await teller.send_due()
            assert list(await listed(eyes)) == [f"{turn}|2"] and not receiver.got


@in_loop
async def test_what_is_deleted_is_not_told_of_and_what_is_broken_keeps_nobody(
    real: Backend, session: SessionRef
) -> None:
    async with receiving() as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            await end_one(eyes, session)
            assert await Sessions(eyes, None).delete(session)
            kept = await end_one(eyes, SessionRef("default", "other"))
            await eyes.queue.zadd(keys.TELLING, {"nonsense": 1, f"{kept}:full:1|1": 1, f"{kept}|x": 1})
            await teller.send_due()
            assert await listed(eyes) == {}
            assert [headers["webhook-id"] for headers, _ in receiver.got] == [kept.turn]


# Tellers.


@in_loop
async def test_many_tellers_tell_of_each_turn_once(real: Backend, session: SessionRef) -> None:
    async with receiving() as receiver:
        settings = settings_for(real, receiver)
        async with (
            open_stores(settings) as eyes,
            open_teller(settings, "w:1") as first,
            open_teller(settings, "w:2") as second,
            open_teller(settings, "w:3") as third,
        ):
            turns = [await end_one(eyes, session) for _ in range(50)]
            while await listed(eyes):
                await asyncio.gather(*(teller.send_due() for teller in (first, second, third)))
        assert sorted(headers["webhook-id"] for headers, _ in receiver.got) == sorted(t.turn for t in turns)


@in_loop
async def test_what_another_has_just_told_of_is_not_told_again(real: Backend, session: SessionRef) -> None:
    async with receiving() as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            member = f"{await end_one(eyes, session)}|1"
            assert await teller.send_due() == 1
            assert await teller._hold([member], eyes.queue_clock.now_ms()) == []


@in_loop
async def test_another_goes_on_where_a_teller_died(real: Backend, session: SessionRef) -> None:
    async with receiving(0, 200) as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as other:
            turn = await end_one(eyes, session)
            async with open_teller(settings) as teller:
                telling = asyncio.create_task(teller.send_due())
                await until(lambda: receiver.got)
                assert await other.send_due() == 0  # it is held
                await end(telling)
            assert list(await listed(eyes)) == [f"{turn}|1"]
            assert 0 < await eyes.queue.pttl(keys.telling(f"{turn}|1")) < 60_000
            await bring_on(eyes)
            assert await other.send_due() == 1
            assert await listed(eyes) == {} and len(receiver.got) == 2


@in_loop
async def test_a_teller_goes_on_while_the_stores_are_away(
    real: Backend, session: SessionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.upkeep.webhooks._POLL_S", 0.01)
    async with receiving() as receiver:
        settings = settings_for(real, receiver)
        async with open_stores(settings) as eyes, open_teller(settings) as teller:
            away = fail_first(monkeypatch, teller, "_begin")
            running = asyncio.create_task(teller.run())
            await end_one(eyes, session)
            await until(lambda: receiver.got)
            await end(running)
            assert not away.left


# Whoever ends a turn has it told of.


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/hook"])
@in_loop
async def test_the_sweep_lists_what_it_ends(real: Backend, url: str) -> None:
    settings = real.settings(webhook_url=url, webhook_secret=SECRET)
    async with open_stores(settings) as eyes, open_worker(settings, "full", Scripted()) as sweeper:
        turn = await start(eyes, settings)
        assert await listed(eyes) == {}
        await lapse(eyes, turn)
        await sweeper.sweep_now()
        assert list(await listed(eyes)) == ([f"{turn}|1"] if url else [])


@in_loop
async def test_a_driver_that_dies_between_log_and_queue_has_it_told_of_all_the_same(
    two_servers: Backend, session: SessionRef
) -> None:
    settings = two_servers.settings(webhook_url="http://127.0.0.1:9/hook", webhook_secret=SECRET)
    async with open_stores(settings) as eyes, open_worker(settings, "full", Scripted()) as sweeper:
        turn = TurnRef(session, "turn0001")
        await put(eyes, session, begun(turn.turn, tell=True))
        await append_now(eyes, session, TurnEnded(turn.turn, "stop", 0, {}, "", False, None))
        await eyes.on_queue.run(lambda pipe: job_queue.hold_turns(pipe, [turn], 1))
        await sweeper.sweep_now()
        assert list(await listed(eyes)) == [f"{turn}|1"]


@in_loop
async def test_ending_a_turn_twice_lists_it_once(real: Backend, session: SessionRef) -> None:
    async with open_stores(real.settings()) as eyes:
        turn = TurnRef(session, "turn0001")
        for now_ms in (5, 9):
            await eyes.on_queue.run(partial(driver.let_go, turn=turn, tell=True, now_ms=now_ms))
        assert await listed(eyes) == {f"{turn}|1": 5}


@in_loop
async def test_a_tenant_whose_receiver_is_slow_keeps_no_other_waiting(valkey: Backend) -> None:
    async with receiving(0) as slow, receiving(200) as quick:
        hosts = tuple(f"127.0.0.1:{receiver.port}" for receiver in (slow, quick))
        settings, seal = valkey.settings(allowed_hosts=hosts, secret_key="sealing"), SecretBox("sealing")
        async with open_stores(settings) as stores, open_teller(settings) as teller:
            await stores.sync_clocks()
            for tenant, receiver in (("a-slow", slow), ("z-quick", quick)):
                hook = {"url": f"http://127.0.0.1:{receiver.port}/", "secret": "HOOK"}
                profiles = {DEFAULT_PROFILE: {"full": FULL, "webhook": hook}}
                sealed = {"HOOK": seal.write(SECRET, place_of(tenant, "HOOK"))}
                await add_tenant(stores, tenant, seal, profiles=profiles, secrets=sealed)
            await teller._directory.refresh()
            for number in range(250):
                await end_one(stores, SessionRef("a-slow", f"s{number}"))
            await end_one(stores, SessionRef("z-quick", "s"))  # behind all of them
            telling = asyncio.create_task(teller.run())
            await until(lambda: quick.got)
            assert len(slow.got) <= 100
            await end(telling)
