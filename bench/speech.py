"""Speech: from the end of the draft's first sentence to its first sound at the client.

The end is when the model's server writes the token with the full stop; the embedded voice speaks.
One caller: turns one after the other. Many: a new turn each 50 ms, of about two seconds each.
    Target: at most 150 ms, p95.
"""

import argparse
import asyncio
from time import monotonic

import httpx

from bench import report
from bench.client import ask_for
from bench.report import Result, Table, scaled, spread_ms
from bench.stack import Shape, Stack
from simulator.tokens import split_tokens

_TURNS = 60
_CALLERS = 60
_EVERY_S = 0.05
_PATH = "/v1/audio/chat/completions"
_DRAFT = "Sure, let me have a look at that for you right now. It should only take a moment."
_FULL = "We are open from nine to five on weekdays. On Saturdays we close at noon. See you soon!"
_SOUND = b'"data":"'


async def measure(options: argparse.Namespace) -> Result:
    """Both parts, on one stack."""
    with Stack(Shape(speech_workers=1)) as stack:
        stack.behave("draft", ttft_ms=200, tpot_ms=12.5, text=_DRAFT)
        stack.behave("full", ttft_ms=1_200, tpot_ms=20, text=_FULL)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for _ in range(4):  # warm: connections, caches, code that runs for the first time
                await _first_sound_s(client, stack)
            alone = [await _first_sound_s(client, stack) for _ in range(scaled(options, _TURNS))]
            table: Table = {"one caller": spread_ms(_delays(stack, alone))}
            count = scaled(options, _CALLERS)
            before = stack.cpu_s()
            many = await asyncio.gather(*(_after(n * _EVERY_S, client, stack) for n in range(count)))
            table["many callers"] = spread_ms(_delays(stack, many))
            spent = {name: (used - before[name]) / count * 1000 for name, used in stack.cpu_s().items()}
        return {"sentence's end to first sound": table, "CPU ms a turn, many callers": {"spoken": {**spent}}}


def _delays(stack: Stack, heard_s: list[float]) -> list[float]:
    """From each sentence's end to its sound. Turns begin far enough apart to keep their order."""
    streams = [s for s in stack.streams(4 * len(heard_s)) if s["model"] == "draft"][-len(heard_s) :]
    tokens, said = split_tokens(_DRAFT), ""
    last = next(place for place, token in enumerate(tokens) if "." in (said := said + token))
    return [at_s - stream["token_s"][last] for at_s, stream in zip(heard_s, streams, strict=True)]


async def _after(pause_s: float, client: httpx.AsyncClient, stack: Stack) -> float:
    await asyncio.sleep(pause_s)
    return await _first_sound_s(client, stack)


async def _first_sound_s(client: httpx.AsyncClient, stack: Stack) -> float:
    """Return when a spoken turn's first sound came, by the monotonic clock; the turn is heard to its end."""
    body = ask_for("When do you open?", modalities=["text", "audio"], audio={"format": "g711_ulaw"})
    first_s, tail = 0.0, b""
    url = f"http://127.0.0.1:{stack.port}{_PATH}"
    async with client.stream("POST", url, content=body) as response:
        async for data in response.aiter_raw():
            if not first_s and _SOUND in tail + data:
                first_s = monotonic()
            tail = (tail + data)[-20:]
    if not first_s or not tail.endswith(b"[DONE]\n\n"):
        raise RuntimeError("an answer was not spoken")
    return first_s


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"speech": measure})
