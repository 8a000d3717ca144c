"""A session with a recorded turn, for the tests that look at it over HTTP."""

from typing import Any

import httpx

from bench.data import Answered
from bench.pace import Pace, record
from common.events import Event
from common.names import SessionRef
from common.turn.policy import Policy

ODD = SessionRef("default", "call 7/{a}:é")
PATH = f"/v1/sessions/{ODD.quoted}"
DRAFT, FULL = "Let me see. I look it up.", "We open at nine. Every day."
HELD = Policy.model_validate({"handoff": {"join": "append"}})


def turn(name: str = "1", pace: Pace | None = None) -> list[tuple[int, Event]]:
    """A whole turn, with its times."""
    made = record(Answered(name, "When do you open?", DRAFT, FULL), pace or Pace(), HELD)
    assert made.ended
    last = made.events[-1][0]
    return [(0, made.started), *made.events, (last, made.ended)]


async def names(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [row["id"] for row in (await client.get("/v1/sessions", params=query)).json()["data"]]
