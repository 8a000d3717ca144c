"""What is let out of a turn that is spoken: sentences and clauses, and fillers where nothing is heard."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import TurnStarted
from common.turn.aloud import LONGEST_MS, REST_MS, speech_ms, unit_end
from common.turn.fold import Fold
from common.turn.outputs import FILLER, REST, Due, Output, TextReleased
from tests.support.turn_events import Timed, begin, call, end, fire, say, spoken, started

FILL = {"phrases": {"*": ["One moment."]}, "delay_ms": 1_000}
ANSWER = "We open at nine. On Sundays we are closed."
DOORS: tuple[dict[str, Any], ...] = (
    {"reply": {"calls_event": "functionCall"}},
    {"speech": {"voice": "", "format": "pcm16"}},
)


def aloud(door: int = 0, **policy: Any) -> TurnStarted:
    policy.setdefault("draft", False)
    return replace(started(**policy), **DOORS[door])


def run(first: TurnStarted, *events: Timed) -> list[Output]:
    """What is let out when a driver fires each time as it comes."""
    fold, out = Fold(first), list[Output]()
    for ms, event in events:
        while (due := fold.next_due) and due.at_ms <= ms:
            out += fold.feed(fire(due, "One moment." if due.due == FILLER.due else ""), due.at_ms)
        out += fold.feed(event, ms)
    return out


def tokens(lane: Any, text: str, from_ms: int, step_ms: int = 20, size: int = 5) -> list[Timed]:
    return [
        (from_ms + number * step_ms, say(lane, at, text[at : at + size]))
        for number, at in enumerate(range(0, len(text), size))
    ]


def pieces(releases: list[Output]) -> list[tuple[str, str]]:
    return [(release.lane, release.text) for release in releases if isinstance(release, TextReleased)]


@pytest.mark.parametrize("door", [0, 1])
def test_a_token_is_no_sound_so_the_filler_is_said(door: int) -> None:
    slow: list[Timed] = [(300, say("full", 0, "We open")), (3_000, say("full", 7, ANSWER[7:]))]
    out = run(aloud(door, filler=FILL), (0, begin("full")), *slow, (3_010, end("full")))
    assert spoken(out) == [("filler", "One moment."), ("full", " " + ANSWER)]
    assert out[0].at_ms == 1_000


def test_to_a_reader_the_token_is_the_answer() -> None:
    slow: list[Timed] = [(300, say("full", 0, "We open")), (3_000, say("full", 7, ANSWER[7:]))]
    first = started(draft=False, filler=FILL)
    assert spoken(run(first, (0, begin("full")), *slow)) == [("full", ANSWER)]


def test_a_sentence_calls_the_filler_off() -> None:
    out = run(aloud(filler=FILL), (0, begin("full")), *tokens("full", ANSWER, 300), (4_000, end("full")))
    assert spoken(out) == [("full", ANSWER)]


def test_a_drafts_token_is_no_sound_either() -> None:
    first = aloud(draft={"style": "bridge"}, filler=FILL)
    events: list[Timed] = [(0, begin("draft")), (0, begin("full")), (200, say("draft", 0, "Let me"))]
    late: list[Timed] = [
        (2_000, say("draft", 6, " look. It")),
        (4_000, say("full", 0, ANSWER)),
        (4_001, end("full")),
    ]
    out = run(first, *events, *late)
    assert spoken(out) == [("filler", "One moment."), ("draft", " Let me look."), ("full", " " + ANSWER)]


def test_while_a_long_sentence_sounds_nothing_is_filled() -> None:
    bridge = "I am going to look at the opening hours of our shop in the city for you right now."
    first = aloud(draft={"style": "bridge"}, filler=FILL)
    events: list[Timed] = [
        (0, begin("draft")),
        (0, begin("full")),
        (100, say("draft", 0, bridge)),
        (101, end("draft")),
    ]
    sounds_until = 101 + speech_ms(bridge)
    quick: list[Timed] = [(sounds_until + 500, say("full", 0, ANSWER)), (sounds_until + 501, end("full"))]
    assert [lane for lane, _ in spoken(run(first, *events, *quick))] == ["draft", "full"]
    slow: list[Timed] = [(sounds_until + 2_500, say("full", 0, ANSWER)), (sounds_until + 2_501, end("full"))]
    assert [lane for lane, _ in spoken(run(first, *events, *slow))] == ["draft", "filler", "full"]


def test_what_rests_is_a_sentence_and_calls_the_filler_off() -> None:
    events: list[Timed] = [
        (0, begin("full")),
        (300, say("full", 0, "Yes.")),
        (3_000, say("full", 4, " It is.")),
    ]
    out = run(aloud(filler=FILL), *events, (3_001, end("full")))
    assert pieces(out) == [("full", "Yes."), ("full", " It is.")]
    assert out[0].at_ms == 300 + REST_MS


def test_a_time_to_rest_that_the_next_token_has_passed_is_no_rest() -> None:
    fold = Fold(aloud())
    fold.feed(begin("full"), 0)
    fold.feed(say("full", 0, "Ask shop."), 100)
    assert fold.next_due == Due(REST.number, REST.due, 100 + REST_MS)
    fold.feed(say("full", 9, "com"), 140)
    assert fold.feed(fire(REST), 160) == []
    assert fold.next_due is not None and fold.next_due.due != REST.due


CHINESE = "我们的营业时间是周一到周五早上九点到晚上六点，" * 20


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (CHINESE, CHINESE[:23]),
        ("字" * 300, "字" * 34),
        ("мы открыты каждый день, кроме воскресенья, " * 10, None),
        ("we are open each day but on sundays and on holidays " * 10, None),
        ("เราเปิดทุกวัน" * 40, None),
    ],
)
def test_where_no_sentence_comes_a_clause_is_let_out(text: str, first: str | None) -> None:
    out = run(aloud(filler=FILL), (0, begin("full")), *tokens("full", text, 100, size=3))
    said = [piece for _, piece in pieces(out)]
    assert "filler" not in [lane for lane, _ in pieces(out)]
    assert first is None or said[0] == first
    assert all(speech_ms(piece) <= LONGEST_MS + 100 for piece in said)
    assert text.startswith("".join(said)) and speech_ms(text[len("".join(said)) :]) <= LONGEST_MS + 100


def test_a_sentence_of_the_usual_length_stays_whole() -> None:
    sentence = "We are open from nine in the morning to six in the evening, and on Saturdays until noon."
    out = run(aloud(), (0, begin("full")), *tokens("full", sentence + " Bye", 0))
    assert pieces(out) == [("full", sentence)]


def test_numbers_and_times_are_cut_nowhere() -> None:
    text = "сто, " * 25 + "1,234,567,890 в 9:30"
    place = unit_end(text, 0, None)
    assert place is not None and text[place - 1] == ","


def test_a_draft_of_which_nothing_was_heard_gives_way_to_a_sentence() -> None:
    events: list[Timed] = [
        (0, begin("draft")),
        (0, begin("full")),
        (10, say("draft", 0, "Let me have a look at")),
    ]
    events += [(20, say("full", 0, "We open at nine. On"))]
    assert pieces(run(aloud(draft={}), *events)) == [("full", "We open at nine.")]


def test_a_draft_goes_on_until_the_full_has_a_sentence() -> None:
    first = aloud(draft={}, handoff={"when": "first_token"})
    events: list[Timed] = [
        (0, begin("draft")),
        (0, begin("full")),
        (10, say("full", 0, "We")),
        (20, say("draft", 0, "Let me")),
    ]
    events += [(30, say("draft", 6, " look. And")), (40, say("full", 2, " open at nine. On"))]
    assert pieces(run(first, *events)) == [("draft", "Let me look."), ("full", " We open at nine.")]


def test_before_a_call_the_draft_may_end_its_sentence() -> None:
    events: list[Timed] = [(0, begin("draft")), (0, begin("full")), (10, say("draft", 0, "Let me look"))]
    asked: list[Timed] = [
        (20, call(0, 0, "{}")),
        (60, say("draft", 11, " that up. Then")),
        (900, end("full", "tool_calls")),
    ]
    out = run(aloud(draft={}), *events, *asked)
    assert pieces(out) == [("draft", "Let me look that up.")]


def test_what_the_guard_holds_is_not_let_out_by_its_clauses() -> None:
    first = aloud(draft={"guard": True})
    text = "Yes, of course, it costs 300 euros, " + "and we will surely pay it back to you, " * 6
    out = run(
        first, (0, begin("draft")), (0, begin("full")), *tokens("draft", text, 10), (9_000, call(0, 0, "{}"))
    )
    assert pieces(out) == []


def test_a_guarded_draft_that_repeats_is_not_finished_unjudged() -> None:
    first = aloud(draft={"guard": True}, handoff={"join": "skip_repeat"})
    events: list[Timed] = [
        (0, begin("draft")),
        (0, begin("full")),
        (10, say("draft", 0, "Let me look. It costs 300 euros")),
    ]
    events += [(20, say("full", 0, "Let me look.")), (30, end("full"))]
    assert "300" not in "".join(text for _, text in pieces(run(first, *events)))


WORDS = st.lists(
    st.sampled_from(
        [
            "We open",
            " at nine",
            ".",
            " Dr",
            ". Who",
            "!",
            "你好",
            "。",
            "，",
            " and",
            ", then",
            "\n",
            " 3",
            "5",
        ]
    ),
    max_size=60,
).map("".join)


@given(WORDS, WORDS, st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 400))
def test_all_of_the_full_is_said_whatever_its_pieces(
    draft: str, full: str, cuts: list[int], step: int
) -> None:
    """A replay of what was written says the same, and the full's text comes whole."""
    events, at, ms = list[Timed](), 0, 0
    while at < len(full):
        size = cuts[len(events) % len(cuts)]
        events.append((ms := ms + step, say("full", at, full[at : at + size])))
        at += size
    first = aloud(draft={}, filler=FILL)
    written: list[Timed] = [
        (0, begin("draft")),
        (0, begin("full")),
        (1, say("draft", 0, draft)),
        (2, end("draft")),
    ]
    written += [*events, (ms + 3, end("full"))]
    out = run(first, *written)
    said = "".join(text for lane, text in pieces(out) if lane == "full")
    assert said.split() == full.split() or not full.strip() or said.replace(" ", "") in full.replace(" ", "")
    assert out == run(first, *written)


def test_a_long_address_is_not_cut_in_two() -> None:
    link = "See [our page](https://example.com/" + "a/long-path-" * 20 + ") for more of it. Bye"
    assert unit_end(link, 0, None) is None
    assert unit_end(link, 0, link.index(" Bye")) == link.index(" Bye")


@pytest.mark.parametrize(
    ("draft", "due_ms"),
    [
        ([(300, end("draft", "error"))], 300),  # it fails
        ([(200, end("draft"))], 200),  # it has nothing to say
        ([], 1_000),  # it says nothing
        ([(200, say("draft", 0, "Let me look.")), (210, end("draft"))], 2_200),  # it bridges
    ],
)
def test_while_something_is_looked_up_there_is_always_a_word(draft: list[Any], due_ms: int) -> None:
    first = started(filler={"phrases": {"*": ["One moment."]}, "maximum": 1})
    first.lanes["full"]["knowledge"] = {"collection": "default"}
    full: list[Timed] = [(9_000, say("full", 0, ANSWER)), (9_001, end("full"))]
    out = run(first, (0, begin("draft")), (0, begin("full")), *draft, *full)
    (filler,) = [release for release in out if isinstance(release, TextReleased) and release.lane == "filler"]
    assert filler.at_ms == due_ms
