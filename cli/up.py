"""`fast-reply up`: everything on one machine, in the foreground, with a turn to prove that it works."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from rich.console import Console
from rich.text import Text

from cli.chat import draw_turn
from cli.conversation import AnswerFailed, Conversation
from cli.healthy import local_url
from cli.processes import Supervisor
from cli.running import Gateway, noted
from cli.show import Terminal, printable
from cli.stack import PortTaken, Stack, UpOptions, build_stack, check_port
from cli.store import DataInUse
from common.process.extras import lacks
from common.settings import Settings
from common.tenants.profiles import DEFAULT_PROFILE

_READY_WITHIN_S = 60.0
_POLL_S = 0.05
_PROOF_TOKENS = 200  # it may be a model that costs money
_PROOF = "What is the best way to understand something new?"


class NotReady(Exception):
    """Something did not come up in time; the message is for people."""


def run_up(settings: Settings, plan: UpOptions) -> int:
    """Run everything until Ctrl-C, or until something cannot be kept alive; return the exit code."""
    terminal = Terminal(Console(highlight=False))
    try:
        check_port(settings.host, settings.port)
        if plan.speech_workers and (lack := lacks("speech")):
            terminal.say("fast-reply", f"nothing is spoken: {lack}")
            plan = replace(plan, speech_workers=0)
        with build_stack(settings, plan, os.environ) as stack:
            if plan.data is not None and not any(child.name == "valkey" for child in stack.backing):
                terminal.say("fast-reply", "REDIS_URL is set, so --data is not used")
            return asyncio.run(supervise(stack, settings, plan, terminal))
    except (PortTaken, DataInUse, OSError) as error:
        Console(stderr=True).print(Text(f"fast-reply: {error}", "red"), soft_wrap=True)
        return 1


async def supervise(stack: Stack, settings: Settings, plan: UpOptions, terminal: Terminal) -> int:
    """Start the children, keep them alive, and stop them at the end; return the exit code."""
    supervisor = Supervisor(terminal.say, grace_s=settings.drain_s + 4.0)
    interrupted = _catch_signals(supervisor, terminal)
    work = asyncio.create_task(_bring_up(stack, settings, plan, terminal, supervisor))
    try:
        ends: set[asyncio.Future[Any]] = {work, interrupted, supervisor.gave_up}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if supervisor.gave_up.done():
            _fail(terminal, f"{supervisor.gave_up.result()}; stopping everything")
        elif work.done():
            _fail(terminal, f"{work.exception()}; stopping everything")
        return 0 if interrupted.done() else 1
    finally:
        work.cancel()
        await asyncio.wait({work})
        await supervisor.stop()


def _catch_signals(supervisor: Supervisor, terminal: Terminal) -> "asyncio.Future[None]":
    """A future that the first signal to stop fulfils; the second one kills."""
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[None] = loop.create_future()

    def catch() -> None:
        if interrupted.done():
            supervisor.kill()
            return
        interrupted.set_result(None)
        terminal.say("fast-reply", "stopping; once more kills at once")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, catch)
    return interrupted


async def _bring_up(
    stack: Stack, settings: Settings, plan: UpOptions, terminal: Terminal, supervisor: Supervisor
) -> None:
    """Start, wait until all is ready, prove it, say where it serves; then wait for ever."""
    clock = asyncio.get_running_loop().time
    started_s = clock()
    supervisor.start(*stack.backing)
    for port in stack.ports:
        await _until(partial(_silence_of, port))
    supervisor.start(*stack.serving)
    url = local_url(settings)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60.0) as client:
        wanted = {"draft": plan.draft_workers, "full": plan.full_workers, "speech": plan.speech_workers}
        await _until(partial(missing, client, wanted))
        terminal.say("fast-reply", f"ready after {clock() - started_s:.1f} s")
        keyed = bool(settings.tenants or settings.operator_token.get_secret_value())
        if plan.proof and not keyed:
            await _prove(client, stack, terminal)
    with noted(Gateway(url, stack.redis_url, stack.queue_url)) if stack.redis_url else nullcontext():
        _announce(url, stack.redis_url, terminal, keyed=keyed)
        await asyncio.Event().wait()


async def _until(lacking: Callable[[], Awaitable[str]]) -> None:
    """Ask again and again until nothing is missing. Raises NotReady."""
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + _READY_WITHIN_S
    while lack := await lacking():
        if clock() > deadline_s:
            raise NotReady(f"not ready within {_READY_WITHIN_S:g} s: {lack}")
        await asyncio.sleep(_POLL_S)


async def _silence_of(port: int) -> str:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return f"nothing listens on port {port}"
    writer.close()
    return ""


async def missing(client: httpx.AsyncClient, wanted: Mapping[str, int]) -> str:
    """Describe what the gateway lacks to be ready with this many workers of each lane; empty if nothing."""
    try:
        response = await client.get("/readyz", timeout=5.0)
        answer = orjson.loads(response.content)
        workers = answer["workers"] if response.status_code == 200 else {}
        if all(workers.get(lane, 0) >= count for lane, count in wanted.items()):
            return ""
    except httpx.HTTPError as error:
        return f"the API does not answer ({type(error).__name__})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "the API's answer on /readyz cannot be read"
    return f"the API says {response.text.strip()}"


async def _prove(client: httpx.AsyncClient, stack: Stack, terminal: Terminal) -> None:
    """Show one streamed turn, and that its draft was cut at the model's server."""
    talk = Conversation(client, DEFAULT_PROFILE, max_tokens=_PROOF_TOKENS)
    with terminal.undisturbed() as console:
        console.print()
        try:
            await draw_turn(console, talk, _PROOF, echo=True)
        except AnswerFailed as error:
            _fail(terminal, f"the proof failed: {error}")
            return
        if stack.simulator_url:
            cut = await _drafts_cut(client, f"{stack.simulator_url}/simulator/stats", stack.draft_model)
            console.print(Text(f"{'':18}draft stream cut after hand-over: {cut}", "dim"))
        console.print()


async def _drafts_cut(client: httpx.AsyncClient, stats_url: str, model: str) -> int:
    """Return how many draft streams the simulator saw cut, once none is live."""
    for _ in range(40):
        counts = orjson.loads((await client.get(stats_url)).content)["models"].get(model, {})
        if not counts.get("live"):
            break
        await asyncio.sleep(_POLL_S)
    return int(counts.get("cut_by_client", 0))


def _announce(url: str, redis_url: str, terminal: Terminal, *, keyed: bool) -> None:
    question = {"role": "user", "content": "Hello"}
    asked = {"stream": True, "messages": [question]} | ({} if keyed else {"model": DEFAULT_PROFILE})
    key = "-H 'Authorization: Bearer YOUR-KEY' " if keyed else ""
    curl = (
        f"curl -N {url}/v1/chat/completions {key}-H 'Content-Type: application/json' "
        f"-d '{orjson.dumps(asked).decode()}'"
    )
    with terminal.undisturbed() as console:
        console.print(Text.assemble(("Serving on ", "bold"), (url, "bold green"), "; Ctrl-C stops. Try:"))
        console.print(Text(f"\n{curl}\n"), soft_wrap=True)
        if redis_url:
            told = (
                f"The store is {_without_password(redis_url)}: export, replay, whatif and full-only find it"
            )
            console.print(Text(f"{told} from here.\n", "dim"), soft_wrap=True)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    address = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:…@{address}").geturl()


def _fail(terminal: Terminal, message: str) -> None:
    terminal.console.print(Text(f"fast-reply: {printable(message)}", "red"), soft_wrap=True)
