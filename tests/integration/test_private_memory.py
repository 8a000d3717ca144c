"""What a session remembers of turns that are not kept whole, and what becomes of who remembers them."""

from dataclasses import replace

import pytest

from common.names import TurnRef
from common.store import keys
from tests.support.following import hear
from tests.support.redaction import look, redacting
from tests.support.scripted_model import Scripted, answer
from tests.support.store_servers import Backend
from tests.support.stored_turns import ended
from tests.support.waiting import in_loop, until
from tests.support.wiring import Api, ask, open_api, open_worker

SAID = "Ring 555-123-4567."


async def have(api: Api, text: str) -> TurnRef:
    """Have a turn, and wait until it is over and listed to be rewritten."""
    live = await api.start.run(
        replace(ask(drafting=False), body={"messages": [{"role": "user", "content": text}]})
    )
    await hear(live)
    await until(lambda: ended(api.stores, live.turn))
    await api.stores.queue.zadd(keys.REDACTING, {str(live.turn): 1})
    return live.turn


@pytest.mark.parametrize(
    ("record", "rewritten", "remembered"),
    [
        ("redacted", False, ["I am a@b.com", SAID]),
        ("redacted", True, ["I am x@x.xxx", "Ring xxx-xxx-xxxx."]),
        ("none", False, []),
        ("none", True, []),
    ],
)
@in_loop
async def test_a_session_remembers_what_is_kept(
    real: Backend, record: str, rewritten: bool, remembered: list[str]
) -> None:
    settings = real.settings(record=record)
    model = Scripted(full=[answer(SAID), answer("Bye.")])
    async with (
        open_worker(settings, "full", model),
        open_api(settings) as api,
        redacting(settings) as (eyes, redactor),
    ):
        await have(api, "I am a@b.com")
        if rewritten:
            await look(redactor, eyes)
        await have(api, "Thanks.")
        told = [message["content"] for message in model.of("full")[-1].body["messages"]]
        assert told == [*remembered, "Thanks."]


@in_loop
async def test_who_remembers_a_masked_turn_is_masked_too(real: Backend) -> None:
    settings = real.settings(record="redacted")
    model = Scripted(full=[answer(SAID), answer("Bye.")])
    async with (
        open_worker(settings, "full", model),
        open_api(settings) as careful,
        open_api(real.settings(record="full")) as careless,
        redacting(settings) as (eyes, redactor),
    ):
        await have(careful, "I am a@b.com")
        turn = await have(careless, "Thanks.")
        await look(redactor, eyes)
        found = await ended(eyes, turn)
        assert found and found.record == "redacted"
        log = str(await eyes.log.xrange(keys.log(turn.session)))
        assert "4567" not in log and "a@b.com" not in log
