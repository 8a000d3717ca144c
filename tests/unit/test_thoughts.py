"""Thoughts in a model's text: never among its words, however they are marked and cut."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from common.tenants.profiles import Upstream
from workers.providers.base import Finish, PassThrough, StreamPart
from workers.providers.thinkers import Thinkers
from workers.providers.tidying import Tidier


def tidied(pieces: Iterable[StreamPart], tidy: Tidier | None = None) -> tuple[str, str]:
    """The words and the thoughts of an answer that comes in these pieces."""
    tidy = tidy or Tidier()
    told = [out for piece in pieces for out in tidy.feed(piece)] + list(tidy.end())
    words = "".join(out for out in told if isinstance(out, str))
    thoughts = [
        out.choice["delta"].get("reasoning_content", "") for out in told if isinstance(out, PassThrough)
    ]
    return words, "".join(thoughts)


def cuts(text: str) -> list[list[str]]:
    """The text whole, by characters, in two at each place, and anyhow."""
    chance = random.Random(text)
    anyhow = []
    for _ in range(20):
        places = sorted(chance.choices(range(len(text) + 1), k=4))
        anyhow.append([text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)])
    return [[text], list(text), *([text[:at], text[at:]] for at in range(len(text))), *anyhow]


MARKED = [
    ("<think>Hm.</think>Yes.", "Yes.", "Hm."),
    ("<think>\nHm.\n</think>\n\nYes.", "Yes.", "Hm.\n"),
    ("\n\n<think>Hm.</think> \n Yes.", "Yes.", "Hm."),
    ("<think></think>Yes.", "Yes.", ""),
    ("<think>\n\n</think>\n\nYes.", "Yes.", ""),
    ("<think/>Yes.", "Yes.", ""),
    ("<Think >Hm.</THINK>Yes.", "Yes.", "Hm."),
    ("<thinking>Hm.</thinking>Yes.", "Yes.", "Hm."),
    ('<thinking mode="deep">Hm.</thinking>Yes.', "Yes.", "Hm."),
    ("<thought>Hm.</thought>Yes.", "Yes.", "Hm."),
    ("<reasoning>1 < 2</reasoning>Yes.", "Yes.", "1 < 2"),
    ("<seed:think>Hm.</seed:think>Yes.", "Yes.", "Hm."),
    ("[THINK]Hm.[/THINK]Yes.", "Yes.", "Hm."),
    ("◁think▷Hm.◁/think▷Yes.", "Yes.", "Hm."),
    ("<|begin_of_thought|>Hm.<|end_of_thought|><|begin_of_solution|>Yes.<|end_of_solution|>", "Yes.", "Hm."),
    ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>", "Yes.", "Hm."),
    ("<|channel>thought\nHm.<channel|>Yes.", "Yes.", "thought\nHm."),
    ("<unused94>thought\nHm.<unused95>Yes.", "Yes.", "thought\nHm."),
    (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "Yes.",
        "Hm.",
    ),
    (
        "<|channel|>commentary<|message|>Wait. <|end|><|start|>assistant<|channel|>commentary to=functions.f "
        "<|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>Yes.",
        "Wait. Yes.",
        "{}",
    ),
    ("Wait. <think>Hm.</think> Yes.", "Wait. Yes.", "Hm."),
    ("Wait.<think>Hm.</think>\n\nYes.", "Wait.\n\nYes.", "Hm."),
    ("<think>Hm.</think>Yes.<think>So.</think> No.", "Yes. No.", "Hm.So."),
    ("<think>Hm, <think> again.</think>Yes.", "Yes.", "Hm,  again."),
    ("<think>Hm.", "", "Hm."),
    ("<think>Hm.</thin", "", "Hm.</thin"),
]
PLAIN = [
    "Yes.",
    " Yes. ",
    "\nYes.\n",
    "1 < 2 and [3] <b>x</b> <thin> </thin> < think",
    "Say `<think>` first.",
    "a<",
    "<t",
    "<|",
    "if x <thinker> then",
    "<think about it> well",
    "[THIN",
    "[think] hard",
    "用户<说>你好",
    " \n ",
    "",
]


@pytest.mark.parametrize(("text", "words", "thoughts"), MARKED)
def test_thoughts_are_no_words_wherever_they_are_cut(text: str, words: str, thoughts: str) -> None:
    for pieces in cuts(text):
        assert tidied(pieces) == (words, thoughts), pieces


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_mark_is_said_as_it_came(text: str) -> None:
    for pieces in cuts(text):
        assert tidied(pieces) == (text, ""), pieces


@pytest.mark.parametrize("pause", [Finish("stop"), Finish("stop", alone=False)])
def test_a_word_for_the_end_changes_no_thought(pause: StreamPart) -> None:
    pieces: list[StreamPart] = [part for char in "<think>Hm.</think>Yes." for part in (char, pause)]
    if isinstance(pause, Finish) and not pause.alone:  # as it came with the text
        assert tidied(pieces) == ("Yes.", "Hm.")
    assert tidied(["<think>Hm.", pause, "</think>Yes.", pause]) == ("Yes.", "Hm.")


def test_words_are_not_held_back() -> None:
    """Only what may be the beginning of a mark waits for its next character."""
    tidy = Tidier()
    assert [list(tidy.feed(piece)) for piece in ("Yes", ", 1 <", " 2", " <th", "e>")] == [
        ["Yes"],
        [", 1 "],
        ["< 2"],
        [" "],
        ["<the>"],
    ]


# Models that begin in thought, and mark only its end.

MODEL = Upstream("http://models/v1", SecretStr("k"), "some-model")
UNBEGUN = ["I sho", "uld greet.", "</thi", "nk>\n\nHel", "lo."]


def answer(thinkers: Thinkers, pieces: list[Any], model: Upstream = MODEL) -> tuple[str, str]:
    tidy = Tidier(begins_in_thought=thinkers.begins(model))
    said = tidied(pieces, tidy)
    thinkers.heard(model, tidy)
    return said


def test_a_thought_whose_end_alone_is_marked_is_none_of_its_models_words() -> None:
    named = Thinkers(["Some-"])
    assert answer(named, UNBEGUN) == ("Hello.", "I should greet.")
    assert tidied(["I should greet.</think>Hello."]) == ("Hello.", "I should greet.")


def test_who_begins_in_thought_is_learned_and_forgotten() -> None:
    thinkers, other = Thinkers([]), Upstream("http://models/v1", SecretStr("k"), "other")
    assert answer(thinkers, UNBEGUN) == ("I should greet.\n\nHello.", "")  # nobody could know
    assert answer(thinkers, UNBEGUN) == ("Hello.", "I should greet.")
    assert not thinkers.begins(other)
    assert answer(thinkers, ["Hel", "lo."]) == ("Hello.", "")  # told at the end
    assert not thinkers.begins(MODEL)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_of_a_server_that_tells_thoughts_apart_no_word_is_held_back(field: str) -> None:
    tidy = Tidier(begins_in_thought=True)
    list(tidy.feed(PassThrough({"delta": {field: "Hm."}})))
    assert list(tidy.feed("Hello")) == ["Hello"]


def test_what_is_held_back_is_bounded() -> None:
    tidy = Tidier(begins_in_thought=True)
    with pytest.raises(Exception, match="no answer"):
        for _ in range(100):
            list(tidy.feed("x" * 100_000))


@given(
    st.lists(
        st.sampled_from([*"<>/|[]◁▷` \n", "think", "x", "<think>", "</think>", "<|channel|>", "<|end|>"])
    )
)
def test_cuts_change_nothing(parts: list[str]) -> None:
    text = "".join(parts)
    whole, anyhow = tidied([text]), tidied(parts)
    if "</" not in text:  # else what came before an end without a beginning may have been said
        assert anyhow == whole == tidied(list(text))
    assert len("".join(anyhow)) <= len(text)
