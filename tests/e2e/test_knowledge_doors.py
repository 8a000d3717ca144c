"""The knowledge doors: documents in every form, page by page, and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway_stack import Stack
from tests.support.redis_replies import at_once

URL = "/v1/knowledge/doors"


@pytest.fixture
def empty(stack: Stack) -> Iterator[Stack]:
    """A gateway whose collection is empty before and after."""
    stack.client.delete(f"{URL}/documents")
    yield stack
    stack.client.delete(f"{URL}/documents")


def put(stack: Stack, content: str | bytes, kind: str, path: str = "documents") -> Any:
    return stack.client.put(f"{URL}/{path}", content=content, headers={"Content-Type": kind})


def ids(stack: Stack, **params: Any) -> list[str]:
    return [row["id"] for row in stack.client.get(f"{URL}/documents", params=params).json()["data"]]


def error(answer: Any, status: int) -> dict[str, Any]:
    """The error of an answer, in OpenAI's shape."""
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()["error"]
    assert set(told) == {"message", "type", "param", "code"}
    return told


def test_documents_come_as_text_markdown_lines_and_json(empty: Stack) -> None:
    assert put(empty, "Plain words.", "text/plain; charset=utf-8", "documents/a").status_code == 200
    assert put(empty, "# Head\nWords.", "text/markdown", "documents/guides/b.md").status_code == 200
    lines = '{"id": "c", "text": "One", "metadata": {"url": "https://example.com"}}\n\n{"text": "Two"}\n'
    named, unnamed = put(empty, lines, "application/jsonl").json()["data"]
    many = {"documents": [{"id": "d", "title": "T", "text": "Three"}]}
    assert empty.client.put(f"{URL}/documents", json=many).status_code == 200
    assert ids(empty) == sorted(["a", "guides/b.md", "c", unnamed["id"], "d"])
    document = empty.client.get(f"{URL}/documents/guides/b.md").json()
    assert (document["text"], document["chars"], document["title"]) == ("# Head\nWords.", 13, "")
    assert named["metadata"] == {"url": "https://example.com"}
    listed = empty.client.get("/v1/knowledge").json()["data"]
    assert {"id": "doors", "object": "knowledge.collection", "documents": 5} in listed


def test_a_document_is_replaced_and_deleted(empty: Stack) -> None:
    for text in ("Old.", "New."):
        put(empty, text, "text/plain", "documents/a")
    assert empty.client.get(f"{URL}/documents/a").json()["text"] == "New."
    assert empty.client.delete(f"{URL}/documents/a").json()["deleted"] is True
    for method in ("GET", "DELETE"):
        assert error(empty.client.request(method, f"{URL}/documents/a"), 404)["code"] == "unknown_document"
    for method in ("GET", "DELETE"):
        assert error(empty.client.request(method, f"{URL}/documents"), 404)["code"] == "unknown_collection"


def test_lists_go_on_where_they_ended(empty: Stack) -> None:
    put(empty, "\n".join(f'{{"id": "d{n}", "text": "x"}}' for n in range(7)), "application/jsonl")
    page = empty.client.get(f"{URL}/documents", params={"limit": 5}).json()
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("d0", "d4", True)
    rest = empty.client.get(f"{URL}/documents", params={"limit": 5, "after": "d4"}).json()
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (["d5", "d6"], False)
    for limit in ("0", "101", "many"):
        answer = empty.client.get(f"{URL}/documents", params={"limit": limit})
        assert error(answer, 400)["param"] == "limit"


@pytest.mark.parametrize("name", ["..", "a:b", "%7Bx%7D", "a%2Fb", "-a", "x" * 65, "день"])
def test_a_collections_name_cannot_leave_its_tenant(stack: Stack, name: str) -> None:
    before = set(at_once(stack.redis.keys("fr:knowledge:*")))
    answer = stack.client.put(f"/v1/knowledge/{name}/documents", json={"documents": [{"text": "x"}]})
    assert answer.status_code in (400, 404)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert set(at_once(stack.redis.keys("fr:knowledge:*"))) == before


@pytest.mark.parametrize(
    ("content", "kind", "param"),
    [
        ("", "text/plain", "text"),
        (b"\xff\xfe", "text/plain", None),
        ("{", "application/json", None),
        ("[]", "application/json", "documents"),
        ('{"documents": []}', "application/json", None),
        ('{"documents": [{"text": "x"}, {"id": "a"}]}', "application/json", "documents.1.text"),
        ('{"documents": [{"text": "x", "colour": "red"}]}', "application/json", "documents.0.colour"),
        ('{"text": "x"}\n{"text": 5}', "application/jsonl", "line 2: text"),
        ('{"id": "%s", "text": "x"}' % ("i" * 201), "application/jsonl", "line 1: id"),
        ('{"id": " a", "text": "x"}', "application/jsonl", "line 1: id"),
        ('{"text": "x", "metadata": {"m": "%s"}}' % ("m" * 5_000), "application/jsonl", "line 1: metadata"),
        ("x", "application/pdf", None),
    ],
)
def test_what_is_no_document_is_refused_whole(
    empty: Stack, content: str | bytes, kind: str, param: str | None
) -> None:
    assert error(put(empty, content, kind), 400)["param"] == param
    assert empty.client.get(f"{URL}/documents").status_code == 404


def test_what_is_too_large_is_refused(empty: Stack) -> None:
    assert error(put(empty, "x" * 200_001, "text/plain"), 413)["code"] == "document_too_large"
    assert error(put(empty, "x" * 8_388_609, "text/plain"), 413)["code"] == "body_too_large"
