"""Documents that can't be indexed: what the doors say of each, and what the machine's trouble is not."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from common.knowledge.preparing import Prepared
from common.names import CollectionRef
from tests.support.following_indexes import following
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from workers.child import Child
from workers.knowledge.index import CollectionIndex
from workers.knowledge.indexes import Indexes
from workers.knowledge.preparer import Preparer

URL = "/v1/knowledge/tea/documents"
BAD = {
    "never": "document_too_slow",
    "crash": "document_crashed",
    "garbled": "document_unreadable",
    "odd": "document_unreadable",
    "unwritable": "document_unreadable",
}


class _SlowPreparer(Preparer):
    """As the worker's, with documents that are worse than any text can be."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(2.0, "tests.support.slow_preparing")


class _BrokenIndex(CollectionIndex):
    """Has begun to take a document in when it fails."""

    def put_prepared(self, document_id: str, passages: Iterable[Prepared]) -> None:
        super().put_prepared(document_id, passages)
        if document_id == "unwritable":
            raise ValueError("sencha")


async def found(indexes: Indexes) -> list[str]:
    """The documents that are found."""
    passages = await indexes.search(CollectionRef("default", "tea"), "oolong", 20) or []
    return sorted(passage.document for passage in passages)


async def errors(client: httpx.AsyncClient) -> dict[str, Any]:
    """What the list says of each document; looked at one by one they say the same."""
    listed = {row["id"]: row["error"] for row in (await client.get(URL)).json()["data"]}
    looked = {name: (await client.get(f"{URL}/{name}")).json()["error"] for name in listed}
    return listed if listed == looked else {"list": listed, "look": looked}


@pytest.fixture(autouse=True)
def worse_than_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.knowledge.indexes.Preparer", _SlowPreparer)
    monkeypatch.setattr("workers.knowledge.indexes.CollectionIndex", _BrokenIndex)


@in_loop
async def test_the_doors_say_why_a_document_is_left_out_and_that_others_are_not(
    valkey: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    settings = valkey.settings()
    given = [{"id": name, "text": f"Of {name} oolong."} for name in ("a", *BAD, "z")]
    expected = {**BAD, "a": None, "z": None}
    async with serving(settings) as client:
        put = await client.put(URL, json={"documents": given})
        assert {row["id"]: row["error"] for row in put.json()["data"]} == dict.fromkeys(expected)
        assert await errors(client) == dict.fromkeys(expected)  # nobody has looked at them yet
        async with following(settings) as indexes:

            async def settled() -> bool:
                return await errors(client) == expected and await found(indexes) == ["a", "z"]

            await until(settled, within_s=60)
        async with following(settings) as again:  # as after a restart

            async def found_again() -> bool:
                return await found(again) == ["a", "z"]

            await until(found_again, within_s=60)
            assert await errors(client) == expected
    assert "oolong" not in caplog.text and "sencha" not in caplog.text


@in_loop
@pytest.mark.parametrize("path", ["documents", "documents/{name}"])
async def test_one_that_is_put_anew_is_looked_at_anew(valkey: Backend, path: str) -> None:
    settings = valkey.settings()
    async with serving(settings) as client, following(settings) as indexes:

        async def put(name: str, text: str) -> Any:
            one = "{" in path
            body = {"text": text} if one else {"documents": [{"id": name, "text": text}]}
            answer = await client.put(f"/v1/knowledge/tea/{path.format(name=name)}", json=body)
            (head,) = answer.json()["data"]
            return head["error"]

        async def is_left_out() -> bool:
            return await errors(client) == {"mine": "document_unreadable"}

        async def is_found() -> bool:
            return await errors(client) == {"mine": None} and await found(indexes) == ["mine"]

        assert await put("mine", "Of garbled oolong.") is None
        await until(is_left_out, within_s=60)
        assert await put("mine", "Of garbled oolong.") is None  # the same again
        await until(is_left_out, within_s=60)
        assert await put("mine", "Of plain oolong.") is None
        await until(is_found, within_s=60)
        assert await put("mine", "Of garbled oolong.") is None
        await until(is_left_out, within_s=60)
        assert await found(indexes) == []  # nor is what stood there before


@in_loop
async def test_a_machine_without_processes_to_give_is_no_documents_fault(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0
    start = Child._start

    async def refuse(child: Child) -> asyncio.subprocess.Process:
        nonlocal refused
        refused += 1
        if refused < 5:
            raise BlockingIOError("no processes left")
        return await start(child)

    monkeypatch.setattr(Child, "_start", refuse)
    settings = valkey.settings()
    async with serving(settings) as client, following(settings) as indexes:
        await client.put(f"{URL}/a", json={"text": "Of oolong."})

        async def is_found() -> bool:
            return await found(indexes) == ["a"]

        await until(is_found, within_s=60)
        assert refused >= 5
        assert await errors(client) == {"a": None}
