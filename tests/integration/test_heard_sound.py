"""How much of a spoken turn was heard is known from its sound, at the door and for the memory."""

import asyncio

import pytest

from api.sessions.heard_sound import chars_spoken_in
from common.names import TurnRef
from common.store import keys
from common.store.redis import Stores
from tests.support.replicas import two_replicas
from tests.support.scripted_model import Scripted, answer
from tests.support.speech_workers import CHAR_SAMPLES, RATE, Counting, begin, listening, open_speaker, stands
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_workers

WHOLE = "We open at nine. Every day."
CHAR_MS = 1000 * CHAR_SAMPLES // RATE
FIRST_MS, SECOND_MS = 16 * CHAR_MS, 10 * CHAR_MS


@in_loop
async def test_pieces_have_the_time_that_they_sound(real: Backend) -> None:
    settings = real.settings(speech_chars_per_s=1)  # a guess would be far off
    model = Scripted(full=[answer(WHOLE)])
    async with (
        open_workers(settings, model),
        open_speaker(settings, Counting()),
        open_api(settings) as api,
    ):
        live = await begin(api, draft={"when": "never"})
        async with listening(api, live) as (_, done):
            await done
        for ms, words in (
            (0, ""),
            (FIRST_MS / 16, ""),
            (FIRST_MS * 0.5, "We open"),
            (FIRST_MS - 1, "We open at"),
            (FIRST_MS, "We open at nine."),
            (FIRST_MS + SECOND_MS * 0.5, "We open at nine."),
            (FIRST_MS + SECOND_MS * 0.7, "We open at nine. Every"),
            (FIRST_MS + SECOND_MS, WHOLE),
            (80_000_000, WHOLE),
        ):
            assert WHOLE[: await chars_spoken_in(api.stores, live, ms, 1)] == words, ms
        await api.stores.queue.delete(keys.audio(live.turn))  # no longer kept: the rate tells
        assert WHOLE[: await chars_spoken_in(api.stores, live, 8_000, 1)] == "We open"


@in_loop
async def test_of_a_piece_whose_sound_still_comes_the_rate_tells(real: Backend) -> None:
    settings, held = real.settings(), asyncio.Event()
    model = Scripted(full=[answer(WHOLE)])
    async with (
        open_workers(settings, model),
        open_speaker(settings, Counting(Every=held)),
        open_api(settings) as api,
    ):
        live = await begin(api, draft={"when": "never"})
        async with listening(api, live) as (_, done):
            await until(lambda: _in_second(api.stores, live.turn))
            told = await chars_spoken_in(api.stores, live, FIRST_MS + 40_000, 30)
            assert WHOLE[:told] == "We open at nine. Every"  # so much of it has come: 0.2 s
            held.set()
            await done


async def _in_second(stores: Stores, turn: TurnRef) -> bool:
    """Whether some of the second sentence's sound is there."""
    state, _ = await stands(stores, turn)
    return state.done == 16 and state.number > 0


@in_loop
async def test_a_turn_that_is_not_spoken_here_is_told_by_the_rate(real: Backend) -> None:
    settings, model = real.settings(), Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await api.start.run(ask("s1", draft={"when": "never"}))
        await until(live.closed.is_set)
        assert WHOLE[: await chars_spoken_in(api.stores, live, 1_000, 8)] == "We open"


@pytest.mark.parametrize(
    ("ms", "words"), [(FIRST_MS, "We open at nine."), (FIRST_MS * 0.5, "We open"), (0, "")]
)
@in_loop
async def test_the_door_notes_what_was_heard_of_the_sound(real: Backend, ms: float, words: str) -> None:
    settings, model = real.settings(speech_chars_per_s=1_000), Scripted(full=[answer(WHOLE)])
    asked = {"session_id": "s1", "useProgressiveResponse": False}
    when, also = {"role": "user", "content": "When?"}, {"role": "user", "content": "And?"}
    async with two_replicas(settings, model) as two, open_speaker(settings, Counting()):
        reply = await two.first.post("/v1/audio/chat/completions", json={**asked, "messages": [when]})
        assert reply.json()["choices"][0]["message"]["audio"]["transcript"] == WHOLE
        told = await two.second.post("/v1/sessions/s1/interrupt", json={"heard_ms": ms})
        assert told.status_code == 200
        await two.first.post("/v1/chat/completions", json={**asked, "messages": [also]})
        said = {"role": "assistant", "content": words}
        unheard = [{"role": "user", "content": "When?\nAnd?"}]
        assert model.of("full")[-1].body["messages"] == ([when, said, also] if words else unheard)
