"""A budget's edge: three API processes share it exactly, and what one held that was killed is used again."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from common.settings import Settings
from common.store import keys
from common.store.redis import open_stores
from common.tenants.api_keys import new_key
from common.tenants.config import SCOPES, KeyConfig, Limits, TenantConfig
from common.tenants.stored import TenantStore
from tests.support.gateway_stack import PATH, Simulator, Stack, user
from tests.support.processes import until
from tests.support.redis_replies import at_once

QUESTION, DRAFTS_PROMPT = "When do you open?", "Bridge."
ANSWER, BRIDGE = 40, 20  # tokens at most
FULL = math.ceil(len("user" + QUESTION) / 3) + ANSWER
DRAFT = math.ceil(len("user" + QUESTION + DRAFTS_PROMPT) / 3) + BRIDGE
ONE = FULL + DRAFT  # what each turn reserves
TURNS = 50
APIS = ("api", "replica", "replica-2")
SETTINGS = {
    "SMALL_MODEL_PROMPT": DRAFTS_PROMPT,
    "SMALL_MODEL_MAX_TOKENS": str(BRIDGE),
    "FAST_REPLY_RESUME_GRACE_S": "0.3",
    "FAST_REPLY_TURN_LEASE_S": "1.2",
    "FAST_REPLY_LANE_LEASE_S": "20",  # no worker dies here: on a busy machine none is to look dead
    "FAST_REPLY_FIRST_TOKEN_TIMEOUT_S": "120",
}


@pytest.fixture
def stack(simulator: Simulator, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(simulator, tmp_path, SETTINGS, replicas=3)
    with stack.running():
        yield stack


async def set_up_tenant(stack: Stack) -> str:
    """Give the default tenant a budget; a key of it."""
    key = new_key()
    config = TenantConfig(limits=Limits(tokens_per_day=TURNS * ONE))
    async with open_stores(Settings(redis_url=stack.redis_url)) as stores:
        store = TenantStore(stores, None)
        await store.put_tenant("default", config)
        await store.put_key(key.id, KeyConfig(tenant="default", digest=key.digest, scopes=SCOPES))
    return key.text


class Budget:
    """What the store holds of the tenant's tokens."""

    def __init__(self, stack: Stack) -> None:
        self._redis = stack.redis

    def read(self) -> tuple[int, int]:
        """How many are spent and reserved, in all days that the test has seen."""
        days = [
            at_once(self._redis.hgetall(key)) for key in self._redis.scan_iter(keys.tokens("default", "*"))
        ]
        spent, reserved = ([int(day.get(name, 0)) for day in days] for name in (b"spent", b"reserved"))
        return sum(spent), sum(reserved)

    @property
    def held(self) -> set[bytes]:
        """What the turns that are not settled have reserved."""
        return {value.partition(b":")[2] for value in at_once(self._redis.hvals(keys.reserved("default")))}


class Callers:
    """Many clients at once, each of whom asks and then listens."""

    def __init__(self, stack: Stack, key: str, model: str) -> None:
        limits = httpx.Limits(max_connections=None)
        urls = [str(client.base_url) for client in stack.clients]
        headers = {"Authorization": f"Bearer {key}"}
        self._body = {"model": model, "stream": True, "messages": [user(QUESTION)], "max_tokens": ANSWER}
        self._clients = [
            httpx.AsyncClient(base_url=url, limits=limits, headers=headers, timeout=60, trust_env=False)
            for url in urls
        ]

    async def ask(self, count: int, *replicas: int) -> list[httpx.Response]:
        """Turns at once, over these replicas in turn; the streams stay open."""
        return await asyncio.gather(*(self._ask(replicas[n % len(replicas)]) for n in range(count)))

    async def known(self) -> bool:
        """Whether the replicas know the tenant and its key: they serve it, and nobody else any more."""
        statuses = [
            (await client.get("/v1/models", headers=headers)).status_code
            for client in self._clients
            for headers in ({"Authorization": ""}, {})
        ]
        return statuses == [401, 200] * len(self._clients)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def _ask(self, replica: int) -> httpx.Response:
        client = self._clients[replica]
        response = await client.send(client.build_request("POST", PATH, json=self._body), stream=True)
        if response.status_code != 200:
            await response.aread()
        response.extensions["replica"] = replica
        return response


def passed(answers: list[httpx.Response]) -> list[httpx.Response]:
    """The turns that were let in; whoever was not is told why."""
    for each in answers:
        assert each.status_code in (200, 429), each.text
        assert each.headers["x-ratelimit-limit-tokens"] == str(TURNS * ONE)
        if each.status_code != 200:
            assert (each.status_code, each.json()["error"]["code"]) == (429, "tokens_per_day_exceeded")
            assert 0 < int(each.headers["retry-after"]) <= 86_400
            assert int(each.headers["x-ratelimit-remaining-tokens"]) < ONE
    return [each for each in answers if each.status_code == 200]


async def eventually(check: Callable[[], object]) -> None:
    await asyncio.to_thread(until, check)


def test_a_budget_is_kept_to_the_token_and_a_dead_apis_share_comes_back(stack: Stack) -> None:
    asyncio.run(_spend(stack, stack.simulator.full(stall_headers=True)))
    assert stack.bugs() == []


async def _spend(stack: Stack, model: str) -> None:
    stack.simulator.draft(text="One moment.")
    budget, callers = Budget(stack), Callers(stack, await set_up_tenant(stack), model)
    while not await callers.known():
        await asyncio.sleep(0.02)

    answers = await callers.ask(4 * TURNS, 0, 1, 2)
    live = passed(answers)
    assert len(live) == TURNS
    assert (budget.read(), budget.held) == ((0, TURNS * ONE), {str(ONE).encode()})

    # All their drafts have spoken, all their fulls are asked.
    await eventually(lambda: stack.simulator.stats("draft")["finished"] == TURNS)
    await eventually(lambda: stack.simulator.stats(model)["live"] == TURNS)
    ((dying, lost),) = Counter(each.extensions["replica"] for each in live).most_common(1)
    stack.processes[APIS[dying]].kill()
    await eventually(lambda: budget.read()[1] == (TURNS - lost) * ONE)
    spent, reserved = budget.read()
    assert 0 < spent < lost * ONE, "what they had used"
    room = (TURNS * ONE - spent - reserved) // ONE
    assert 0 < room < lost

    more = passed(await callers.ask(2 * TURNS, *({0, 1, 2} - {dying})))
    assert len(more) == room
    assert budget.read() == (spent, reserved + room * ONE)

    await callers.close()  # all leave: nothing stays reserved
    await eventually(lambda: budget.read()[1] == 0 and not budget.held)
    assert not stack.redis.exists(keys.live_turns("default"), keys.UNSETTLED)
    print(
        f"{TURNS} of {4 * TURNS} passed, {lost} were lost, {spent} tokens of them spent; {room} more passed"
    )
