"""A search service of the operator's own: what it is asked, what of its answers is taken."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from common.names import CollectionRef
from common.settings import Settings
from workers.knowledge.passages import Passage
from workers.knowledge.retrieval import SearchFailed, SearchService

SHOP = CollectionRef("acme", "shop")
Answer = Callable[[httpx.Request], httpx.Response]


def ask(answer: Answer, key: str = "") -> list[Passage] | None:
    async def search() -> list[Passage] | None:
        settings = Settings(search_url="http://search.test/find", search_api_key=key)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await SearchService(settings, client).search(SHOP, "When?", 3)

    return asyncio.run(search())


def test_it_is_asked_as_documented() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        passage = {"id": "p", "text": "At nine.", "score": 2, "document": "d", "title": "T", "more": 1}
        return httpx.Response(200, json={"passages": [passage, {"id": "q", "text": "x"}], "took": 3})

    assert ask(answer, "secret") == [Passage("p", "d", "T", "At nine.", 2.0), Passage("q", "", "", "x", 0.0)]
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "http://search.test/find")
    assert request.headers["authorization"] == "Bearer secret"
    body = {"query": "When?", "collection": "shop", "tenant": "acme", "top_k": 3}
    assert orjson.loads(request.content) == body


def test_a_collection_that_it_does_not_know() -> None:
    assert ask(lambda _: httpx.Response(404)) is None


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (unreachable, "search_unreachable"),
        (lambda _: httpx.Response(500), "search_refused"),
        (lambda _: httpx.Response(200, text="no JSON"), "search_garbled"),
        (lambda _: httpx.Response(200, json={"passages": [{"text": "no id"}]}), "search_garbled"),
        (lambda _: httpx.Response(200, json=[]), "search_garbled"),
    ],
)
def test_its_failures_have_codes(answer: Any, code: str) -> None:
    with pytest.raises(SearchFailed) as failure:
        ask(answer)
    assert failure.value.code == code
