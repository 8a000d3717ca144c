"""`fast-reply chat`: a conversation in the terminal, each turn drawn as it streams."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import aclosing

from rich.console import Console
from rich.text import Text

from cli.conversation import AnswerFailed, Conversation, open_client
from cli.show import TurnView, printable

_INTERRUPTED = 130


async def draw_turn(console: Console, conversation: Conversation, text: str, *, echo: bool) -> TurnView:
    """Have one turn and draw it; with `echo` draw the question too. Raises TurnFailed."""
    view = TurnView(console)
    if echo:
        view.asked(text)
    note = "interrupted"
    try:
        async with aclosing(conversation.say(text)) as parts:
            async for part in parts:
                view.said(part.lane, part.text, part.ms)
        note = ""
    except AnswerFailed:
        note = "failed"
        raise
    finally:
        view.ended(note)
    return view


def chat(url: str, *, model: str, session: str, key: str, message: str | None) -> int:
    """Talk until the input ends, or have the one turn of `message`; return the exit code."""
    try:
        client = open_client(url, key)
    except AnswerFailed as error:
        return _fail(error)
    talk = Conversation(client, model, session)
    with asyncio.Runner() as runner:
        try:
            if message is not None:
                return _have_turns(runner, talk, [message], echo=False)
            if not sys.stdin.isatty():
                return _have_turns(runner, talk, sys.stdin, echo=True)
            # A person may try again, or cut in with Ctrl-C: neither ends the conversation.
            for line in _typed():
                _have_turns(runner, talk, [line], echo=False)
            return 0
        finally:
            runner.run(client.aclose())


def _have_turns(runner: asyncio.Runner, talk: Conversation, lines: Iterable[str], *, echo: bool) -> int:
    console = Console(highlight=False)
    for line in filter(None, map(str.strip, lines)):
        try:
            runner.run(_one_turn(console, talk, line, echo))
        except AnswerFailed as error:
            return _fail(error)
        except KeyboardInterrupt:
            return _INTERRUPTED
    return 0


async def _one_turn(console: Console, talk: Conversation, line: str, echo: bool) -> None:
    await draw_turn(console, talk, line, echo=echo)


def _typed() -> Iterator[str]:
    import readline  # noqa: F401  editing and history, for input() alone

    while True:
        try:
            yield input("you > ")
        except (EOFError, KeyboardInterrupt):
            print()
            return


def _fail(error: AnswerFailed) -> int:
    Console(stderr=True).print(Text(printable(str(error)), "red"), soft_wrap=True)
    return 1
