"""Turns folded again: as they were, under other policies, and what a recording can't tell."""

from dataclasses import replace
from typing import Any

import pytest

from api.turns.drafting import why_no_draft
from cli.whatif.cases import Case, try_turns
from common.events import Event, TimerFired, TurnInterrupted
from common.records.recording import RecordedTurn
from common.records.replay import BY_POLICY, replay_as_recorded, replay_under
from common.turn.policy import Policy
from tests.support.recorded_turns import GRID, OFTEN, changed, live, policy, recording, said, shadowed
from tests.support.turn_events import TURN, begin, end, say, started

# As it was.


@pytest.mark.parametrize("part", GRID)
def test_a_turn_is_folded_to_what_was_heard(part: dict[str, Any]) -> None:
    turn = live(shadowed(), policy(part))
    recorded = replay_as_recorded(turn)
    assert not recorded.unknown and not recorded.drifted
    assert replay_under(recorded, recorded.policy) is recorded
    assert turn.ended is not None and recorded.fold.hash() == turn.ended.hash


def test_a_drift_is_reported() -> None:
    turn = shadowed()
    assert turn.ended is not None
    recorded = replay_as_recorded(replace(turn, ended=replace(turn.ended, hash="0" * 16)))
    assert recorded.drifted and recorded.unknown.startswith("drift")
    report = try_turns([replace(turn, ended=replace(turn.ended, reason="length"))], [Case({})])
    assert report.drifted == 1 and report.before.turns == 0


def test_a_turn_that_goes_on_is_left_out() -> None:
    report = try_turns([recording((1, begin("full")))], [Case({})])
    assert list(report.excluded.values()) == ["the turn has not ended in the recording"]


def test_a_turn_of_another_version_is_left_out() -> None:
    turn = shadowed()
    report = try_turns([replace(turn, started=replace(turn.started, fold=99))], [Case({})])
    assert report.excluded == {turn.started.turn: "another version folded it"}


# Under another policy.


@pytest.mark.parametrize("was", GRID[::3])
def test_what_is_known_is_the_truth(was: dict[str, Any]) -> None:
    """Whatever policy it was recorded under: the same is heard as of the recording that tells all."""
    recorded, everything = replay_as_recorded(live(shadowed(), policy(was))), replay_as_recorded(shadowed())
    known = 0
    for part in GRID:
        again, truth = replay_under(recorded, policy(part)), replay_under(everything, policy(part))
        assert not truth.unknown
        if not again.unknown:
            known += 1
            # Which phrase a recorded filler was is the driver's choice.
            assert [a[:2] if a[0] == "filler" else a for a in said(again)] == [
                b[:2] if b[0] == "filler" else b for b in said(truth)
            ]
    assert known >= 4


def test_a_draft_that_was_cut_is_unknown_beyond() -> None:
    turn = live(shadowed(), policy({"handoff": {"when": "first_token", "cut": "now"}}))
    again = replay_under(replay_as_recorded(turn), policy({"handoff": {"when": "length"}}))
    assert again.unknown == "the draft was cut before this policy would have cut it"


def test_a_draft_that_somebody_else_stopped_is_stopped_again() -> None:
    events: list[tuple[int, Event]] = [
        (1, begin("draft")),
        (2, begin("full")),
        (5, end("draft", "cancelled")),
        (9, say("full", 0, "Yes, it is.")),
        (12, end("full", at=11)),
    ]
    recorded = replay_as_recorded(recording(*events))
    again = replay_under(recorded, policy({"handoff": {"when": "length"}}, {"draft": {"style": "bridge"}}))
    assert not again.unknown and said(again) == [("full", 9, "Yes, it is.")]


def test_without_a_draft_the_full_speaks_alone() -> None:
    alone = replay_under(replay_as_recorded(shadowed()), policy({"draft": {"when": "never"}}))
    assert not alone.unknown and {piece.lane for piece in alone.said} == {"full"}
    assert alone.said[0].at_ms == 900


@pytest.mark.parametrize(
    "part, reason",
    [
        ({"handoff": {"join": "continue"}}, "the full would have been asked otherwise, under `continue`"),
        ({"draft": {"style": "bridge"}}, "the draft would have had another prompt"),
        ({"draft": {"when": "adaptive"}}, "the draft would have been begun at another time, or not at all"),
        (
            {"draft": {"off_in_states": ["pay"]}},
            "whether there is a draft under another `draft.off_in_states` is not recorded",
        ),
    ],
)
def test_what_a_recording_cannot_tell(part: dict[str, Any], reason: str) -> None:
    assert replay_under(replay_as_recorded(shadowed()), policy(part)).unknown == reason


