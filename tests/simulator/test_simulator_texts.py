"""What is said: built-in answers by script, and answers files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from simulator.server import SimulatorConfig
from simulator.texts import CHINESE, ENGLISH, RUSSIAN, Answer, Answers, own_answer


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("What is rain?", ENGLISH), ("什么是 rain?", CHINESE), ("Что такое rain?", RUSSIAN), ("", ENGLISH)],
)
def test_the_script_of_the_prompt_chooses_the_language(prompt: str, answer: Answer) -> None:
    assert own_answer(prompt) is answer


def test_answers_files_are_looked_up_by_model_kind(
    tmp_path: Path, serve: Callable[[SimulatorConfig], httpx.Client], ask: Callable[..., dict[str, Any]]
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_bytes(_row("Why?", "Well.", "Because.") + b"\n" + _row("How?", "Hm.", "So."))
    second.write_bytes(_row("Why?", "Let me see.", "Because of that.\u2028"))
    client = serve(SimulatorConfig(answers=(first, second)))
    asked = {
        ("draft", "Why?"): "Let me see.",
        ("full", "Why?"): "Because of that.\u2028",
        ("full", " How?\n"): "So.",
        ("full", "When?"): ENGLISH.full,
    }
    for (model, prompt), text in asked.items():
        body = ask(prompt, model=model, simulate={"ttft_ms": 0, "tpot_ms": 0})
        answer = client.post("/v1/chat/completions", json=body).json()
        assert answer["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize("row", [b"{", b"[]", b'{"prompt": "Why?", "draft": "Well."}'])
def test_a_bad_line_is_named(tmp_path: Path, row: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(_row("Why?", "Well.", "Because.") + b"\n\n" + row)
    with pytest.raises(ValueError, match=r"answers\.jsonl:3"):
        Answers.from_files([path])


def _row(prompt: str, draft: str, full: str) -> bytes:
    return orjson.dumps({"prompt": prompt, "draft": draft, "full": full})
