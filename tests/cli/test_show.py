from io import StringIO
from typing import Any

from rich.console import Console

from cli.show import Terminal, TurnView

RECORDED = [
    ("draft", "", 30),
    ("draft", "Good", 212),
    ("draft", " question,", 240),
    ("draft", " let me look.", 260),
    ("full", " It", 1480),
    ("full", " takes [b]three[/b] days.\n", 1500),
    ("full", "Not more.", 3020),
    ("full", "", 3021),
]


def console(width: int = 60, *, terminal: bool = False, colours: bool = False) -> Console:
    colour_system: Any = "standard" if colours else None
    return Console(
        file=StringIO(), width=width, force_terminal=terminal, color_system=colour_system, _environ={}
    )


def written(to: Console) -> str:
    assert isinstance(to.file, StringIO)
    return to.file.getvalue()


def draw(to: Console, parts: list[tuple[str, str, int]], note: str = "") -> str:
    view = TurnView(to)
    for lane, text, ms in parts:
        view.said(lane, text, ms)
    view.ended(note)
    return written(to)


def test_a_turn_in_a_pipe_is_plain_text_with_lanes_and_times() -> None:
    out = console()
    TurnView(out).asked("How long does it take?")
    assert draw(out, RECORDED) == (
        "you               How long does it take?\n"
        "draft     212 ms  Good question, let me look.\n"
        "full    1,480 ms  It takes [b]three[/b] days.\n"
        "                  Not more.\n"
        "                  first sound 212 ms · hand-over 1,480 ms · end 3,021 ms\n"
    )


def test_a_turn_without_a_draft_has_no_hand_over() -> None:
    assert draw(console(), [("full", "Yes.", 900)], "interrupted") == (
        "full      900 ms  Yes.\n                  first sound 900 ms · end 900 ms · interrupted\n"
    )


def test_a_turn_in_which_nothing_came_draws_nothing() -> None:
    assert draw(console(), []) == ""


def test_in_a_terminal_lanes_have_colours() -> None:
    out = draw(console(terminal=True, colours=True), RECORDED)
    assert "\x1b[1;33mdraft" in out and "\x1b[33m question,\x1b[0m" in out and "\x1b[1;32mfull" in out


def test_in_a_terminal_lines_break_under_their_beginning() -> None:
    parts = [
        ("full", words, 5) for words in ("one two three", " four", " five six", " 请稍等请稍等请稍等请稍等")
    ]
    assert draw(console(width=41, terminal=True), parts).splitlines()[:3] == [
        "full        5 ms  one two three four five",
        "                  six 请稍等请稍等请稍等",
        "                  请稍等",
    ]


def test_a_word_that_comes_in_pieces_is_taken_to_the_next_line() -> None:
    parts = [("full", piece, 5) for piece in ("note where the com", "par", "i", "son ends")]
    assert draw(console(width=36, terminal=True), parts).startswith(
        "full        5 ms  note where the com\x1b[3D\x1b[0K\n                  comparison ends\n"
    )


def test_a_word_longer_than_the_line_stays_where_it_is() -> None:
    parts = [("full", piece, 5) for piece in ("x" * 30, "y" * 30)]
    assert draw(console(width=36, terminal=True), parts).startswith(
        f"full        5 ms  {'x' * 30}{'y' * 30}\n"
    )


def test_what_a_model_says_cannot_steer_the_terminal() -> None:
    said = "a\x1b]0;owned\x07b\rc\x9b2J"
    assert draw(console(), [("full", said, 1)]).startswith("full        1 ms  a]0;ownedbc2J\n")


def test_lines_of_processes_wait_until_a_turn_is_drawn() -> None:
    terminal = Terminal(console())
    terminal.say("api", "first \x1b[31m")
    with terminal.undisturbed() as drawing:
        drawing.print("half a line, ", end="")
        terminal.say("api", "second")
        drawing.print("the other half")
    assert written(terminal.console) == (
        "api         first [31m\nhalf a line, the other half\napi         second\n"
    )
