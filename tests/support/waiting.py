"""How the tests here run and wait: on a loop of their own, for conditions, never for durations."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec

Args = ParamSpec("Args")

PATIENCE_S = 60.0


def in_loop(test: Callable[Args, Coroutine[Any, Any, None]]) -> Callable[Args, None]:
    """A test function that runs this coroutine function on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Args.args, **kwargs: Args.kwargs) -> None:
        asyncio.run(_watched(test(*args, **kwargs)))

    return run


async def _watched(test: Coroutine[Any, Any, None]) -> None:
    """Run a test that fails too where a task or a callback of the loop breaks and nobody hears of it."""
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    await test
    assert not unheard, unheard


async def until(check: Callable[..., Any], within_s: float = PATIENCE_S) -> Any:
    """What the check answers, or its awaitable gives, once that is true."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                answer = check()
                if isinstance(answer, Awaitable):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError("the condition did not come true") from None


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, once, and wait until they have ended: none may pass its cancellation over."""
    for task in tasks:
        task.cancel()
    if tasks:
        _, going_on = await asyncio.wait(tasks, timeout=PATIENCE_S)
        assert not going_on, "a task goes on though it was cancelled"
