"""What a what-if counts, which trade it calls the best, and its command."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from bench.data import Answered
from bench.pace import record, write
from cli.main import app
from cli.whatif import judge
from cli.whatif.cases import Outcome, WrongCase, read_cases
from cli.whatif.show import best_trade
from cli.whatif.tally import Figures, Tally, figures_of
from common.records.recording import RecordedTurn
from common.records.replay import replay_as_recorded, replay_under
from common.turn.policy import Policy
from simulator.tokens import split_tokens
from tests.support.recorded_turns import DRAFT, FULL, OFTEN, PACE, live, policy, recording, shadowed
from tests.support.turn_events import begin, call, end, say

# Figures.


def figures(turn: RecordedTurn, under: Policy) -> Figures:
    return figures_of(replay_under(replay_as_recorded(turn), under))


def test_the_figures_of_a_turn() -> None:
    appended = figures(shadowed(), policy({"handoff": {"join": "append"}}))
    assert appended.first_sound_ms == 200 and appended.won and not appended.failed
    assert appended.informed_ms is not None and 200 < appended.informed_ms < 900
    assert appended.repeats and not appended.misses
    shadow = figures_of(replay_as_recorded(shadowed()))
    assert shadow.first_sound_ms == 900 and not shadow.won and shadow.wasted > 20


def test_bridges_and_fillers_do_not_inform() -> None:
    turn = live(shadowed(), policy({"filler": OFTEN}, {"draft": {"style": "bridge"}}))
    bridged = figures_of(replay_as_recorded(turn))
    assert bridged.first_sound_ms == 150 and not bridged.won
    assert bridged.informed_ms is not None and bridged.informed_ms > 900


def test_a_sentence_that_was_left_out_is_judged() -> None:
    assert judge.wrongly_left_out("It opens at 9.", "It opens.") == "number"
    assert judge.wrongly_left_out("It isn't open.", "It is open.") == "negation"
    assert judge.wrongly_left_out("Кроме того, музей закрыт.", "Музей открыт.") == "content"
    assert judge.wrongly_left_out("博物馆九点开门。", "博物馆开门。") == "number"
    assert judge.wrongly_left_out("The museum is open.", "Well, the museum is open today.") == ""


def test_openings_are_compared_by_words_or_by_pairs_of_characters() -> None:
    assert judge.likeness("It is open.", "it is open") == 1
    assert judge.likeness("博物馆开门", "博物馆关门") == pytest.approx(2 / 6)
    assert judge.repeats(["…", "Sure!", "The museum opens at nine."], ["The museum opens at nine"])
    assert not judge.repeats(["Sure!", "Yes.", "The museum opens at nine."], ["The museum opens at nine"])


def test_a_tool_call_is_the_fulls_first_word() -> None:
    events = (1, begin("draft")), (2, begin("full")), (5, call(0, 0, "{}")), (9, end("full"))
    assert not figures_of(replay_as_recorded(recording(*events))).won


def test_tallies_are_put_together() -> None:
    one, other, both = Tally(), Tally(), Tally()
    for number, (tally, ms) in enumerate([(one, 10), (one, 30), (other, 20), (other, None)]):
        made = Figures(ms, None if ms is None else 2 * ms, number == 0, False, True, 1.5, False, False)
        tally.add(made)
        both.add(made)
    one.merge(other)
    assert one.summary() == both.summary()
    summary = both.summary()
    assert (summary["first_sound_p50_ms"], summary["first_sound_p95_ms"]) == (20, 30)
    assert (summary["gap_p50_ms"], summary["repeats_share"], summary["wasted_tokens"]) == (20, 0.25, 1.5)
    assert Tally().summary()["repeats_share"] is None


def outcome(informed_ms: int, repeats: int, wasted: float = 0) -> Outcome:
    made = Outcome()
    for number in range(10):
        made.shared.add(Figures(0, informed_ms, number < repeats, False, True, wasted, False, False))
    return made


def test_the_best_trade_is_on_the_front() -> None:
    outcomes = [outcome(500, 5), outcome(600, 1), outcome(900, 0), outcome(700, 2), outcome(600, 1, 3)]
    assert best_trade(outcomes) == ({0, 1, 2, 4}, 1)
    assert best_trade([Outcome()]) == (set(), None)
    assert best_trade([outcome(600, 1, 3), outcome(600, 1)]) == ({0, 1}, 1)


# The command.


def test_settings_are_read() -> None:
    (case,) = read_cases(["handoff.when=first_token", "filler.delay_ms=800", 'filler.phrases.en=["Hm."]'], [])
    made = case.apply(Policy())
    assert (made.handoff.when, made.filler.delay_ms, made.filler.phrases) == (
        "first_token",
        800,
        {"en": ("Hm.",)},
    )
    grid = read_cases(["draft.guard=true"], ["handoff.when=sentence,length", "handoff.min_chars=80,120,160"])
    assert len(grid) == 6 and str(grid[0]) == "draft.guard=true  handoff.when=sentence  handoff.min_chars=80"


@pytest.mark.parametrize(
    "text",
    [
        "handoff.when",
        "=x",
        "handoff.wen=length",
        "handoff.when=soon",
        "speed=1",
        "deadline_ms.x=1",
        "filler.delay_ms=-1",
    ],
)
def test_a_wrong_setting_is_refused(text: str) -> None:
    with pytest.raises(WrongCase):
        read_cases([text], [])


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["whatif", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    paces = [replace(PACE, full_first_ms=ms) for ms in (700, 900, 1_100)]
    turns = [
        record(Answered(f"{n}", "When does it open?", DRAFT, FULL), pace) for n, pace in enumerate(paces)
    ]
    write(tmp_path / "turns.jsonl", turns)
    return tmp_path / "turns.jsonl"


def test_a_file_before_and_after(file: Path, tmp_path: Path) -> None:
    code, out = run(file, "--set", "handoff.shadow=false", "--json", tmp_path / "out.json")
    assert code == 0 and "3 of 3 turns fold to exactly what was heard." in out
    made = orjson.loads((tmp_path / "out.json").read_bytes())
    assert (made["before"]["turns"], made["after"]["turns"], made["drifted"]) == (3, 3, 0)
    assert made["before"]["first_sound_p50_ms"] == 900 and made["after"]["first_sound_p50_ms"] == 200
    assert made["settings"] == {"handoff.shadow": False} and made["unknown"] == {"reasons": {}, "turns": {}}


def test_what_is_unknown_is_told_by_turn(file: Path, tmp_path: Path) -> None:
    code, out = run(file, "--set", "draft.style=bridge", "--json", tmp_path / "out.json")
    assert code == 0 and "3 turns, the draft would have had another prompt" in " ".join(out.split())
    made = orjson.loads((tmp_path / "out.json").read_bytes())
    assert len(made["unknown"]["turns"]) == 3 and made["after"]["informed_p50_ms"] is None


def test_a_grid_has_a_best(file: Path, tmp_path: Path) -> None:
    arguments = ("--set", "handoff.shadow=false", "--sweep", "handoff.join=append,skip_repeat")
    code, out = run(file, *arguments, "--json", tmp_path / "out.json")
    assert code == 0 and "Best trade: handoff.shadow=false  handoff.join=skip_repeat" in out
    made = orjson.loads((tmp_path / "out.json").read_bytes())
    assert [row["settings"]["handoff.join"] for row in made["sweep"]] == ["append", "skip_repeat"]
    assert made["best"] == {"handoff.shadow": False, "handoff.join": "skip_repeat"}


def test_what_cannot_be_read_is_said(file: Path, tmp_path: Path) -> None:
    assert run(file, "--set", "speed=1") == (2, "speed is no setting of a policy\n")
    (tmp_path / "empty.jsonl").touch()
    assert run(tmp_path / "empty.jsonl") == (1, "no turn in there\n")
    assert run(" ")[0] == 1


def test_in_the_shadow_all_that_the_draft_made_is_wasted() -> None:
    turn = shadowed(replace(PACE, full_first_ms=100, full_tps=400))
    recorded = replay_as_recorded(turn)
    assert not recorded.unknown and recorded.drafted == len(DRAFT)
    assert figures_of(recorded).wasted == pytest.approx(len(split_tokens(DRAFT)))


def test_a_draft_without_text_wastes_nothing() -> None:
    events = (1, begin("draft")), (2, begin("full")), (5, say("full", 0, "Yes.")), (9, end("full", at=4))
    assert figures_of(replay_as_recorded(recording(*events))).wasted == 0
