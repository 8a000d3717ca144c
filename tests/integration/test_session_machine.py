"""Sessions against a model of lists: whatever is done in which order on two replicas, they tell the same.

Hypothesis starts, speaks, cuts, resumes, cancels, interrupts, expires and deletes; it plays the full's
worker too.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import httpx
import orjson
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from api.turns.unanswered import carried_on
from common.events import Delta, LaneFinished, LaneStarted, TurnStarted
from common.log.stream import append_now, decode_entries
from common.names import DEFAULT_TENANT, SessionRef
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.served_api import Events, serving
from tests.support.store_servers import Backend
from tests.support.waiting import PATIENCE_S, until

T = TypeVar("T")
NAMES = ("a", "call 7:{b}", "Звонок/电话")
TEXT = st.text(st.sampled_from("ab. ,\n1é你好🙂*"), min_size=1, max_size=12)
_numbers = count()

Step = TypeVar("Step", bound=Callable[..., Any])


@dataclass
class Turn:
    """What the model knows of a turn; `heard` is what its caller is taken to have heard of it."""

    id: str
    asked: str
    text: str = ""
    live: bool = True
    begun: bool = False
    kept: bool = True
    heard: int | None = None

    @property
    def said(self) -> str:
        return (self.text if self.heard is None else self.text[: self.heard]).strip()


@dataclass
class Call:
    """A session and its turns; `remembered` are the messages that the next turn is to be told of."""

    name: str
    turns: list[Turn] = field(default_factory=list)
    before: list[dict[str, Any]] = field(default_factory=list)  # what the last turn remembered

    @property
    def remembered(self) -> list[dict[str, Any]]:
        if not self.turns or not self.turns[-1].kept:
            return []
        last = self.turns[-1]
        said = [{"role": "assistant", "content": last.said}] if last.said else []
        return [*self.before, {"role": "user", "content": last.asked}, *said]


class World:
    """Two replicas on one store, and the loop that they run on."""

    def __init__(self, backend: Backend) -> None:
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self.settings = backend.settings(small_model="", resume_grace_s=600.0, max_context_messages=1_000)
        self.stores: Stores
        self.replicas: list[httpx.AsyncClient] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(asyncio.wait_for(work, PATIENCE_S))

    def __enter__(self) -> "World":
        self.run(self._begin())
        return self

    async def _begin(self) -> None:
        self.stores = await self._open.enter_async_context(open_stores(self.settings))
        for _ in range(2):
            self.replicas.append(await self._open.enter_async_context(serving(self.settings)))

    def __exit__(self, *_: object) -> None:
        self.run(self._open.aclose())
        self._runner.close()


def has(**having: bool) -> Callable[[Step], Step]:
    """Where there is a turn of this kind to act on."""
    where: Callable[[Step], Step] = precondition(lambda machine: bool(machine.find(**having)))
    return where


class Calls(RuleBasedStateMachine):
    """The steps. Each looks at once whether the replica asked tells what the model says."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"{next(_numbers)} "
        self.calls = {name: Call(self.prefix + name) for name in NAMES}

    # What there is to act on.

    def _call(self, name: str) -> Call:
        return self.calls[name]

    def find(self, **having: bool) -> list[tuple[Call, Turn]]:
        return [
            (call, turn)
            for call in self.calls.values()
            for turn in call.turns
            if all(getattr(turn, name) == value for name, value in having.items())
        ]

    def _pick(self, data: st.DataObject, **having: bool) -> tuple[Call, Turn]:
        found = self.find(**having)
        return found[data.draw(st.integers(0, len(found) - 1))]

    def _ref(self, call: Call) -> SessionRef:
        return SessionRef(DEFAULT_TENANT, call.name)

    def _path(self, call: Call, turn: Turn | None = None, act: str = "") -> str:
        path = f"/v1/sessions/{self._ref(call).quoted}"
        return path + (f"/turns/{turn.id}" if turn else "") + act

    # The steps.

    @initialize()
    def begin(self) -> None:
        for name in NAMES[:2]:
            self.start(name, 0, "Hello")

    @rule(name=st.sampled_from(NAMES), at=st.integers(0, 1), words=TEXT.filter(str.strip))
    def start(self, name: str, at: int, words: str) -> None:
        call = self._call(name)
        remembered = call.remembered
        talk, newest = carried_on(remembered, [{"role": "user", "content": words}])
        turn = self.world.run(self._start(call, at, words, talk, newest[0]))
        for other in call.turns:
            other.live = False
        call.turns.append(turn)
        call.before = talk

    async def _start(
        self, call: Call, at: int, words: str, talk: list[dict[str, Any]], newest: dict[str, Any]
    ) -> Turn:
        message = {"role": "user", "content": words}
        policy = {"on_disconnect": "resume"}  # its client leaves at once, and comes back or not
        body = {"messages": [message], "stream": True, "session_id": call.name, "fast_reply": policy}
        async with self.world.replicas[at].stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200, await response.aread()
            turn = response.headers["x-turn-id"]
        # The end of the turn before may come after this one's start.
        raw = await self.world.stores.log.xrevrange(keys.log(self._ref(call)), count=20)
        begun = [entry.event for entry in decode_entries(raw) if isinstance(entry.event, TurnStarted)]
        (event,) = [event for event in begun if event.turn == turn]
        assert event.request["messages"] == [*talk, newest]
        assert event.remembered == len(talk)
        return Turn(turn, newest["content"])

    @has(live=True)
    @rule(data=st.data(), texts=st.lists(TEXT, min_size=1, max_size=4))
    def chunk(self, data: st.DataObject, texts: list[str]) -> None:
        call, turn = self._pick(data, live=True)
        begin = [] if turn.begun else [LaneStarted(turn.id, "full", 1, "w")]
        deltas = []
        for text in texts:
            deltas.append(Delta(turn.id, "full", 1, len(turn.text), text, 0))
            turn.text += text
        self._write(call, *begin, *deltas)
        turn.begun = True

    @has(live=True, begun=True)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        call, turn = self._pick(data, live=True, begun=True)
        end = LaneFinished(turn.id, "full", 1, len(turn.text), "stop", None, None, 0)
        self._write(call, end)
        turn.live = False

    def _write(self, call: Call, *events: Any) -> None:
        async def write() -> None:
            await append_now(self.world.stores, self._ref(call), *events)
            await self.world.stores.queue.publish(keys.wake(self._ref(call)), b"")

        self.world.run(write())

    @has(kept=True)
    @rule(data=st.data(), at=st.integers(0, 1))
    def resume(self, data: st.DataObject, at: int) -> None:
        """Go on from any place, and hear what is there; a turn that goes on is left there."""
        call, turn = self._pick(data, kept=True)
        after = data.draw(st.integers(0, len(turn.text)), label="after")
        heard, ended = self.world.run(self._hear(call, turn, at, after))
        assert heard == turn.text[after:]
        assert ended == (not turn.live)

    async def _hear(self, call: Call, turn: Turn, at: int, after: int) -> tuple[str, bool]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": f"{turn.id}-{after}-0"}
        heard = ""
        async with self.world.replicas[at].stream("GET", self._path(call, turn), headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            events = Events(response)
            while (
                turn.live and heard == turn.text[after:][: len(heard)] and len(heard) < len(turn.text[after:])
            ):
                event = await events.next()
                assert event is not None
                heard += _text(event.data)
            if turn.live:
                return heard, False
            rest = await events.rest()
            assert rest[-1].data == b"[DONE]"
            return heard + "".join(_text(event.data) for event in rest), True

    @has(kept=True)
    @rule(data=st.data(), at=st.integers(0, 1), past=st.integers(1, 3))
    def resume_past_the_end(self, data: st.DataObject, at: int, past: int) -> None:
        call, turn = self._pick(data, kept=True)
        cursor = f"{turn.id}-{len(turn.text) + past}-0"
        assert self._refused(call, turn, at, cursor) == (400, "cursor_past_end")

    @has(kept=True)
    @rule(data=st.data(), at=st.integers(0, 1), by_session=st.booleans())
    def cancel(self, data: st.DataObject, at: int, by_session: bool) -> None:
        call, turn = self._pick(data, kept=True)
        turn = call.turns[-1] if by_session else turn
        told = self._post(call, None if by_session else turn, at, "/cancel", {})
        assert told["id"] == turn.id or turn.id in told["id"]
        turn.live = False

    @has(kept=True)
    @rule(data=st.data(), at=st.integers(0, 1))
    def interrupt(self, data: st.DataObject, at: int) -> None:
        call, turn = self._pick(data, kept=True)
        heard = data.draw(st.integers(0, len(turn.text)), label="heard")
        self._post(call, turn, at, "/interrupt", {"heard_chars": heard})
        turn.live, turn.heard = False, heard

    def _post(self, call: Call, turn: Turn | None, at: int, act: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.world.run(self.world.replicas[at].post(self._path(call, turn, act), json=body))
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    @rule(name=st.sampled_from(NAMES))
    def expire(self, name: str) -> None:
        """The oldest turns are no longer kept: those before the last, where all of them have ended."""
        call = self._call(name)
        if len(call.turns) > 1 and not call.turns[-1].live:
            self.world.run(self._trim(call, call.turns[-1].id))
            for turn in call.turns[:-1]:
                turn.kept = False

    async def _trim(self, call: Call, upto: str) -> None:
        await until(lambda: self._all_ended(call))
        key = keys.log(self._ref(call))
        for entry in decode_entries(await self.world.stores.log.xrange(key)):
            if isinstance(entry.event, TurnStarted) and entry.event.turn == upto:
                await self.world.stores.log.xtrim(key, minid=entry.id, approximate=False)

    async def _all_ended(self, call: Call) -> bool:
        live = await self.world.stores.queue.zrange(keys.live_turns(DEFAULT_TENANT), 0, -1)
        return not any(member.decode().startswith(f"{self._ref(call).quoted}:") for member in live)

    @rule(name=st.sampled_from(NAMES), at=st.integers(0, 1))
    def delete(self, name: str, at: int) -> None:
        call = self._call(name)
        answer = self.world.run(self.world.replicas[at].delete(self._path(call)))
        assert answer.status_code == (204 if call.turns else 404)
        for turn in call.turns[-1:]:
            for replica in (0, 1):
                assert self._refused(call, turn, replica) == (404, "session_not_found")
        self.calls[name] = Call(call.name)

    @has(kept=False)
    @rule(data=st.data(), at=st.integers(0, 1))
    def ask_for_what_is_gone(self, data: st.DataObject, at: int) -> None:
        found = self._pick(data, kept=False)
        assert self._refused(*found, at) == (410, "turn_gone")

    def _refused(self, call: Call, turn: Turn, at: int, cursor: str = "") -> tuple[int, str]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": cursor} if cursor else {})}
        answer = self.world.run(self.world.replicas[at].get(self._path(call, turn), headers=headers))
        return answer.status_code, answer.json()["error"]["code"]

    def teardown(self) -> None:
        """What each session lists is what the model has."""
        for call in self.calls.values():
            answer = self.world.run(self.world.replicas[0].get(self._path(call)))
            if not call.turns:
                assert answer.status_code == 404
                continue
            told = {turn["id"]: turn["text"] for turn in answer.json()["turns"]}
            assert told == {turn.id: turn.text for turn in call.turns if turn.kept}


def _text(data: bytes) -> str:
    if data == b"[DONE]":
        return ""
    choices = orjson.loads(data)["choices"]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("layout", ["valkey", "two_servers"])
def test_sessions_are_what_a_model_of_lists_says(layout: str, request: pytest.FixtureRequest) -> None:
    with World(request.getfixturevalue(layout)) as world:
        machine = type("Machine", (Calls,), {"world": world})
        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
        run_state_machine_as_test(
            machine,
            settings=examples(
                max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=checks
            ),
        )
