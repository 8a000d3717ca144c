"""Workers that die, hang or are told to go in the middle of an answer: the caller hears one voice, once."""

import signal

from common.events import LaneFinished
from simulator.texts import ENGLISH
from tests.support.gateway_stack import Stack
from tests.support.heard_stream import Stream
from tests.support.processes import Process, until

SPEAKING = {"ttft_ms": 300, "tpot_ms": 8}
DRAFT = "One moment, please."
SECOND_VOICE = " But this is what another said, who knew nothing of the first, and took a while."


def assert_one_ending(stack: Stack, session: str, text: str, reason: str = "stop") -> None:
    """The log holds what was heard, and one ending that agrees with it."""
    until(lambda: stack.ended(session), what="the ending in the log")
    first, *_ = stack.ended(session)
    assert (first.reason, first.released) == (reason, len(text))
    assert "".join(r.text for r in stack.refold(session) if hasattr(r, "text")) == text


def test_a_full_worker_killed_in_the_middle(fragile: Stack) -> None:
    fragile.simulator.draft(text=DRAFT)
    with fragile.stream(fragile.simulator.full(**SPEAKING)) as heard:
        heard.read_until_said("full", 30)
        fragile.worker(heard.session, "full").kill()
        heard.read()
    heard.assert_whole(DRAFT, ENGLISH.full)
    assert fragile.attempts(heard.session, "full") == [1, 2]
    assert_one_ending(fragile, heard.session, heard.text)


def test_a_full_worker_killed_before_it_spoke(fragile: Stack) -> None:
    fragile.simulator.draft(text=DRAFT)
    model = fragile.simulator.full(ttft_ms=1500, text="That is all.")
    with fragile.stream(model) as heard:
        heard.read_until_said("draft", len(DRAFT))
        until(lambda: fragile.simulator.stats(model)["live"] == 1, what="the full's request")
        fragile.worker(heard.session, "full").kill()
        heard.read()
    heard.assert_whole(DRAFT, "That is all.")
    assert not heard.ending["degraded"]
    assert_one_ending(fragile, heard.session, heard.text)


def test_a_full_worker_that_hangs_and_comes_back(fragile: Stack) -> None:
    model = fragile.simulator.full(**SPEAKING)
    with fragile.stream(model) as heard:
        zombie = _pause_in_the_middle(fragile, heard, model)
        until(lambda: fragile.attempts(heard.session, "full") == [1, 2], what="the second attempt")
        zombie.resume()
        heard.read()
    assert_second_voice(heard)
    assert_one_ending(fragile, heard.session, heard.text)


def test_a_full_worker_that_comes_back_after_the_end(fragile: Stack) -> None:
    model = fragile.simulator.full(**SPEAKING)
    with fragile.stream(model) as heard:
        zombie = _pause_in_the_middle(fragile, heard, model)
        heard.read()
    assert_second_voice(heard)
    zombie.resume()
    until(fragile.simulator.all_quiet, what="the zombie's stop")
    until(lambda: _takes_work(fragile, zombie), what="the zombie's return to work")
    assert_one_ending(fragile, heard.session, heard.text)


def _pause_in_the_middle(stack: Stack, heard: Stream, model: str) -> Process:
    """Stop the full's worker; from now on its model has other words, to tell the second attempt by."""
    heard.read_until_said("full", 30)
    worker = stack.worker(heard.session, "full")
    worker.pause()
    stack.simulator.change(model, text=SECOND_VOICE, tpot_ms=20)
    return worker


def assert_second_voice(heard: Stream) -> None:
    """The beginning of the first attempt's text, and all of the second one's."""
    heard.assert_well_ended()
    first = heard.said("full").removesuffix(SECOND_VOICE)
    assert first + SECOND_VOICE == heard.said("full")
    assert len(first) >= 30
    assert ENGLISH.full.startswith(first.lstrip())


def test_a_draft_worker_killed_in_the_middle(fragile: Stack) -> None:
    fragile.simulator.draft(tpot_ms=20)
    model = fragile.simulator.full(ttft_ms=900, text="That is all.")
    with fragile.stream(model) as heard:
        heard.read_until_said("draft", 10)
        fragile.worker(heard.session, "draft").kill()
        heard.read()
    heard.assert_whole(ENGLISH.draft, "That is all.")
    assert heard.lanes == ["draft", "full"]
    assert_one_ending(fragile, heard.session, heard.text)


def test_a_draft_goes_on_with_the_next_worker(fragile: Stack) -> None:
    """The full has failed, so that the draft's whole answer is needed."""
    fragile.simulator.draft(tpot_ms=20)
    answering = {"policy": {"draft": {"style": "answer"}}}
    with fragile.stream(fragile.simulator.full(status=500), fast_reply=answering) as heard:
        heard.read_until_said("draft", 10)
        killed = fragile.worker(heard.session, "draft")
        killed.kill()
        killed.start()
        heard.read()
    heard.assert_well_ended()
    assert heard.text == ENGLISH.draft
    assert heard.ending["degraded"]
    assert fragile.attempts(heard.session, "draft") == [1, 2]
    assert_one_ending(fragile, heard.session, heard.text)


def test_a_worker_told_to_go_hands_its_answer_over(fragile: Stack) -> None:
    fragile.simulator.draft(text=DRAFT)
    with fragile.stream(fragile.simulator.full(ttft_ms=300, tpot_ms=12)) as heard:
        heard.read_until_said("full", 30)
        leaving = fragile.worker(heard.session, "full")
        leaving.send(signal.SIGTERM)
        heard.read()
    heard.assert_whole(DRAFT, ENGLISH.full)
    assert leaving.wait() == 0
    assert fragile.attempts(heard.session, "full") == [1, 2]
    finished = [e.event for e in fragile.log(heard.session) if isinstance(e.event, LaneFinished)]
    assert [event.reason for event in finished if event.lane == "full"] == ["handed_over", "stop"]
    assert_one_ending(fragile, heard.session, heard.text)


def test_a_turn_that_costs_too_many_workers_is_given_up(fragile: Stack) -> None:
    fragile.simulator.draft(status=500)
    model = fragile.simulator.full(stall_headers=True)
    with fragile.stream(model) as heard:
        for attempt in (1, 2, 3):
            until(lambda n=attempt: len(fragile.attempts(heard.session, "full")) == n, what="an attempt")
            lost = fragile.worker(heard.session, "full")
            lost.kill()
            lost.start()
        heard.read()
    heard.assert_failed("worker_lost")
    assert_one_ending(fragile, heard.session, "", "error")


def test_jobs_wait_for_a_worker(fragile: Stack) -> None:
    workers = [process for name, process in fragile.processes.items() if name.startswith(("draft", "full"))]
    for worker in workers:
        worker.kill()
    with fragile.stream(fragile.simulator.full(text="That is all."), lanes=True) as heard:
        for worker in workers:
            worker.start()
        heard.read()
    heard.assert_well_ended()
    assert heard.said("full").strip() == "That is all."


def _takes_work(stack: Stack, worker: Process) -> bool:
    """Whether this worker has begun a turn of its own."""
    heard = stack.hear(stack.simulator.full(text="Yes."), useProgressiveResponse=False)
    heard.assert_well_ended()
    return stack.worker(heard.session, "full") is worker
