"""Real dialogues and answers: what is masked of them, and how much of that is nobody's number or address."""

import re
from collections import Counter
from collections.abc import Iterator

import orjson
import pytest

from bench import data
from common.redaction.masking import mask

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(bool(data.missing()), reason=data.missing() or "the data is there"),
]

# What stands before a number that is somebody's, in these dialogues.
_PERSONAL = re.compile(r"电话|拨打|account|number|phone|mail|\+", re.I)
_LONG = re.compile(r"[\d-]{7,}")


def texts() -> Iterator[tuple[str, str]]:
    """Each text that was said, and of which kind it is."""
    for line in (data.folder() / "dialogues.jsonl").read_bytes().splitlines():
        for turn in orjson.loads(line)["turns"]:
            yield "dialogues", turn["content"]
    for row in data.answers():
        for said in (row.prompt, row.draft, row.full):
            yield "answers", said


def spans(said: str, kept: str) -> Iterator[tuple[int, int]]:
    """Where a text was masked: pieces with at most three characters between them are one."""
    places = [place for place, (s, k) in enumerate(zip(said, kept, strict=True)) if s != k]
    begin = before = -9
    for place in places:
        if place - before > 4:
            if begin >= 0:
                yield begin, before + 1
            begin = place
        before = place
    if begin >= 0:
        yield begin, before + 1


def is_personal(said: str, begin: int, end: int) -> bool:
    """Whether it looks like a number or an address of somebody's: named so, or all that was said."""
    span = said[begin:end]
    if "@" in span:
        return True
    named = _PERSONAL.search(said[max(0, begin - 40) : begin])
    return bool(_LONG.search(span)) and (bool(named) or span == said.strip())


def test_of_real_talk_little_is_masked_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Counter[str]] = {"dialogues": Counter(), "answers": Counter()}
    for kind, said in texts():
        kept = mask(said)
        assert len(kept) == len(said) and mask(kept) == kept
        found[kind]["texts"] += 1
        for begin, end in spans(said, kept):
            found[kind]["personal" if is_personal(said, begin, end) else "nobody's"] += 1
    with capsys.disabled():
        for kind, counts in found.items():
            print(f"\n{kind}: {counts['texts']} texts, masked in them: {dict(counts)}")
    assert found["dialogues"]["personal"] > 50 and found["dialogues"]["nobody's"] < 10
    assert found["answers"]["nobody's"] < 0.02 * found["answers"]["texts"]
