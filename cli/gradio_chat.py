"""`fast-reply gradio`: a chat page that shows who speaks.

The page sends the newest message only: the gateway remembers what was said before.
"""

import html
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import gradio as gr
import httpx

from cli.conversation import AnswerFailed, Conversation, Part, open_client, refusal

_CSS = """
.not-full { font-style: italic; opacity: 0.65; }
.times { font-size: 0.75em; opacity: 0.65; }
.failed { color: var(--error-icon-color); }
#chat [aria-label=Clear] { display: none; }  /* it would empty the page alone: "New chat" tells the gateway */
"""
_WELCOME = "<span class='not-full'>The draft speaks at once.</span>\n\nThe full answer takes over."
_IDLE = {"submit_btn": True, "stop_btn": False}
_BUSY = {"submit_btn": False, "stop_btn": True}

Message = dict[str, str]


class Answer:
    """A turn's answer as far as it was heard, and how it looks as Markdown."""

    def __init__(self) -> None:
        self._spoken: list[tuple[str, str]] = []  # lane and text, one entry each time the lane changes
        self._times: dict[str, int] = {}  # when each lane was first heard, in ms
        self._last_ms = 0
        self._failure = ""

    def add(self, part: Part) -> None:
        """Append one more part."""
        self._last_ms = part.ms
        if not part.text:
            return
        self._times.setdefault(part.lane, part.ms)
        if self._spoken and self._spoken[-1][0] == part.lane:
            self._spoken[-1] = (part.lane, self._spoken[-1][1] + part.text)
        else:
            self._spoken.append((part.lane, part.text))

    def end(self, failure: str = "") -> None:
        """Mark the answer as over; `failure` says why, if it failed."""
        self._failure = failure
        if self._spoken:
            self._times["end"] = self._last_ms

    def markdown(self) -> str:
        """Return the full's words as they are, other lanes' set apart, and the times below."""
        pieces = [text if lane == "full" else _marked("not-full", text) for lane, text in self._spoken]
        if self._failure:
            pieces.append(_marked("failed", self._failure))
        if self._times:
            pieces.append(_marked("times", " · ".join(f"{name} {ms} ms" for name, ms in self._times.items())))
        return "\n\n".join(pieces)


class ChatPage:
    """The page's events; all visitors share one client."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client, self._model = client, model

    async def ask(self, text: str, chat: list[Message], session: str) -> AsyncGenerator[Any, None]:
        """Have one turn; yields the box, the chat and the session's name as they change."""
        if not text.strip():
            return
        session = session or f"gradio-{uuid4().hex}"
        chat = [*chat, {"role": "user", "content": text}]
        answer = Answer()
        yield gr.Textbox(value="", **_BUSY), chat, session
        failure = ""
        try:
            # Earlier messages aren't sent: the gateway remembers them.
            async with aclosing(Conversation(self._client, self._model, session).say(text)) as parts:
                async for part in parts:
                    answer.add(part)
                    yield gr.skip(), [*chat, _assistant(answer.markdown())], session
        except AnswerFailed as error:
            failure = str(error)
        answer.end(failure)
        yield gr.skip(), [*chat, _assistant(answer.markdown())], session

    async def stop(self, session: str) -> None:
        """Stop the turn that goes on, for its models too; its stream then ends by itself."""
        try:
            answer = await self._client.post(f"/v1/sessions/{quote(session, safe='')}/cancel")
        except httpx.HTTPError as error:
            gr.Warning(f"It could not be stopped: {error or type(error).__name__}")
            return
        if answer.status_code != 200:
            gr.Warning(refusal(answer.status_code, answer.content))

    async def leave(self, session: str) -> Any:
        """Stop the turn that is live; the next question begins a new session."""
        if session:
            await self.stop(session)
        return gr.Textbox(**_IDLE), [], ""

    def build(self) -> Any:
        """Return the page."""
        with gr.Blocks(title="Fast Reply", fill_height=True, analytics_enabled=False) as page:
            session = gr.State("")
            with gr.Row():
                gr.Markdown("### Fast Reply")
                fresh = gr.Button("New chat", size="sm", scale=0)
            chat = gr.Chatbot(show_label=False, placeholder=_WELCOME, scale=1, buttons=[], elem_id="chat")
            box = gr.Textbox(show_label=False, placeholder="Say something", autofocus=True, **_IDLE)
            turn = box.submit(
                self.ask,
                [box, chat, session],
                [box, chat, session],
                concurrency_limit=None,  # else all visitors wait for one another
                show_progress="hidden",
            )
            # Not by the turn's last words: until it is over, the page drops what is asked.
            turn.then(lambda: gr.Textbox(**_IDLE), None, box, show_progress="hidden")
            box.stop(self.stop, session, concurrency_limit=None, show_progress="hidden")
            fresh.click(self.leave, session, [box, chat, session], cancels=turn, show_progress="hidden")
        return page


def serve(url: str, key: str, model: str, host: str, port: int, login: tuple[str, str] | None) -> int:
    """Serve the page until Ctrl-C or a signal to end; return the exit code."""
    try:
        page = ChatPage(open_client(url, key), model).build()
        print(f"The chat is at http://{host}:{port}", flush=True)
        page.launch(
            server_name=host,
            server_port=port,
            auth=login,
            css=_CSS,
            footer_links=[],
            quiet=True,
            ssr_mode=False,
        )
    except (AnswerFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _marked(kind: str, text: str) -> str:
    """Escape text so that it is one paragraph without Markdown."""
    plain = re.sub(r"([\\`*_~$#\[\]|])", r"\\\1", html.escape(text.strip(), quote=False))
    return f'<span class="{kind}">{plain.replace(chr(10), "<br>")}</span>'
