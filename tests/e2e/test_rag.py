"""Answers from the tenant's knowledge, end to end: put over HTTP, found by a worker, shown, cited."""

import signal
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from common.events import Delta, Retrieved
from tests.support.gateway_stack import Stack, user
from tests.support.processes import until

PATH = "/rag/chat/completions"
FULL = "The answer begins with this sentence. And here it ends."
HOURS = (
    "# Opening\nOn weekdays the workshop is open from nine to six.\n# Prices\nA new chain costs thirty euros."
)


@pytest.fixture
def collection(stack: Stack) -> Iterator[str]:
    """A collection that a worker has read."""
    yield from _collection(stack, "e2e")


@pytest.fixture
def fragile_collection(fragile: Stack) -> Iterator[str]:
    yield from _collection(fragile, "rough")


def _collection(stack: Stack, name: str) -> Iterator[str]:
    documents = f"/v1/knowledge/{name}/documents"
    body = {"documents": [{"id": "shop", "title": "Workshop", "text": HOURS}]}
    stack.client.put(documents, json=body).raise_for_status()
    until(lambda: found(stack, name), what="the document's being found")
    yield name
    stack.client.delete(documents).raise_for_status()


def found(stack: Stack, collection: str) -> bool:
    """Whether a turn finds something."""
    heard = stack.hear(
        stack.simulator.full(text="Yes."),
        path=PATH,
        useProgressiveResponse=False,
        messages=[user("chain")],
        fast_reply={"knowledge": {"collection": collection}},
    )
    return bool(retrieved(stack, heard.session)[0].passages)


def retrieved(stack: Stack, session: str) -> list[Retrieved]:
    return [entry.event for entry in stack.log(session) if isinstance(entry.event, Retrieved)]


def knowledge(collection: str, **wanted: Any) -> dict[str, Any]:
    return {"knowledge": {"collection": collection, **wanted}, "lanes": True}


@pytest.mark.parametrize("path", [PATH, "/v1" + PATH])
def test_the_draft_speaks_at_once_and_the_full_from_the_passages(
    stack: Stack, collection: str, path: str
) -> None:
    stack.simulator.draft(tpot_ms=10)
    model = stack.simulator.full(ttft_ms=200, text=FULL)
    question = user("When does the workshop open?")
    wanted = knowledge(collection, top_k=1, citations=True)
    heard = stack.hear(model, path=path, messages=[question], fast_reply=wanted)
    heard.assert_well_ended()
    assert heard.lanes[:2] == ["draft", "full"]
    (body,) = stack.simulator.requests(model)
    system, shown, _, asked = body["messages"]
    assert (system["role"], shown["role"], asked) == ("system", "user", question)
    (line,) = shown["content"].split("\n")[1:-1]
    text = "On weekdays the workshop is open from nine to six."
    assert orjson.loads(line) == {"passage": 1, "title": "Workshop › Opening", "text": text}
    assert "thirty euros" not in str(body["messages"])
    (passages,) = [delta["citations"] for delta in deltas(heard.chunks) if "citations" in delta]
    assert [(p["index"], p["id"], p["document"]) for p in passages] == [(1, "shop#0", "shop")]
    (noted,) = retrieved(stack, heard.session)
    assert [{"index": 1, **p} for p in noted.passages] == passages
    assert len(set(heard.ids)) == len(heard.ids)


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_an_answer_as_a_whole_holds_its_citations(stack: Stack, collection: str) -> None:
    model = stack.simulator.full(text=FULL)
    body = {
        "model": model,
        "messages": [user("What is the price of a chain?")],
        "fast_reply": knowledge(collection, top_k=1, citations=True),
    }
    message = stack.client.post(PATH, json=body).json()["choices"][0]["message"]
    assert message["content"].endswith(FULL)
    assert [p["title"] for p in message["citations"]] == ["Workshop › Prices"]
    body["fast_reply"] = knowledge(collection)
    assert "citations" not in stack.client.post(PATH, json=body).json()["choices"][0]["message"]


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("When do you open?", ("One", "Let")),
        ("你们几点开门？", ("请稍等", "好的")),
        ("Когда?", ("Одну", "Сейчас")),
    ],
)
def test_without_a_draft_a_phrase_is_said_at_once(
    stack: Stack, collection: str, question: str, begins: tuple[str, ...]
) -> None:
    model = stack.simulator.full(ttft_ms=300, text=FULL)
    heard = stack.hear(
        model,
        path=PATH,
        useProgressiveResponse=False,
        messages=[user(question)],
        fast_reply=knowledge(collection),
    )
    heard.assert_well_ended()
    assert heard.lanes == ["filler", "full"]
    assert heard.said("filler").startswith(begins)


def test_no_phrase_is_said_where_it_would_break_the_answer(stack: Stack, collection: str) -> None:
    model = stack.simulator.full(ttft_ms=100, text="{}")
    wanted = {"response_format": {"type": "json_object"}, "fast_reply": knowledge(collection)}
    heard = stack.hear(model, path=PATH, **wanted)
    assert (heard.lanes, heard.text) == (["full"], "{}")


def test_an_unknown_collection_fails_no_turn(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    heard = stack.hear(model, path=PATH, fast_reply=knowledge("nowhere", citations=True))
    heard.assert_well_ended()
    assert heard.text.endswith(FULL)
    (noted,) = retrieved(stack, heard.session)
    assert (noted.passages, noted.error) == ([], "unknown_collection")


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"collection": "../other"}, "fast_reply.knowledge.collection"),
        ({"collection": "a:b"}, "fast_reply.knowledge.collection"),
        ({"top_k": 0}, "fast_reply.knowledge.top_k"),
        ({"top_k": 21}, "fast_reply.knowledge.top_k"),
        ({"citations": "yes"}, "fast_reply.knowledge.citations"),
    ],
)
def test_what_cannot_be_asked_for(stack: Stack, wanted: dict[str, Any], param: str) -> None:
    answer = stack.client.post(PATH, json={"messages": [user("Hi")], "fast_reply": {"knowledge": wanted}})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_new_worker_goes_on_from_what_the_killed_one_found(fragile: Stack, fragile_collection: str) -> None:
    model = fragile.simulator.full(tpot_ms=60, text=FULL)
    with fragile.stream(
        model,
        path=PATH,
        messages=[user("When does the workshop open?")],
        fast_reply=knowledge(fragile_collection, citations=True),
    ) as heard:
        heard.read_until_said("full", 10)
        fragile.worker(heard.session, "full").send(signal.SIGKILL)
        heard.read()
    heard.assert_well_ended()
    assert heard.text.endswith(FULL)
    assert len(retrieved(fragile, heard.session)) == 1
    first, second = fragile.simulator.requests(model)
    assert first["messages"] == second["messages"][: len(first["messages"])]
    assert sum("citations" in delta for delta in deltas(heard.chunks)) == 1
    assert any(isinstance(entry.event, Delta) for entry in fragile.log(heard.session))
