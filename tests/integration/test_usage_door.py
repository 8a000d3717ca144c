"""The doors of usage and limits, and the command: what is shown, to whom, and in which shape."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner, Result

from api.limits.usage_report import Table, read_query
from cli.main import app
from common.errors import BadRequest
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.usage import COUNTERS, FAILURE, Used, day_of, field
from tests.support.redis_replies import reply
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer
from tests.support.waiting import in_loop

TODAY = datetime(2026, 11, 21, tzinfo=UTC).date()
OPERATOR = "the-operators"
RANGE = {"from": "2026-11-19", "to": "2026-11-21"}


async def add_usage(stores: Stores, tenant: str, day: str, profile: str, **counts: int) -> None:
    """Usage as the settler leaves it."""
    for name, number in counts.items():
        await reply(stores.queue.hincrby(keys.usage(tenant, day), field(profile, name), number))
    await reply(stores.queue.sadd(keys.USED, tenant))


async def add_some(stores: Stores, tenant: str) -> None:
    await add_usage(stores, tenant, "20261118", "support", turns=100)  # the day before
    await add_usage(stores, tenant, "20261119", "support", turns=2, full_prompt_tokens=10)
    await add_usage(stores, tenant, "20261121", "support", turns=3, draft_completion_tokens=4)
    await add_usage(stores, tenant, "20261121", "a|b", turns=1, deleted_tokens=7)
    await add_usage(stores, tenant, "20261122", "support", turns=100)  # the day after


async def rows(client: httpx.AsyncClient, path: str = "/v1/usage", **query: str) -> list[tuple[Any, ...]]:
    """What each row is for, with its turns and all its tokens."""
    found = (await client.get(path, params={**RANGE, **query})).json()["data"]
    about = ("tenant", "day", "profile", "turns", "total_tokens")
    return [tuple(row[name] for name in about if name in row) for row in found]


# What is asked for.


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "20261121"}, "to"),
        ({"to": "2026-W47-1"}, "to"),
        ({"to": "２０２６-11-21"}, "to"),
        ({"from": "2026-11-22"}, "from"),
        ({"from": "2025-10-17"}, "from"),  # 401 days
        ({"by": "hour"}, "by"),
        ({"format": "xml"}, "format"),
    ],
)
def test_what_cannot_be_is_refused_by_name(query: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_query(query, "", TODAY)
    assert refused.value.param == param


def test_the_last_thirty_days_are_meant_where_nothing_is_said() -> None:
    asked = read_query({}, "*/*", TODAY)
    assert (asked.first, asked.last) == (TODAY - timedelta(days=29), TODAY)
    assert (asked.last - read_query({"from": "2025-10-18"}, "", TODAY).first).days == 399
    assert read_query({"to": "0001-01-05"}, "", TODAY).first.isoformat() == "0001-01-01"
    assert read_query({}, "text/csv", TODAY).csv and not read_query({"format": "json"}, "text/csv", TODAY).csv


@pytest.mark.parametrize("profile", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula_or_breaks_out_of_its_place(profile: str) -> None:
    asked = read_query({}, "", TODAY)
    table = Table(asked)
    table.add("acme", [Used(TODAY, f'{profile}","', {"turns": 1})])
    text = table.as_csv()
    head, row = csv.reader(io.StringIO(text, newline=""))
    assert text.startswith("day,profile,turns,") and text.endswith("\r\n")
    assert row[1] == f'\'{profile}","' and len(row) == len(head)


# What is answered.


@in_loop
async def test_usage_is_shown_by_day_and_profile_or_put_together(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores, serving(valkey.settings()) as client:
        await add_some(stores, "default")
        await add_usage(stores, "other", "20261121", "support", turns=50)
        by_both = [
            ("2026-11-19", "support", 2, 10),
            ("2026-11-21", "a|b", 1, 7),
            ("2026-11-21", "support", 3, 4),
        ]
        assert await rows(client) == by_both
        assert await rows(client, by="day") == [("2026-11-19", 2, 10), ("2026-11-21", 4, 11)]
        assert await rows(client, by="profile") == [("a|b", 1, 7), ("support", 5, 14)]
        assert await rows(client, by="total") == [(6, 21)]
        assert await rows(client, profile="a|b") == [by_both[1]]
        assert await rows(client, profile="nobody") == []
        whole = (await client.get("/v1/usage", params=RANGE)).json()
        assert whole["object"] == "list" and whole["data"][0]["object"] == "usage"
        assert whole["total"]["turns"] == 6 and whole["total"]["failed"] == 0
        assert set(COUNTERS) <= whole["data"][0].keys()


@in_loop
async def test_the_csv_says_the_same(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores, serving(valkey.settings()) as client:
        await add_some(stores, "default")
        answers = [
            await client.get("/v1/usage", params={**RANGE, "format": "csv"}),
            await client.get("/v1/usage", params=RANGE, headers={"Accept": "text/csv"}),
        ]
        assert answers[0].content == answers[1].content
        assert answers[0].headers["content-type"].startswith("text/csv")
        told = list(csv.DictReader(io.StringIO(answers[0].text, newline="")))
        shown = (await client.get("/v1/usage", params=RANGE)).json()["data"]
        assert told == [{name: str(row[name]) for name in row if name != "object"} for row in shown]


@in_loop
async def test_failures_are_told_by_code_and_put_together(valkey: Backend) -> None:
    async with open_stores(valkey.settings()) as stores, serving(valkey.settings()) as client:
        for profile, code, times in (
            ("a", "invalid_api_key", 2),
            ("b", "invalid_api_key", 1),
            ("b", "other", 1),
        ):
            key = keys.usage("default", "20261121")
            await reply(stores.queue.hincrby(key, field(profile, FAILURE + code), times))
        range_ = {"from": "2026-11-21", "to": "2026-11-21"}
        told = (await client.get("/v1/usage", params=range_)).json()
        assert [row["failures"] for row in told["data"]] == [
            {"invalid_api_key": 2},
            {"invalid_api_key": 1, "other": 1},
        ]
        assert all(isinstance(number, int) for number in told["total"].values())
        table = (await client.get("/v1/usage", params={**range_, "format": "csv", "by": "total"})).text
        (row,) = csv.DictReader(io.StringIO(table, newline=""))
        assert orjson.loads(row["failures"]) == {"invalid_api_key": 3, "other": 1}


@in_loop
async def test_a_bad_date_is_told_of(valkey: Backend) -> None:
    async with serving(valkey.settings()) as client:
        refused = await client.get("/v1/usage", params={"from": "soon"})
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "from"


# To whom.


@in_loop
async def test_a_tenant_sees_its_own_and_the_operator_all(real: Backend) -> None:
    settings = real.settings(operator_token=OPERATOR)
    async with open_stores(settings) as stores:
        ours = {}
        for tenant in ("acme", "bolt"):
            await add_tenant(stores, tenant)
            ours[tenant] = bearer(await add_key(stores, tenant, "read"))
            await add_usage(stores, tenant, "20261121", "support", turns=len(ours))
        await add_usage(stores, "gone", "20261120", "support", turns=9)
    async with serving(settings) as client:
        for number, tenant in enumerate(ours, 1):
            client.headers.update(ours[tenant])
            assert await rows(client, by="total") == [(number, 0)]
            assert await rows(client, by="total", tenant="gone") == [(number, 0)]
            assert (await client.get("/admin/usage")).status_code == 401
        client.headers.update(bearer(OPERATOR))
        everybody = [("acme", 1, 0), ("bolt", 2, 0), ("gone", 9, 0)]
        assert await rows(client, "/admin/usage", by="total") == everybody
        assert await rows(client, "/admin/usage", by="total", tenant="gone") == everybody[2:]
        assert await rows(client, "/admin/usage", tenant="nobody") == []
        odd = await client.get("/admin/usage", params={"tenant": "a:b"})
        assert odd.status_code == 400 and odd.json()["error"]["param"] == "tenant"


# Limits.


@in_loop
async def test_limits_are_shown_with_what_is_used_of_them(real: Backend) -> None:
    settings = real.settings()
    limits = {"tokens_per_day": 10_000, "turns_per_minute": 60}
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        now_ms = stores.queue_clock.now_ms()
        await add_tenant(stores, "acme", limits=limits)
        key = await add_key(stores, "acme", "read")
        ours = keys.turn_starts("acme")
        await stores.queue.zadd(ours, {"long ago": now_ms - 60_001, "a": now_ms - 1_000, "b": now_ms})
        await stores.queue.zadd(keys.live_turns("acme"), {"s1:turn0001": now_ms})
        await reply(
            stores.queue.hset(keys.tokens("acme", day_of(now_ms)), mapping={"spent": 70, "reserved": 30})
        )
        await reply(stores.queue.hset(keys.kept_bytes("acme"), mapping={"s1": 5_000, "": 5_000}))
    async with serving(settings) as client:
        told = (await client.get("/v1/limits", headers=bearer(key))).json()
        assert told["limits"]["tokens_per_day"] == 10_000 and told["limits"]["live_turns"] == 0
        assert told["used"] == {
            "turns_last_minute": 2,
            "live_turns": 1,
            "tokens_spent_today": 70,
            "tokens_reserved_today": 30,
            "sessions_kept": 0,
            "kept_bytes": 5_000,
        }


# From the terminal.


async def run(client: httpx.AsyncClient, key: str, *words: str) -> Result:
    """What the command says."""
    command = [
        "usage",
        "--url",
        str(client.base_url),
        "--key",
        key,
        "--from",
        "2026-11-19",
        "--to",
        "2026-11-21",
    ]
    return await asyncio.to_thread(CliRunner().invoke, app, [*command, *words])


@in_loop
async def test_the_command_shows_a_table_or_the_csv(valkey: Backend) -> None:
    settings = valkey.settings(operator_token=OPERATOR)
    async with open_stores(settings) as stores:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme", "read")
        await add_some(stores, "acme")
        await add_usage(stores, "bolt", "20261121", "\x1b[31mred", turns=1_234)
    async with serving(settings) as client:
        own = await run(client, key)
        assert own.exit_code == 0 and "2026-11-19" in own.stdout and "bolt" not in own.stdout
        assert " ".join(own.stdout.split()).endswith("all 6 0 0 0 4 10 0 21")
        everybody = await run(client, OPERATOR, "--by", "total")
        assert "acme" in everybody.stdout and "1,234" in everybody.stdout and "day" not in everybody.stdout
        one = await run(client, OPERATOR, "--tenant", "bolt")
        assert "acme" not in one.stdout and "red" in one.stdout and "\x1b" not in one.stdout
        told = list(csv.DictReader(io.StringIO((await run(client, key, "--csv", "--by", "day")).stdout)))
        assert [(row["day"], row["turns"]) for row in told] == [("2026-11-19", "2"), ("2026-11-21", "4")]


@in_loop
async def test_the_command_says_what_is_wrong(valkey: Backend) -> None:
    settings = valkey.settings(operator_token=OPERATOR)
    async with open_stores(settings) as stores:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme", "chat")
    async with serving(settings) as client:
        for words, told in (
            ((key,), "scope read"),
            ((key, "--csv"), "scope read"),
            ((key, "--tenant", "acme"), "own usage"),
            (("wrong",), "401"),
            ((OPERATOR, "--to", "soon"), "to is a date"),
        ):
            refused = await run(client, *words)
            assert refused.exit_code == 1 and told in refused.stderr and not refused.stdout
