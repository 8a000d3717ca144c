"""What it costs to cut a text into sentences and to write it to the log: counted, in proportion to it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.events import Delta, Event, Extra, LaneStarted, ToolPart
from common.names import JobRef, SessionRef, TurnRef
from common.text.growing_text import GrowingText
from common.turn.outputs import TextReleased
from common.turn.sentence_splitter import SentenceSplitter
from tests.support.counted_work import PIECES, counting
from tests.support.turn_events import TURN
from workers.lanes.publisher import LaneWriter, Publisher


def cutting_work(piece: str, count: int, *, whole: bool, at_once: bool) -> int:
    """What it takes to cut so many pieces: each as it comes, or all when the last has come."""
    cutter, cut = SentenceSplitter(whole=whole), 0
    with counting() as work:
        for _ in range(count):
            cutter.feed(TextReleased("full", piece, 0))
            if not at_once:
                cut += sum(1 for _ in iter(cutter.next, None)) + cutter.rests
        cutter.close()
        cut += sum(1 for _ in iter(cutter.next, None))
    assert isinstance(cutter.text, GrowingText) and (cut or not piece.strip())
    return work[0]


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "as it comes"])
@pytest.mark.parametrize("whole", [True, False], ids=["let out whole", "by the piece"])
@pytest.mark.parametrize("piece", PIECES)
def test_to_cut_a_text_twice_as_long_is_twice_the_work(piece: str, whole: bool, at_once: bool) -> None:
    once, twice = (cutting_work(PIECES[piece], n, whole=whole, at_once=at_once) for n in (600, 1_200))
    assert twice < 2.2 * once + 10_000


def test_one_huge_piece_is_cut_without_being_read_again_for_each_sentence() -> None:
    def work(count: int) -> int:
        return cutting_work("We open at nine on each day " * count, 1, whole=True, at_once=True)

    assert work(2_000) < 2.2 * work(1_000)


class Copied(str):
    """A piece of text that counts what is copied where it is added to a string."""

    copied = 0

    def __radd__(self, before: str) -> str:
        Copied.copied += len(before) + len(self)
        return str(before) + str(self)


def writer() -> LaneWriter:
    publisher = SimpleNamespace(wake=lambda writer: None, ms_since=lambda start_ms: 7)
    job = JobRef(TurnRef(SessionRef("default", "s"), TURN), "full", 1)
    return LaneWriter(cast(Publisher, publisher), LaneStarted(TURN, "full", 1, "w"), job, 0)


def test_what_waits_for_the_store_is_put_together_once() -> None:
    """A model server says a lot while a store is away: a megabyte by the word."""
    pen = writer()
    for _ in range(2_000):
        pen.append_text(Copied("word "))
    (delta,) = pen.take_pending()
    assert isinstance(delta, Delta) and (delta.at, delta.text) == (0, "word " * 2_000)
    assert Copied.copied == 0
    assert pen.take_pending() == []


def test_words_and_calls_are_written_in_the_order_in_which_they_came() -> None:
    pen = writer()
    pen.append_text("We ")
    pen.append_text("open")
    pen.append_tool_call(0, "c", "look", "{")
    pen.append_extra({"delta": {"refusal": "No"}})
    pen.append_text(" at")
    pen.append_text(" nine")
    here: dict[str, Any] = {"turn": TURN, "lane": "full", "attempt": 1, "ms": 7}
    wanted: list[Event] = [
        Delta(at=0, text="We open", **here),
        ToolPart(index=0, at=0, id="c", name="look", arguments="{", rest={}, **here),
        Extra(number=0, choice={"delta": {"refusal": "No"}}, **here),
        Delta(at=7, text=" at nine", **here),
    ]
    assert pen.take_pending() == wanted
    pen.append_text(".")
    assert pen.take_pending() == [Delta(at=15, text=".", **here)]
