"""An API process that dies or is told to go: its turns end, the models are stopped."""

import signal

import httpx
import pytest

from simulator.texts import ENGLISH
from tests.support.gateway_stack import Stack
from tests.support.processes import until


def test_an_api_killed_leaves_no_turn_behind(fragile: Stack) -> None:
    fragile.simulator.draft(tpot_ms=1000)
    model = fragile.simulator.full(stall_headers=True)
    with fragile.stream(model) as heard:
        heard.read_until_said("draft")
        until(lambda: fragile.simulator.stats(model)["live"] == 1, what="the full's request")
        fragile.api.kill()
        with pytest.raises(httpx.HTTPError):
            heard.read()
    until(lambda: fragile.ended(heard.session), what="the ending in the log")
    assert [ended.reason for ended in fragile.ended(heard.session)] == ["interrupted"]
    until(fragile.simulator.all_quiet, what="the stop of the models")
    for name in ("draft", model):
        assert fragile.simulator.stats(name)["cut_by_client"] == 1
    until(lambda: not fragile.redis.zcard("fr:leases"), what="the end of all leases")


def test_a_turn_that_is_to_go_on_outlives_its_api(fragile: Stack) -> None:
    fragile.simulator.draft(text="One moment.")
    model = fragile.simulator.full(ttft_ms=500, tpot_ms=5)
    with fragile.stream(model, fast_reply={"policy": {"on_disconnect": "continue"}}) as heard:
        heard.read_until_said("draft")
        fragile.api.kill()
        with pytest.raises(httpx.HTTPError):
            heard.read()
    until(lambda: fragile.ended(heard.session), what="the ending in the log")
    assert [ended.reason for ended in fragile.ended(heard.session)] == ["stop"]
    said = "".join(release.text for release in fragile.refold(heard.session) if hasattr(release, "text"))
    assert said == f"One moment. {ENGLISH.full}"


def test_an_api_told_to_go_ends_with_a_stream_open(fragile: Stack) -> None:
    fragile.simulator.draft(tpot_ms=1000)
    with fragile.stream(fragile.simulator.full(stall_headers=True)) as heard:
        heard.read_until_said("draft")
        fragile.api.send(signal.SIGTERM)
        fragile.api.wait()
    until(lambda: fragile.ended(heard.session), what="the ending in the log")
    until(fragile.simulator.all_quiet, what="the stop of the models")
    assert "Traceback" not in fragile.api.words()


def test_an_api_told_to_go_lets_its_streams_end(fragile: Stack) -> None:
    fragile.simulator.draft(text="One moment.")
    leaving = fragile.processes["replica"]
    with fragile.stream(fragile.simulator.full(ttft_ms=300, tpot_ms=8), replica=1) as heard:
        heard.read_until_said("full", 10)
        leaving.send(signal.SIGTERM)
        heard.read()
    heard.assert_whole("One moment.", ENGLISH.full)
    leaving.wait()
    assert "Traceback" not in leaving.words()


def test_a_later_turn_at_another_replica_ends_the_one_before(fragile: Stack) -> None:
    fragile.simulator.draft(text="One moment.")
    first, second = fragile.simulator.full(stall_headers=True), fragile.simulator.full(text="That is all.")
    with fragile.stream(first, session_id="two-replicas") as before:
        before.read_until_said("draft")
        after = fragile.hear(second, session_id="two-replicas", replica=1)
        before.read()
    after.assert_well_ended()
    before.assert_well_ended("length")  # it is no whole answer
    assert before.ending["ended"] == "superseded"
    until(fragile.simulator.all_quiet, what="the stop of the first turn's models")


def test_a_client_that_leaves_stops_both_models_after_its_grace(fragile: Stack) -> None:
    fragile.simulator.draft(tpot_ms=1000)
    model = fragile.simulator.full(stall_headers=True)
    with fragile.stream(model) as heard:
        heard.read_until_said("draft")
        until(lambda: fragile.simulator.stats(model)["live"] == 1, what="the full's request")
    until(fragile.simulator.all_quiet, what="the stop of the models")
    for name in ("draft", model):
        assert fragile.simulator.stats(name)["cut_by_client"] == 1
    assert [ended.reason for ended in fragile.ended(heard.session)] == ["interrupted"]
