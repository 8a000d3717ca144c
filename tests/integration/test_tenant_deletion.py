"""A deleted tenant is gone from everywhere after the keeper's next rounds, whatever dies meanwhile."""

import asyncio
import secrets

import pytest

from common.errors import Conflict
from common.knowledge.documents import Document, Documents
from common.names import CollectionRef, SessionRef
from common.sessions.archive import Archive
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.config import TenantConfig
from common.tenants.stored import TenantStore
from tests.support.dying_steps import Steps
from tests.support.ended_turns import LONG_AGO_MS, add_turn, keep, keeping, open_keeper
from tests.support.redis_replies import reply
from tests.support.store_servers import Backend
from tests.support.waiting import end, in_loop
from workers.upkeep.retention import RetentionJob

ACME = SessionRef("acme", "call 7:{a}")
ZETA = SessionRef("zeta", "call 7:{a}")


async def fill(stores: Stores, *, archived: bool = True) -> None:
    """Two tenants with sessions, documents, and all that is kept of a tenant beside."""
    for tenant in ("acme", "zeta"):
        await TenantStore(stores, None).put_tenant(tenant, TenantConfig())
        for name in ("call 7:{a}", "new"):
            await add_turn(stores, SessionRef(tenant, name), LONG_AGO_MS if archived else None)
        await Documents(stores).put(CollectionRef(tenant, "faq"), [Document("d1", "We open at nine.")])
        await reply(stores.queue.lpush(keys.pace(tenant, "support"), 700))
        await stores.queue.set(keys.full_only(tenant), 1)
        await stores.queue.set(keys.archived_until(tenant), LONG_AGO_MS - 1)
        await stores.queue.zadd(keys.turn_starts(tenant), {"t": 1})
        await stores.queue.zadd(keys.deleted(tenant), {"old": LONG_AGO_MS})


async def names_of(stores: Stores, tenant: str) -> set[str]:
    """Every key that names the tenant, and every set it is a member of, on both servers."""
    found: set[str] = set()
    for redis in {stores.log, stores.queue}:
        for key in await redis.keys("fr:*"):
            if f":{tenant}" in (name := key.decode()) or f"{{{tenant}:" in name:
                found.add(name)
            elif await redis.type(key) == b"set":
                found |= {
                    name for m in await reply(redis.smembers(key)) if m.decode().split(":")[0] == tenant
                }
            elif await redis.type(key) == b"hash":
                found |= {name for m in await reply(redis.hkeys(key)) if m.decode() == tenant}
    return found


@in_loop
async def test_nothing_of_a_deleted_tenant_is_left_and_all_of_the_others(
    real: Backend, archive_url: str
) -> None:
    settings, archive = real.settings(archive_url=archive_url), Archive(archive_url)
    async with keeping(settings) as (eyes, keeper):
        await fill(eyes)
        await keep(keeper, eyes)
        await add_turn(eyes, ACME)
        assert await archive.read(ACME) and await eyes.log.exists(keys.log(ACME))
        others = await names_of(eyes, "zeta")
        await TenantStore(eyes, None).delete_tenant("acme")
        await keep(keeper, eyes)
        for session in (ACME, SessionRef("acme", "new")):
            assert not await archive.read(session) and not await eyes.log.exists(keys.log(session))
        with pytest.raises(Conflict):
            await TenantStore(eyes, None).put_tenant("acme", TenantConfig())
        await keep(keeper, eyes)
        assert await names_of(eyes, "acme") == set()
        assert await names_of(eyes, "zeta") == others and await archive.read(ZETA)
        assert await Documents(eyes).count(CollectionRef("zeta", "faq")) == 1
        await TenantStore(eyes, None).put_tenant("acme", TenantConfig(), create=True)
        await add_turn(eyes, ACME)
        await keep(keeper, eyes)
        assert len(await eyes.log.xrange(keys.log(ACME))) == 2


@in_loop
async def test_what_is_added_by_who_has_not_heard_of_it_goes_too(real: Backend) -> None:
    async with keeping(real.settings()) as (eyes, keeper):
        await fill(eyes)
        await TenantStore(eyes, None).delete_tenant("acme")
        await keep(keeper, eyes)
        late = await add_turn(eyes, SessionRef("acme", "late"))
        await keep(keeper, eyes)
        assert not await eyes.log.exists(keys.log(late.session))
        assert keys.TENANTS_GONE in await names_of(eyes, "acme")
        await keep(keeper, eyes)
        assert await names_of(eyes, "acme") == set()


@in_loop
async def test_what_is_reserved_and_who_is_live_is_waited_for(real: Backend) -> None:
    async with keeping(real.settings()) as (eyes, keeper):
        await fill(eyes)
        live = await add_turn(eyes, ACME, ended=False)
        await reply(eyes.queue.hset(keys.reserved("acme"), str(live), "20260101:50"))
        await TenantStore(eyes, None).delete_tenant("acme")
        for _ in range(3):
            await keep(keeper, eyes)
        assert not await eyes.log.exists(keys.log(ACME))
        assert {keys.TENANTS_GONE, keys.reserved("acme")} <= await names_of(eyes, "acme")
        await eyes.queue.delete(keys.reserved("acme"), keys.live_turns("acme"))  # the settler and the sweep
        await keep(keeper, eyes)
        assert await names_of(eyes, "acme") == set()


@in_loop
async def test_where_a_file_says_who_is_there_nothing_is_cleared(real: Backend) -> None:
    async with keeping(real.settings(tenants="tenants.toml")) as (eyes, keeper):
        await fill(eyes, archived=False)
        await TenantStore(eyes, None).delete_tenant("acme")
        await keep(keeper, eyes)
        assert await eyes.log.exists(keys.log(ACME))


@pytest.mark.parametrize("after", [False, True])
@in_loop
async def test_killed_at_any_step_the_next_one_ends_it(
    two_servers: Backend, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    url = f"memory://{secrets.token_hex(4)}"
    settings = two_servers.settings(archive_url=url)
    async with open_stores(settings) as eyes:
        await eyes.sync_clocks()
        for die_at in range(1, 200, 2):
            await fill(eyes)
            await TenantStore(eyes, None).delete_tenant("acme")
            steps = Steps(die_at, after=after)
            async with open_keeper(settings) as keeper:
                with monkeypatch.context() as patched:
                    steps.patch(patched)
                    await _until_dead(keeper, steps)
            async with open_keeper(settings) as keeper:
                for _ in range(3):
                    await keep(keeper, eyes)
            assert await names_of(eyes, "acme") == set()
            assert not await Archive(url).read(ACME)
            if not steps.died.is_set():
                break
        assert 20 < die_at < 199
        assert await Documents(eyes).count(CollectionRef("zeta", "faq")) == 1


async def _until_dead(keeper: RetentionJob, steps: Steps) -> None:
    """Two rounds, or as far as it comes."""
    others = asyncio.all_tasks()

    async def rounds() -> None:
        for _ in range(2):
            await keeper._clear("acme")

    tasks = [asyncio.create_task(rounds()), asyncio.create_task(steps.died.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await end(*(asyncio.all_tasks() - others))
