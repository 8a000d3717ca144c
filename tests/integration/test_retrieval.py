"""What the full lane does with passages: they are noted, shown to the model, cited, and found once a turn."""

import asyncio
from dataclasses import asdict, replace
from typing import Any

import pytest

from api.requests.turn_request import Knowledge
from common.events import Delta, Extra, LaneFinished, LaneStarted, Retrieved
from common.log.stream import append_now
from common.names import CollectionRef, TurnRef
from common.queue import job_queue
from common.settings import Settings
from common.store.redis import Stores, open_stores
from common.turn.outputs import PassedThrough
from tests.support.found_passages import Found
from tests.support.scripted_model import Scripted, answer, going_on, words
from tests.support.store_servers import Backend
from tests.support.stored_turns import count, events, fold, job, replay, turn_entries
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_starter, open_worker
from workers.knowledge.passages import Passage
from workers.knowledge.retrieval import SearchFailed, citations

WHOLE = "We open at nine. Every day."
HOURS = Passage("hours#0", "hours", "Hours", "The shop opens at nine.", 7.5)


async def start(stores: Stores, settings: Settings, *, drafting: bool = False, **wanted: Any) -> TurnRef:
    """Start a turn that is to rest on knowledge."""
    starter = open_starter(settings, stores)
    request = replace(ask(drafting=drafting), knowledge=Knowledge(**wanted))
    planned = starter.plan(request)
    await starter.commit(planned)
    return planned.turn


async def over(stores: Stores, turn: TurnRef) -> bool:
    return any(e.reason == "stop" for e in await events(stores, turn) if isinstance(e, LaneFinished))


async def cited(stores: Stores, turn: TurnRef) -> list[list[dict[str, Any]]]:
    """The citations that a client is told."""
    _, releases = fold(await turn_entries(stores, turn))
    return [
        release.choice["delta"]["citations"] for release in releases if isinstance(release, PassedThrough)
    ]


@in_loop
async def test_passages_are_noted_shown_to_the_model_and_cited(real: Backend) -> None:
    settings, search = real.settings(), Found(HOURS)
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model, search=search):
        turn = await start(eyes, settings, collection="shop", top_k=3, citations=True)
        await until(lambda: over(eyes, turn))
        assert search.asked == [(CollectionRef("default", "shop"), "When do you open?", 3)]
        system, shown, _, user = model.calls[0].body["messages"]
        assert (system["role"], user["content"]) == ("system", "When do you open?")
        assert '{"passage":1,"title":"Hours","text":"The shop opens at nine."}' in shown["content"].split(
            "\n"
        )
        assert "knowledge" not in model.calls[0].body
        kinds = [type(event) for event in await events(eyes, turn)]
        assert kinds.index(LaneStarted) < kinds.index(Retrieved) < kinds.index(Delta) < kinds.index(Extra)
        passage = {"id": "hours#0", "document": "hours", "title": "Hours", "text": HOURS.text, "score": 7.5}
        assert await count(eyes, turn, Retrieved, collection="shop", passages=[passage], error=None) == 1
        assert await cited(eyes, turn) == [[{"index": 1, **passage}]]
        assert (await replay(eyes, turn))[0].endswith(WHOLE)


@in_loop
async def test_the_next_attempt_goes_on_from_what_the_first_found(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[[*words("We open at nine."), asyncio.Event()], going_on(WHOLE)])
    other = Found(Passage("x#0", "x", "", "Something else.", 1.0))
    async with open_stores(settings) as eyes:
        turn = await start(eyes, settings, citations=True)
        async with open_worker(settings, "full", model, search=Found(HOURS)) as first:
            await until(lambda: count(eyes, turn, Delta))
            await first.drain()
        async with open_worker(settings, "full", model, name="w:2", search=other):
            await until(lambda: over(eyes, turn))
        assert await count(eyes, turn, LaneStarted, attempt=2) == 1
        assert await count(eyes, turn, Retrieved) == 1
        assert other.asked == []
        assert model.calls[0].body["messages"] == model.calls[1].body["messages"][:-1]
        assert [[c["id"] for c in chunk] for chunk in await cited(eyes, turn)] == [["hours#0"]]


@in_loop
async def test_a_worker_that_died_after_it_had_cited_is_not_repeated(real: Backend) -> None:
    settings = real.settings()
    model = Scripted(full=[going_on(WHOLE)])
    async with open_stores(settings) as eyes:
        turn = await start(eyes, settings, citations=True)
        noted = Retrieved(turn.turn, "default", [asdict(HOURS)], None, 1)
        await append_now(
            eyes,
            turn.session,
            LaneStarted(turn.turn, "full", 1, "gone"),
            noted,
            Delta(turn.turn, "full", 1, 0, "We open at nine.", 2),
            Extra(turn.turn, "full", 1, 0, citations(noted), 3),
        )
        await job_queue.enqueue_next_attempt(eyes, job(turn), settings.lane_lease_ms)
        async with open_worker(settings, "full", model, search=Found(HOURS)):
            await until(lambda: over(eyes, turn))
        assert (await replay(eyes, turn))[0].endswith(WHOLE)
        assert [[c["id"] for c in chunk] for chunk in await cited(eyes, turn)] == [["hours#0"]]


@pytest.mark.parametrize(
    "search, code",
    [
        (Found(), "unknown_collection"),
        (Found(error=SearchFailed("search_refused")), "search_refused"),
        (Found(held=True), "search_timeout"),
    ],
    ids=["unknown", "refused", "slow"],
)
@in_loop
async def test_a_search_that_fails_fails_no_turn(valkey: Backend, search: Found, code: str) -> None:
    settings = valkey.settings(search_timeout_s=0.2)
    model = Scripted(full=[answer(WHOLE)])
    async with open_stores(settings) as eyes, open_worker(settings, "full", model, search=search):
        turn = await start(eyes, settings, citations=True)
        await until(lambda: over(eyes, turn))
        assert await count(eyes, turn, Retrieved, passages=[], error=code) == 1
        assert [message["role"] for message in model.calls[0].body["messages"]] == ["user"]
        assert await cited(eyes, turn) == []
        assert (await replay(eyes, turn))[0].endswith(WHOLE)


@in_loop
async def test_the_draft_waits_for_no_search(real: Backend) -> None:
    settings = real.settings(search_timeout_s=600)
    model = Scripted(draft=[answer("One moment.")], full=[answer(WHOLE)])
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "draft", model, name="w:2"),
        open_worker(settings, "full", model, search=(search := Found(held=True))),
    ):
        turn = await start(eyes, settings, drafting=True)
        await until(lambda: search.asked)
        await until(lambda: count(eyes, turn, Delta, lane="draft"))
        assert model.of("full") == []
        assert [m["role"] for m in model.calls[0].body["messages"]] == ["system", "user"]
        assert (await replay(eyes, turn))[0] == "One moment."


@in_loop
async def test_a_long_passage_is_cut_before_it_is_noted(valkey: Backend) -> None:
    settings = valkey.settings()
    search = Found(replace(HOURS, text="x" * 100_000, title="t" * 100_000))
    async with (
        open_stores(settings) as eyes,
        open_worker(settings, "full", Scripted(full=[answer(WHOLE)]), search=search),
    ):
        turn = await start(eyes, settings)
        await until(lambda: over(eyes, turn))
        (noted,) = [event for event in await events(eyes, turn) if isinstance(event, Retrieved)]
        assert len(noted.passages[0]["text"]) == 2_500
        assert len(noted.passages[0]["title"]) == 300
        assert await cited(eyes, turn) == []  # nobody asked to be told
