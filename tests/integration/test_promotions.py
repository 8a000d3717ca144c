"""A server that is demoted is left, and what a promoted one had not got is put back by who wrote it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import ReadOnlyError

from api.turns.live import LiveTurn
from common.errors import FastReplyError
from common.events import Delta, LaneStarted
from common.store import keys
from common.store.redis import Stores, StoreUnavailable, open_stores
from tests.support.following import hear
from tests.support.redis_replies import at_once, reply
from tests.support.scripted_model import END, Scripted, answer, words
from tests.support.served_api import serving
from tests.support.store_servers import Backend, ValkeyServer, running
from tests.support.stored_turns import count, replay
from tests.support.tcp_proxy import proxy_to
from tests.support.turn_events import heard
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """A master and its replica."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with running(ValkeyServer(tmp_path / "a")) as master, running(ValkeyServer(tmp_path / "b")) as replica:
        for server in (master, replica):
            client(server).config_set("repl-diskless-sync-delay", 0)
        follow(replica, master)
        yield master, replica


def client(server: ValkeyServer) -> redis.Redis:
    return redis.Redis(port=server.port, decode_responses=False)


def follow(replica: ValkeyServer, master: ValkeyServer) -> None:
    client(replica).replicaof("127.0.0.1", master.port)


def promote(server: ValkeyServer) -> None:
    client(server).replicaof("NO", "ONE")


def follows(server: ValkeyServer, *, at: int = -1) -> bool:
    """Whether the replica has all that its master has written, up to `at`."""
    about = at_once(client(server).info("replication"))
    return bool(about.get("master_link_status") == "up") and not about.get("master_sync_in_progress")


@in_loop
async def test_a_demoted_servers_connections_are_made_anew(pair: tuple[ValkeyServer, ValkeyServer]) -> None:
    """As through an address that leads to the master: it is the connections that stick to the old one."""
    master, replica = pair
    await until(lambda: follows(replica))
    async with proxy_to(master.port) as proxy:
        settings = Backend(f"redis://127.0.0.1:{proxy.port}/0").settings()
        async with open_stores(settings) as stores:
            await asyncio.gather(*(stores.log.set(f"fr:{n}", b"") for n in range(8)))  # some connections
            promote(replica)
            follow(master, replica)
            proxy.lead_to(replica.port)
            await until(lambda: follows(master))
            refused = 0
            asking: tuple[Callable[[], object], ...] = (
                lambda: stores.on_log.run(lambda pipe: pipe.set("fr:x", b"")),
                lambda: stores.log.set("fr:x", b""),
                lambda: stores.append_connection.set("fr:x", b""),
                lambda: stores.log.eval("return redis.call('SET', KEYS[1], '')", 1, "fr:x"),
            )
            for ask_it in asking:
                for _ in range(2):
                    try:
                        await reply(ask_it())
                    except StoreUnavailable as error:
                        assert isinstance(error.cause, ReadOnlyError)
                        refused += 1
            assert refused <= 2  # once for each pool
            await stores.try_to_write()


@in_loop
async def test_what_a_promoted_server_had_not_got_is_put_back_over_the_same_connection(
    pair: tuple[ValkeyServer, ValkeyServer],
) -> None:
    first, second = pair
    go_on, more = asyncio.Event(), asyncio.Event()
    model = Scripted(full=[[*words("We open"), go_on, *words(" at nine."), more, *answer(" Every day.")]])
    settings = Backend(first.url()).settings()
    await until(lambda: follows(second))
    async with open_worker(settings, "full", model) as worker, open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        await until(lambda: heard(live.outputs) == "We open")
        await until(lambda: worker.publisher._lineage)
        await until(
            lambda: (
                client(second).xlen(keys.log(live.turn.session))
                == client(first).xlen(keys.log(live.turn.session))
            )
        )
        promote(second)  # the first goes on being written to, and none of that gets there
        connects = worker.stores.append_connection.connects
        go_on.set()
        await until(lambda: heard(live.outputs) == "We open at nine.")
        follow(first, second)
        await until(lambda: follows(first))
        promote(first)
        assert await count(api.stores, live.turn, Delta) <= 2
        await until(lambda: _says(api.stores, live, "We open at nine."))
        assert worker.stores.append_connection.connects == connects
        more.set()
        text, end = await hear(live)
        assert (text, end.reason) == ("We open at nine. Every day.", "stop")
        assert await count(api.stores, live.turn, LaneStarted) == len(model.calls) == 1


async def _says(stores: Stores, live: LiveTurn, text: str) -> bool:
    return (await replay(stores, live.turn))[0] == text


@in_loop
async def test_nothing_is_ready_while_nothing_can_be_written(pair: tuple[ValkeyServer, ValkeyServer]) -> None:
    master, replica = pair
    settings = Backend(master.url()).settings()
    async with serving(settings) as http:
        assert (await http.get("/readyz")).status_code == 200
        follow(master, replica)
        await until(lambda: at_once(client(master).info("replication"))["role"] == "slave")
        assert (await http.get("/readyz")).status_code == 503
        promote(master)
        await until(lambda: _ready(http))
        client(master).config_set("min-replicas-to-write", 3)  # NOREPLICAS
        assert (await http.get("/readyz")).status_code == 503
        client(master).config_set("min-replicas-to-write", 0)
        client(master).config_set("maxmemory", 1)  # OOM
        assert (await http.get("/readyz")).status_code == 503
        client(master).config_set("maxmemory", 0)
        await until(lambda: _ready(http))


async def _ready(http: object) -> bool:
    return (await http.get("/readyz")).status_code == 200  # type: ignore[attr-defined, no-any-return]


@in_loop
async def test_a_turn_whose_log_has_a_hole_for_good_says_so(valkey: Backend) -> None:
    settings, model = valkey.settings(), Scripted(full=[[*words("We open"), *END]])
    async with open_worker(settings, "full", model), open_api(settings) as api:
        live = await api.start.run(ask(drafting=False))
        await hear(live)
        await until(lambda: live.closed.is_set())
        await until(lambda: str(live.turn) not in api.turns._live)
        key = keys.log(live.turn.session)
        raw = await api.stores.log.xrange(key)
        await api.stores.log.xdel(key, *(entry for entry, fields in raw if b"lane.finished" in fields))
        with pytest.raises(FastReplyError) as told:
            await api.turns.attach(live.turn)
        assert (told.value.status, told.value.code) == (410, "turn_incomplete")