def full_alone(parts: dict[str, Any]) -> RecordedTurn:
    events = (1, begin("full")), (300, say("full", 0, "Yes, it is.")), (400, end("full", at=11))
    first = started(draft=False, **parts)
    return RecordedTurn(first, list(events), None)


def test_a_draft_that_never_ran_is_unknown_where_the_policy_forbade_it() -> None:
    turn = full_alone({})
    never = changed(Policy.model_validate(turn.started.policy), draft={"when": "never"}).model_dump()
    turn = replace(turn, started=replace(turn.started, drafting=BY_POLICY, policy=never))
    recorded = replay_as_recorded(turn)
    assert (
        replay_under(recorded, changed(recorded.policy, draft={"when": "always"})).unknown
        == "no draft was run"
    )
    assert not replay_under(recorded, changed(recorded.policy, handoff={"when": "length"})).unknown


def test_the_policys_own_reason_is_the_doors() -> None:
    profile: Any = type("", (), {"draft": object(), "drafts": True})
    request: Any = type("", (), {"body": {}, "drafting": None})
    assert why_no_draft(profile, policy({"draft": {"when": "never"}}), request) == BY_POLICY


def test_fillers_come_when_they_are_due_and_not_the_same_twice() -> None:
    recorded = replay_as_recorded(
        recording(
            (1, begin("full")), (1_500, say("full", 0, "Yes.")), (1_600, end("full", at=4)), draft=False
        )
    )
    filler = {"phrases": {"*": ["Ah.", "Oh."]}, "delay_ms": 300, "interval_ms": 500, "maximum": 5}
    again = replay_under(recorded, changed(recorded.policy, filler=filler))
    assert [(piece.lane, piece.at_ms) for piece in again.said] == [
        ("filler", 300),
        ("filler", 800),
        ("filler", 1_300),
        ("full", 1_500),
    ]
    phrases = [piece.text.strip() for piece in again.said[:3]]
    assert set(phrases) == {"Ah.", "Oh."} and phrases[0] == phrases[2] != phrases[1]
    assert said(replay_under(recorded, changed(recorded.policy, filler=filler))) == said(again)


def test_recorded_fillers_are_not_said_by_a_policy_without() -> None:
    turn = live(shadowed(), policy({"filler": OFTEN}))
    assert any(isinstance(event, TimerFired) for _, event in turn.events)
    again = replay_under(replay_as_recorded(turn), policy())
    assert "filler" not in {piece.lane for piece in again.said}


def test_an_earlier_deadline_is_known_and_a_later_one_is_not() -> None:
    turn = full_alone({"deadline_ms": 2_000})
    late = replace(
        turn, events=[turn.events[0], (1_900, say("full", 0, "Yes, it")), (2_500, end("full", at=7))]
    )
    timer: tuple[int, Event] = (2_001, TimerFired(TURN, 0, "deadline", ""))
    cut: tuple[int, Event] = (2_010, end("full", "cancelled", at=7))
    recorded = replay_as_recorded(replace(late, events=[*late.events[:2], timer, cut]))
    sooner = replay_under(recorded, recorded.policy.model_copy(update={"deadline_ms": 1_000}))
    assert sooner.fold.ending and (sooner.fold.ending.reason, sooner.fold.ending.at_ms) == ("error", 1_000)
    later = replay_under(recorded, recorded.policy.model_copy(update={"deadline_ms": 3_000}))
    assert later.unknown == "the full was cut before this policy would have cut it"


def test_a_recording_that_stops_is_unknown_beyond() -> None:
    turn = full_alone({"deadline_ms": 2_000})
    timer: tuple[int, Event] = (2_001, TimerFired(TURN, 0, "deadline", ""))
    recorded = replay_as_recorded(replace(turn, events=[turn.events[0], timer]))
    later = replay_under(recorded, recorded.policy.model_copy(update={"deadline_ms": 3_000}))
    assert later.unknown == "the recording stops before this policy's end of the turn"


def test_callers_do_what_they_did() -> None:
    events = [
        (1, begin("full")),
        (300, say("full", 0, "Yes, it")),
        (350, TurnInterrupted(TURN, "client", -1)),
    ]
    recorded = replay_as_recorded(recording(*events, draft=False))  # type: ignore[arg-type]
    again = replay_under(recorded, changed(recorded.policy, handoff={"when": "length"}))
    assert not again.unknown and again.fold.ending and again.fold.ending.reason == "interrupted"


@pytest.mark.parametrize("ends", ["disconnect", "client"])
def test_who_goes_on_without_a_client_would_not_have_been_stopped(ends: str) -> None:
    recorded = replay_as_recorded(
        recording((1, begin("full")), (350, TurnInterrupted(TURN, ends, -1)), draft=False)
    )
    again = replay_under(recorded, recorded.policy.model_copy(update={"on_disconnect": "continue"}))
    assert bool(again.unknown) == (ends == "disconnect")
